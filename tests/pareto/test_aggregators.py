"""Closed forms for two objectives, conditions that define the others, and what is beside the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize_scalar

from attnjax import pareto
from attnjax.errors import UserError
from attnjax.pareto import gradients as gradients_module

PAIRS = np.random.default_rng(5).normal(size=(12, 2, 4)) * np.array([0.3, 2.0])[None, :, None]


def directions(aggregator):
    run = jax.jit(jax.vmap(lambda g: aggregator.combine(g, aggregator.init(2))[0].direction))
    return np.asarray(run(jnp.asarray(PAIRS)))


@pytest.mark.usefixtures("x64")
def test_two_objectives_in_closed_form():
    answers = {name: directions(pareto.AGGREGATORS[name]()) for name in ("mgda", "upgrad", "dualproj", "nash_mtl")}
    answers["pcgrad"] = directions(pareto.pcgrad(jax.random.key(0)))
    conflicts = 0
    for index, (g, h) in enumerate(PAIRS):
        share = np.clip(h @ (h - g) / ((g - h) @ (g - h)), 0, 1)
        np.testing.assert_allclose(answers["mgda"][index], share * g + (1 - share) * h, atol=1e-10)

        def without(x, other):
            return x - min(x @ other, 0) / (other @ other) * other

        apart = (without(g, h), without(h, g))
        conflicts += g @ h < 0
        np.testing.assert_allclose(answers["pcgrad"][index], apart[0] + apart[1], atol=1e-10)
        # Projected onto the dual cone of two vectors, a gradient that conflicts loses its part along the other.
        np.testing.assert_allclose(answers["upgrad"][index], (apart[0] + apart[1]) / 2, atol=1e-10)
        mean = (g + h) / 2
        np.testing.assert_allclose(answers["dualproj"][index], without(without(mean, g), h), atol=1e-10)
        # The bargaining solution of two halves the angle, at the length sqrt 2.
        middle = g / np.linalg.norm(g) + h / np.linalg.norm(h)
        np.testing.assert_allclose(answers["nash_mtl"][index], np.sqrt(2) * middle / np.linalg.norm(middle), atol=1e-9)
    assert 2 < conflicts < 10


@pytest.mark.usefixtures("x64")
def test_cagrad_of_two_is_the_best_point_of_the_ball():
    """Its dual has one unknown, the share w: min <g_w, g_0> + c |g_0| |g_w|."""
    for c in (0.4, 1.3):
        for direction, (g, h) in zip(directions(pareto.cagrad(c)), PAIRS, strict=True):
            mean, radius = (g + h) / 2, c * np.linalg.norm(g + h) / 2

            def dual(share, g=g, h=h, mean=mean, radius=radius):
                mixed = share * g + (1 - share) * h
                return mixed @ mean + radius * np.linalg.norm(mixed)

            best = minimize_scalar(dual, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).fun
            best = min(best, dual(0.0), dual(1.0))
            assert min(g @ direction, h @ direction) == pytest.approx(best, rel=1e-7)
            assert np.linalg.norm(direction - mean) == pytest.approx(radius, rel=1e-7)
    np.testing.assert_allclose(directions(pareto.cagrad(0.0)), PAIRS.mean(axis=1), atol=1e-12)


def test_cagrad_goes_on_where_a_gradient_is_short_or_some_balance():
    """One a thousand times shorter is no balance; where two cancel, the third still has its say."""
    short = np.array([[1.0, 0.2, 0.0], [-0.4, 1.0, 0.3], [0.1, -0.2, 1.0]]) * np.array([[1.0], [1e-3], [1e-4]])
    run = jax.jit(pareto.cagrad(0.5).combine)
    with jax.enable_x64(True):
        exact = np.asarray(run(jnp.asarray(short), ())[0].direction)
    assert np.linalg.norm(exact) > 0.1
    np.testing.assert_allclose(run(jnp.asarray(short, jnp.float32), ())[0].direction, exact, atol=1e-3)
    balanced = run(jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.6, 0.0]]), ())[0]
    np.testing.assert_allclose(balanced.direction, [0.0, 0.2, 0.0], atol=1e-5)
    assert float(balanced.residual) < 1e-5


@pytest.mark.usefixtures("x64")
def test_many_objectives_meet_the_conditions_that_define_the_directions():
    """m = 24, where the programs take gradient steps first."""
    stack = np.random.default_rng(2).normal(size=(24, 60)) * np.exp(np.linspace(-2, 2, 24))[:, None] + 0.05
    units = stack / np.linalg.norm(stack, axis=1, keepdims=True)

    def of(aggregator):
        return jax.jit(lambda g: aggregator.combine(g, ())[0])(jnp.asarray(stack))

    mgda = of(pareto.mgda())
    gains = stack @ mgda.direction
    assert (gains >= mgda.direction @ mgda.direction * (1 - 1e-6)).all()
    assert (np.asarray(mgda.weights) >= 0).all()
    assert float(mgda.weights.sum()) == pytest.approx(1)
    upgrad = of(pareto.upgrad())
    assert float(upgrad.residual) < 1e-11
    assert (units @ upgrad.direction).min() > -1e-8 * np.linalg.norm(upgrad.direction)
    fair = of(pareto.fairgrad(0.7))
    np.testing.assert_allclose(stack @ fair.direction, fair.weights ** (-1 / 0.7), rtol=1e-9)
    projections = units @ of(pareto.config()).direction
    np.testing.assert_allclose(projections, projections.mean(), rtol=1e-9)
    balanced = of(pareto.aligned_mtl()).weights
    smallest = np.linalg.eigvalsh(stack @ stack.T)[0]
    assert balanced @ (stack @ stack.T) @ balanced == pytest.approx(smallest / 24, rel=1e-6)


@pytest.mark.usefixtures("x64")
def test_preferences_decide_whose_gradient_counts():
    g = jnp.asarray(PAIRS[0])
    for make, plain in (
        (pareto.upgrad, pareto.upgrad),
        (pareto.dualproj, pareto.dualproj),
        (pareto.weighted, pareto.mean),
    ):
        run = jax.jit(lambda preference, make=make: make(preference).combine(g, ())[0].direction)
        assert float(run(jnp.array([1.0, 0.0])) @ g[0]) > 0
        equal = jax.jit(plain().combine)(g, ())[0].direction
        np.testing.assert_allclose(run(jnp.array([0.5, 0.5])), equal, atol=1e-12)
    direction = jax.jit(pareto.config(np.array([0.8, 0.2])).combine)(g, ())[0].direction
    ratio = (g @ direction) / jnp.linalg.norm(g, axis=1)
    np.testing.assert_allclose(ratio[0] / ratio[1], 4.0, rtol=1e-9)


@pytest.mark.parametrize("make", [pareto.weighted, pareto.upgrad, pareto.dualproj, pareto.config, pareto.aligned_mtl])
def test_weights_off_the_simplex_are_refused(make):
    for wrong in ([0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [0.0, 0.0]):
        with pytest.raises(UserError, match="on the simplex"):
            make(wrong)
    with pytest.raises(UserError, match="a vector of weights"):
        make(0.5)
    aggregator = make([0.5, 0.5])
    for refused in (lambda: aggregator.init(3), lambda: aggregator.combine(jnp.ones((3, 2)), ())):
        with pytest.raises(UserError, match="each of the 2 objectives"):
            refused()


def test_settings_out_of_range_are_refused():
    for make, message in (
        (lambda: pareto.cagrad(-0.1), "c of at least 0"),
        (lambda: pareto.fairgrad(0.0), "alpha above 0"),
        (lambda: pareto.gradvac(jax.random.key(0), 1.5), "beta from 0 to 1"),
        (lambda: pareto.as_transformation(pareto.mean(), 0), "at least 1 objective"),
        (lambda: pareto.stacked_gradients(jnp.sum, jnp.ones(2)), "one vector"),
    ):
        with pytest.raises(UserError, match=message):
            make()


def test_zero_gradients_have_documented_weights():
    zeros = jnp.zeros((2, 2))
    for make in (pareto.upgrad, pareto.dualproj, pareto.aligned_mtl, pareto.imtl_g):
        wanted = [0.0, 0.0] if make is pareto.imtl_g else [0.5, 0.5]
        np.testing.assert_allclose(jax.jit(make().combine)(zeros, ())[0].weights, wanted)
    mgda = jax.jit(pareto.mgda().combine)
    np.testing.assert_allclose(mgda(zeros, ())[0].weights, [0.5, 0.5])
    one = mgda(jnp.array([[0.0, 0.0], [1.0, 2.0]]), ())[0]
    np.testing.assert_allclose(one.direction, [0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(one.weights, [1.0, 0.0], atol=1e-12)


def losses(params):
    """Three losses that share a small network."""
    hidden = jnp.tanh(params["inner"] @ jnp.linspace(-1, 1, 4))
    return jnp.stack([jnp.sum((hidden * params["outer"] - target) ** 2) for target in (0.0, 1.0, -2.0)])


@pytest.fixture(scope="module")
def params():
    keys = jax.random.split(jax.random.key(1))
    return {"inner": jax.random.normal(keys[0], (5, 4)), "outer": jax.random.normal(keys[1], (5,))}


def test_stacked_gradients_are_the_gradients_one_by_one(params):
    values, stacked = pareto.stacked_gradients(losses, params)
    np.testing.assert_allclose(values, losses(params))
    for index in range(3):
        alone = jax.grad(lambda p, index=index: losses(p)[index])(params)
        for leaf, rows in zip(jax.tree.leaves(alone), jax.tree.leaves(stacked), strict=True):
            np.testing.assert_allclose(leaf, rows[index], rtol=1e-5, atol=1e-6)


def test_streamed_gradients_give_the_same_direction(params):
    """One gradient at a time; the direction is then that of the weighted loss."""
    stacked = pareto.stacked_gradients(losses, params)[1]
    streamed = jax.jit(lambda p: pareto.streamed_geometry(losses, p))(params)
    np.testing.assert_allclose(streamed.norms, pareto.geometry_of(stacked).norms, rtol=1e-5)
    aggregator = pareto.upgrad()
    weights = aggregator.weigh(streamed, ())[0].weights
    direction = jax.grad(lambda p: weights @ losses(p))(params)
    wanted = aggregator.combine(stacked, ())[0].direction
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), direction, wanted)


def test_streaming_takes_low_precision_and_leaves_without_entries():
    low = {"w": jnp.array([1.0, 3.0], jnp.bfloat16), "nothing": jnp.zeros(0)}
    streamed = pareto.streamed_geometry(lambda p: jnp.stack([p["w"][0] ** 2, p["w"][0] * p["w"][1]]), low)
    np.testing.assert_allclose(streamed.norms, [2.0, np.sqrt(10)], rtol=1e-2)
    np.testing.assert_allclose(streamed.cosines[0, 1], 3 / np.sqrt(10), rtol=1e-2)


def test_blocks_change_nothing(monkeypatch):
    stack = jnp.asarray(np.random.default_rng(0).normal(size=(3, 101)), jnp.float32)
    whole = pareto.geometry_of(stack)
    monkeypatch.setattr(gradients_module, "BLOCK", 30)
    for one, other in zip(pareto.geometry_of(stack), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_half_precision_gradients_are_summed_in_float32():
    exact = np.random.default_rng(0).normal(size=(2, 4096)).astype(np.float32)
    low = jnp.asarray(exact, jnp.bfloat16)
    combined, _ = pareto.upgrad().combine(low, ())
    assert combined.direction.dtype == jnp.bfloat16
    assert combined.weights.dtype == jnp.float32
    rounded = np.asarray(low, np.float64)
    np.testing.assert_allclose(pareto.geometry_of(low).norms, np.linalg.norm(rounded, axis=1), rtol=1e-5)


def test_a_bad_step_is_skipped_by_optax():
    link = pareto.as_transformation(pareto.mgda(), 2)
    optimizer = optax.chain(link, optax.apply_if_finite(optax.sgd(0.1), 3))
    state = optimizer.init(jnp.zeros(2))
    step = jax.jit(optimizer.update)
    updates, state = step(jnp.array([[1.0, jnp.nan], [0.0, 1.0]]), state)
    assert updates.tolist() == [0.0, 0.0]
    updates, _ = step(jnp.eye(2), state)
    np.testing.assert_allclose(updates, [-0.05, -0.05], rtol=1e-5)
