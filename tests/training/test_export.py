"""An exported recommender does what the model does, needs none of its Python, and refuses what is no history."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import attnjax.training.export as exporting
from attnjax.errors import UserError
from attnjax.meta import InContext, inner_loop
from attnjax.models import LinearGaussian, believe, expected
from attnjax.training import UserHistory, export_recommender, load_recommender

ITEMS, LENGTH, SLATE, WIDTH = 40, 6, 5, 3


def closed_form(model, item, rating, mask):
    """Adaptation by a formula, with a factorisation inside."""
    return expected(model, believe(model, item, rating, mask))


def by_gradients(params, item, rating, mask):
    """Adaptation by three inner steps on a context."""

    def loss(phi, _):
        error = phi.shared["items"][item] @ phi.context + phi.shared["bias"][item] - rating
        return jnp.sum(jnp.where(mask, error**2, 0)) / jnp.maximum(jnp.sum(mask), 1)

    loop = inner_loop(loss, optax.sgd(0.3), 3, adapt="context")
    phi, _ = loop(InContext(params, jnp.zeros(WIDTH)), None, jnp.zeros(()))
    return phi.shared["items"] @ phi.context + phi.shared["bias"]


def parameters():
    of_items, of_bias = jax.random.split(jax.random.key(0))
    items, bias = jax.random.normal(of_items, (ITEMS, WIDTH)), 3 + jax.random.normal(of_bias, (ITEMS,))
    return {"closed form": LinearGaussian(bias, items, jnp.float32(0.5)), "gradients": {"items": items, "bias": bias}}


MODELS = {"closed form": closed_form, "gradients": by_gradients}


@pytest.fixture(scope="module")
def exported():
    params = parameters()
    return {
        name: export_recommender(scores, params[name], num_items=ITEMS, length=LENGTH, slate=SLATE)
        for name, scores in MODELS.items()
    }


def histories(count=9, seed=0):
    """Of lengths from 0 to LENGTH."""
    rng = np.random.default_rng(seed)
    sizes = np.arange(count) % (LENGTH + 1)
    return [UserHistory(rng.choice(ITEMS, n, replace=False), rng.integers(1, 6, n)) for n in sizes]


def by_hand(name, history):
    """What the model itself says, without padding, export or mapping."""
    size = len(history.item)
    held = (jnp.asarray(history.item, jnp.int32), jnp.asarray(history.rating, jnp.float32), jnp.ones(size, bool))
    scores = np.array(MODELS[name](parameters()[name], *held))
    scores[np.asarray(history.item, int)] = -np.inf
    best = np.argsort(-scores, kind="stable")[:SLATE]
    return best, scores[best]


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_model_itself_at_every_length_of_history(exported, name):
    shown = histories(LENGTH + 1)
    together = exported[name].many(shown)
    assert (together.item.dtype, together.score.dtype) == (np.int32, np.float32)
    for row, history in enumerate(shown):
        item, score = by_hand(name, history)
        alone = exported[name](history)
        for found in (alone.item, together.item[row]):
            np.testing.assert_array_equal(found, item)
        np.testing.assert_allclose(alone.score, score, rtol=1e-5)
        np.testing.assert_allclose(together.score[row], score, rtol=1e-5)
        assert not set(item) & set(np.asarray(history.item).tolist())


def test_neither_lengths_nor_numbers_of_users_recompile(exported):
    found = exported["closed form"]
    found._run.clear_cache()
    for history in histories(LENGTH + 1, seed=3):
        found(history)
    assert found._run._cache_size() == 1
    for count in (2, 5, exporting.AT_ONCE + 3):
        found.many(histories(count))
    assert found._run._cache_size() == 2


def test_users_in_several_pieces_are_those_of_one(exported):
    shown = histories(2 * exporting.AT_ONCE + 3)
    many = exported["gradients"].many(shown)
    assert many.item.shape == (len(shown), SLATE)
    for row in (0, exporting.AT_ONCE - 1, exporting.AT_ONCE, len(shown) - 1):
        np.testing.assert_array_equal(many.item[row], exported["gradients"](shown[row]).item)


@pytest.mark.parametrize("name", MODELS)
def test_bytes_come_back_as_the_same_function(exported, name):
    loaded = load_recommender(exported[name].to_bytes())
    assert (loaded.num_items, loaded.length) == (ITEMS, LENGTH)
    for ours, theirs in zip(exported[name].many(histories()), loaded.many(histories()), strict=True):
        np.testing.assert_array_equal(ours, theirs)


CHILD = """
import sys
from pathlib import Path
from attnjax.training.export import UserHistory, load_recommender
found = load_recommender(Path(sys.argv[1]).read_bytes())(UserHistory([3, 17], [5.0, 2.0]))
print(*found.item, *(name in sys.modules for name in ("attnjax.models", "attnjax.meta", "flax")))
"""


def test_another_process_needs_none_of_the_models_python(exported, tmp_path):
    path = tmp_path / "recommender.bin"
    path.write_bytes(exported["gradients"].to_bytes())
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], check=True, capture_output=True, text=True)
    expected_slate = exported["gradients"](UserHistory([3, 17], [5.0, 2.0])).item
    *slate, models, meta, flax = done.stdout.split()
    assert [int(item) for item in slate] == expected_slate.tolist()
    assert (models, meta, flax) == ("False", "False", "False")


def test_bytes_of_something_else_are_refused(exported, monkeypatch):
    blob = exported["closed form"].to_bytes()
    for wrong in (b"", b"no archive", blob[: len(blob) // 2]):
        with pytest.raises(UserError, match="load_recommender: expected bytes of an exported recommender"):
            load_recommender(wrong)
    monkeypatch.setattr(exporting.jax, "default_backend", lambda: "abacus")
    with pytest.raises(UserError, match="expected a device of cpu, got abacus"):
        load_recommender(blob)


def test_without_the_package_that_writes_programs_it_says_so(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    for job in (exported["closed form"].to_bytes, lambda: load_recommender(b"")):
        with pytest.raises(UserError, match="expected the package 'flatbuffers'"):
            job()


@pytest.mark.parametrize(
    ("item", "rating", "message"),
    [
        ([ITEMS], [5.0], f"items as integers in 0, ..., {ITEMS - 1}, got {ITEMS} to {ITEMS}"),
        ([-1], [5.0], "items as integers"),
        ([0.5], [5.0], "items as integers in .*, got float64"),
        ([0], [np.nan], "finite ratings"),
        ([0], ["five"], "finite ratings"),
        ([0, 1], [5.0], f"of one length, at most {LENGTH}, got shapes"),
        ([[0]], [[5.0]], "of one length"),
        (range(LENGTH + 1), np.ones(LENGTH + 1), f"at most {LENGTH}, got length {LENGTH + 1}. Pass the latest"),
    ],
)
def test_what_is_no_history_is_refused(exported, item, rating, message):
    with pytest.raises(UserError, match=message):
        exported["closed form"](UserHistory(item, rating))


def test_many_wants_a_list(exported):
    for wrong in ([], UserHistory([0], [5.0])):
        with pytest.raises(UserError, match="a sequence of at least one UserHistory"):
            exported["closed form"].many(wrong)


def test_models_that_do_not_fit_are_refused():
    model = parameters()["closed form"]
    for numbers in ({"length": 0, "slate": 1}, {"length": 1, "slate": 0}, {"length": 39, "slate": 2}):
        with pytest.raises(UserError, match="together at most the 40 items"):
            export_recommender(closed_form, model, num_items=ITEMS, **numbers)
    with pytest.raises(UserError, match=r"scores of shape \(41,\) for one user, got \(40,\)"):
        export_recommender(closed_form, model, num_items=41, length=2, slate=2)
