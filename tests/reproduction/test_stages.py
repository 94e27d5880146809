import io

import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.reproduction import context as module
from attnjax.reproduction.context import Context


def context(folder=None, fingerprint="f"):
    return Context(folder, fingerprint, io.StringIO())


RESULT = {
    "array": np.arange(6.0).reshape(2, 3),
    "more": [1, 0.1, "a", None, True, (2, 3)],
    "flags": np.array([True]),
    "not finite": [float("inf"), np.float64("nan")],
}


def test_a_stage_is_computed_once_and_found_the_same(tmp_path):
    first = context(tmp_path).stage("solve", lambda: RESULT)
    found = context(tmp_path)
    second = found.stage("solve", lambda: pytest.fail("computed again"))
    np.testing.assert_equal(first, second)
    np.testing.assert_equal(first["array"], RESULT["array"])
    assert first["more"] == [1, 0.1, "a", None, True, [2, 3]]
    assert found.resumed == ["solve"]
    assert "reused from the interrupted run" in found._stream.getvalue()


def test_without_a_folder_nothing_is_remembered_but_the_result_is_the_same():
    np.testing.assert_equal(context().stage("a", lambda: RESULT)["array"], RESULT["array"])


def test_jax_arrays_come_back_as_numpy(tmp_path):
    import jax
    import jax.numpy as jnp

    assert isinstance(context(tmp_path).stage("a", lambda: jnp.ones(2)), np.ndarray)
    with pytest.raises(UserError, match="at key"):
        context(tmp_path).stage("key", lambda: jax.random.key(0))


def test_stages_of_another_program_are_removed(tmp_path):
    context(tmp_path, "old").stage("a", lambda: 1)
    assert context(tmp_path, "new").stage("a", lambda: 2) == 2
    assert [folder.name for folder in (tmp_path / "stages").iterdir()] == ["new"]


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", lambda _: b"x"])
def test_a_damaged_stage_is_computed_again(tmp_path, damage):
    context(tmp_path).stage("a", lambda: np.ones(100))
    path = tmp_path / "stages" / "f" / "a.npz"
    path.write_bytes(damage(path.read_bytes()))
    again = context(tmp_path)
    assert again.stage("a", lambda: 2) == 2
    assert "not readable" in again._stream.getvalue()


def test_forget_removes_the_stages(tmp_path):
    one = context(tmp_path)
    one.stage("a", lambda: 1)
    one.forget()
    assert not (tmp_path / "stages").exists()


@pytest.mark.parametrize("name", ["", "a/b", "used"])
def test_a_bad_or_repeated_name_is_refused(name):
    one = context()
    one.stage("used", lambda: 1)
    with pytest.raises(UserError, match="a name of letters"):
        one.stage(name, lambda: 1)


def test_objects_are_refused_by_their_path(tmp_path):
    with pytest.raises(UserError, match=r"set at fit\.model\.0"):
        context(tmp_path).stage("fit", lambda: {"model": [{1, 2}]})


def test_progress_in_a_log_is_sparse_lines(monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    one = context()
    assert list(one.progress(range(9), "training")) == list(range(9))
    lines = one._stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert "training: 2 of 9" in lines[0]
    assert "s left" in lines[0]
    assert list(one.progress(iter("ab"), "letters")) == ["a", "b"]


def test_progress_on_a_terminal_is_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    one = Context(stream=Terminal())
    assert list(one.progress(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
    assert "letters" in one._stream.getvalue()
