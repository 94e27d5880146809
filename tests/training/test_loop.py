import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

from attnjax.errors import UserError
from attnjax.training import fit, loop


def _line(params, batch):
    return jnp.mean((params["slope"] * batch["x"] + params["level"] - batch["y"]) ** 2)


@pytest.fixture
def points():
    x = jnp.linspace(-1, 1, 64)
    return {"x": x, "y": 2 * x - 0.5}


def _fit(points, **changes):
    settings = {
        "key": jax.random.key(0),
        "batch_size": 16,
        "max_epochs": 200,
        "patience": 200,
        "params": {"slope": jnp.zeros(()), "level": jnp.zeros(())},
        "optimizer": optax.sgd(0.2),
        "validation": points,
    } | changes
    return fit(_line, _line, train=points, **settings)


def test_least_squares_is_found(points):
    found = _fit(points)
    assert float(found.params["slope"]) == pytest.approx(2, abs=1e-4)
    assert float(found.params["level"]) == pytest.approx(-0.5, abs=1e-4)
    assert found.best == min(found.measures)
    assert found.measures[found.best_epoch - 1] == found.best


def test_the_same_key_gives_the_same_bits_and_another_does_not(points):
    first, again, other = (
        _fit(points, max_epochs=3),
        _fit(points, max_epochs=3),
        _fit(points, max_epochs=3, key=jax.random.key(9)),
    )
    assert first.losses == again.losses
    np.testing.assert_array_equal(first.params["slope"], again.params["slope"])
    assert first.losses != other.losses


def _scaled(scale, params, batch):
    return scale * _line(params, batch)


def test_partials_of_one_function_share_a_program_and_train_as_closures_do(points):
    def shared(scale, seed):
        loss, options = Partial(_scaled, scale), {"key": jax.random.key(seed), "batch_size": 16, "patience": 9}
        params = {"slope": jnp.zeros(()), "level": jnp.zeros(())}
        return fit(loss, loss, params, optimizer, points, points, max_epochs=3, **options)

    optimizer, before = optax.sgd(0.2), loop._shared_epoch._cache_size()
    first, other = shared(jnp.float32(1.0), 0), shared(np.float32(0.5), 9)
    assert loop._shared_epoch._cache_size() == before + 1
    closed = _fit(points, max_epochs=3, optimizer=optimizer)
    np.testing.assert_allclose(first.losses, closed.losses, rtol=1e-6)
    np.testing.assert_allclose(first.params["slope"], closed.params["slope"], rtol=1e-6)
    plain = _fit(points, max_epochs=3, optimizer=optax.sgd(0.1), key=jax.random.key(9))
    np.testing.assert_allclose(other.measures, 0.5 * np.array(plain.measures), rtol=1e-5)


def test_training_stops_when_validation_stops_improving_and_keeps_the_best(points):
    away = {"x": points["x"], "y": 0 * points["x"] - 0.2}  # validation that training leads past, then away from
    found = _fit(points, validation=away, patience=3)
    assert len(found.measures) == found.best_epoch + 3 < 200
    assert float(_line(found.params, away)) == pytest.approx(found.best, rel=1e-6)
    assert found.best < found.measures[-1]


def test_every_row_is_used_once_an_epoch():
    rows = {"x": jnp.arange(12.0)}
    seen = fit(
        lambda params, batch: jnp.sum(params * 0) + jnp.mean(batch["x"]),
        lambda params, batch: jnp.sum(params * 0),
        jnp.zeros(1),
        optax.sgd(0.0),
        rows,
        rows,
        key=jax.random.key(0),
        batch_size=4,
        max_epochs=1,
        patience=1,
    )
    assert seen.losses == [5.5]


def test_progress_sees_the_epochs(points):
    told = []

    def progress(epochs):
        for number in epochs:
            told.append(number)
            yield number

    _fit(points, max_epochs=3, progress=progress)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 65}, "at least the batch size"),
        ({"batch_size": 0}, "at least the batch size"),
        ({"max_epochs": 0}, "max_epochs >= 1"),
        ({"optimizer": optax.sgd(1e30)}, "Lower the learning rate"),
    ],
)
def test_mistakes_are_refused(points, changes, words):
    with pytest.raises(UserError, match=words):
        _fit(points, **changes)
