"""The inner loop's own promises: which leaves, which data, clipping, square roots, mistakes."""

import dataclasses

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from inner_loop_cases import batches, loss, parameters, tasks

from attnjax.errors import UserError
from attnjax.meta import LinearSolve, Tasks, adam, inner_loop, log_rates, over_tasks
from attnjax.meta.leaves import chosen, floats, halve, paths, whole
from attnjax.meta.steps import clip_by_norm

SGD = optax.sgd(0.1)


# --- which leaves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "adapt",
    [
        ["head", "body/bias"],
        lambda path, leaf: path != "body/kernel",
        {"body": {"bias": True, "kernel": False}, "head": {"bias": True, "kernel": True}},
    ],
    ids=["paths", "function", "booleans"],
)
def test_leaves_are_chosen_by_path_function_or_tree(adapt):
    theta = parameters()
    assert paths(theta) == ["body/bias", "body/kernel", "head/bias", "head/kernel"]
    assert chosen(theta, adapt) == [True, False, True, True]
    phi, _ = inner_loop(loss, SGD, 2, adapt=adapt)(theta, None, batches(0))
    assert phi["body"]["kernel"] is theta["body"]["kernel"]
    assert bool(jnp.any(phi["body"]["bias"] != theta["body"]["bias"]))


def test_a_path_is_of_whole_names_and_integers_stay():
    tree = {"head": jnp.ones(2), "head_2": jnp.ones(2), "count": jnp.arange(2), "key": jax.random.key(0)}
    assert chosen(tree, "head") == [False, True, False, False]
    assert chosen(tree, None) == [False, True, True, False]  # count, head, head_2, key
    inside, outside = halve(tree, chosen(tree, None))
    assert inside["count"] is None
    assert outside["head"] is None
    again = whole(inside, outside)
    assert all(again[name] is tree[name] for name in tree)
    values, others, join = floats(tree)
    assert len(values) == len(others) == 2
    assert all(join(values, others)[name] is tree[name] for name in tree)


def test_an_optimiser_sees_only_what_it_may_move():
    seen = []

    def update(gradient, memory, params):
        seen.append(paths(params))
        return jax.tree.map(jnp.zeros_like, gradient), memory

    spy = optax.GradientTransformation(lambda params: (), update)
    inner_loop(loss, spy, 1, adapt="head")(parameters(), None, batches(0))
    assert seen == [["head/bias", "head/kernel"]]


# --- data and steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["exact", "forward_over_reverse", "first_order"])
def test_each_step_may_have_its_own_batch_and_key(way, x64):
    """As the loop of single steps has; and the gradient in each batch is exact."""
    steps = 3
    support = {**batches(2, steps), "key": jax.random.split(jax.random.key(7), steps)}

    def noisy(params, batch):
        noise = 0.1 * jax.random.normal(batch["key"], batch["y"].shape)
        return loss(params, {**batch, "y": batch["y"] + noise})

    inner, theta = inner_loop(noisy, SGD, steps, per_step=True, grad=way), parameters()
    phi, report = jax.jit(inner)(theta, None, support)
    value_and_slope = jax.jit(jax.value_and_grad(noisy))
    for t in range(steps):
        batch = jax.tree.map(lambda x, t=t: x[t], support)
        value, slope = value_and_slope(theta, batch)
        assert float(report.losses[t]) == pytest.approx(float(value), rel=1e-12)
        theta = jax.tree.map(lambda p, g: p - 0.1 * g, theta, slope)
    for one, other in zip(jax.tree.leaves(phi), jax.tree.leaves(theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    if way == "first_order":
        return

    @jax.jit
    def query(y):
        phi, _ = inner(parameters(), None, {**support, "y": y.reshape(support["y"].shape)})
        return loss(phi, batches(3))

    flat = np.asarray(support["y"]).ravel()
    slope = central_differences.jacobian(query, flat)
    np.testing.assert_allclose(jax.grad(query)(jnp.asarray(flat)), slope, rtol=0, atol=1e-7 * np.abs(slope).max())


@pytest.mark.parametrize("way", ["exact", "forward_over_reverse", "first_order"])
def test_no_steps_give_theta_back(way):
    theta = parameters()
    phi, report = inner_loop(loss, SGD, 0, grad=way)(theta, None, batches(0))
    for one, other in zip(jax.tree.leaves(phi), jax.tree.leaves(theta), strict=True):
        np.testing.assert_array_equal(one, other)
    assert report.losses.shape == (0,)
    assert not bool(report.diverged)
    value, outcome = over_tasks(inner_loop(loss, SGD, 0, grad=way), loss)(theta, None, tasks())
    assert int(outcome.divergences) == 0
    assert np.isfinite(value)


def test_the_same_loop_with_more_steps():
    inner = inner_loop(loss, SGD, 1, clip=2.0)
    longer = dataclasses.replace(inner, steps=4)
    assert (longer.steps, longer.clip, inner.steps) == (4, 2.0, 1)
    assert longer(parameters(), None, batches(0))[1].losses.shape == (4,)


def test_the_report_carries_no_derivative(x64):
    inner = inner_loop(loss, SGD, 2)
    slope = jax.grad(lambda theta: inner(theta, None, batches(0))[1].losses.sum())(parameters())
    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(slope))


@pytest.mark.compiled_in_full
def test_float32_is_float64_to_its_digits():
    """Of exact gradients through five steps, relative to the largest entry."""
    found = {}
    for double in (False, True):
        with jax.enable_x64(double):
            meta_loss = over_tasks(inner_loop(loss, SGD, 5, grad="forward_over_reverse"), loss)
            gradient = jax.jit(jax.grad(lambda theta, f=meta_loss: f(theta, None, tasks())[0]))(parameters())
            found[double] = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(gradient)])
    assert found[False].dtype == np.float32
    np.testing.assert_allclose(found[False], found[True], rtol=0, atol=3e-6 * np.abs(found[True]).max())


@pytest.mark.parametrize(("rate", "explodes"), [(0.5, False), (3.0, True)])
def test_a_run_that_explodes_is_finite_and_reported_all_the_same(rate, explodes):
    """On x^2 / 2 each step multiplies x by 1 - rate: -2 at rate 3, so that the loss grows fourfold."""

    def square(x, _):
        return jnp.sum(x**2) / 2

    inner = inner_loop(square, optax.sgd(rate), 10)
    phi, report = inner(jnp.ones(1), None, ())
    np.testing.assert_allclose(phi, (1 - rate) ** 10, rtol=1e-5)
    np.testing.assert_allclose(report.losses, (1 - rate) ** (2 * np.arange(10)) / 2, rtol=1e-5)
    assert float(report.ceiling) == 0.5 + 1e3 * 1.5
    assert bool(report.diverged) == explodes
    # The last step is the query's business: after 6 steps the loss before the last is 512, after it 2,048.
    short = inner_loop(square, optax.sgd(rate), 6)
    assert not bool(short(jnp.ones(1), None, ())[1].diverged)
    _, outcome = over_tasks(short, square)(jnp.ones(1), None, Tasks((), jnp.ones((2, 1))))
    assert outcome.diverged.tolist() == [explodes] * 2
    tolerant = inner_loop(square, optax.sgd(rate), 10, explosion=1e9)
    assert not bool(tolerant(jnp.ones(1), None, ())[1].diverged)


# --- clipping ----------------------------------------------------------------------------------------------------


def test_clipping_bounds_the_norm_and_is_differentiable_also_at_zero(x64):
    tree = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}
    assert jax.tree.map(np.shape, clip_by_norm(tree, 1.0)) == {"a": (2,), "b": (1, 1)}
    np.testing.assert_allclose(optax.tree.norm(clip_by_norm(tree, 1.0)), 1.0, rtol=1e-15)
    for limit in (5.1, None):
        np.testing.assert_array_equal(clip_by_norm(tree, limit)["a"], tree["a"])
    vector = np.array([0.6, -1.2, 0.4])
    for limit in (1.0, 2.0):
        exact = jax.jacobian(lambda x, limit=limit: clip_by_norm(x, limit))(jnp.asarray(vector))
        slope = central_differences.jacobian(lambda x, limit=limit: clip_by_norm(jnp.asarray(x), limit), vector)
        np.testing.assert_allclose(exact, slope, atol=1e-9)
    at_zero = jax.jacobian(lambda x: clip_by_norm(x, 1.0))(jnp.zeros(3))
    np.testing.assert_array_equal(at_zero, np.eye(3))


# --- square roots ------------------------------------------------------------------------------------------------


def meta_gradient_without_a_feature(optimizer):
    """The second feature is zero in the support, so the gradient of its weight is exactly zero; the query has it."""

    def regression(weights, batch):
        x, y = batch
        return jnp.mean((jnp.tanh(x @ weights) - y) ** 2)

    support = (jnp.array([[1.0, 0.0], [-0.5, 0.0]]), jnp.array([0.9, 0.2]))
    query = (jnp.array([[0.7, 1.0], [0.3, -2.0]]), jnp.array([0.4, 0.1]))
    inner = inner_loop(regression, optimizer, 3)
    value = jax.jit(lambda weights: regression(inner(weights, None, support)[0], query))
    weights = np.array([0.3, -0.2])
    return np.asarray(jax.grad(value)(jnp.asarray(weights))), central_differences.jacobian(value, weights)


def test_adam_has_a_derivative_where_a_gradient_is_always_zero(x64):
    """optax's Adam gives NaN there; with the root moved by 1e-30 it is right, and updates are the same."""
    spoilt, _ = meta_gradient_without_a_feature(optax.adam(0.05))
    assert np.isnan(spoilt).all()
    found, slope = meta_gradient_without_a_feature(adam(0.05))
    np.testing.assert_allclose(found, slope, rtol=0, atol=1e-6 * np.abs(found).max())
    gradient = jnp.array([1e-3, -2.0, 0.0])
    for ours, optaxs in zip(*(o.update(gradient, o.init(gradient)) for o in (adam(0.1), optax.adam(0.1))), strict=True):
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(optaxs), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-14)


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "steps, a whole number of at least 0"),
        ({"steps": 2.0}, "steps, a whole number"),
        ({"unroll": 0}, "unroll, a whole number of at least 1"),
        ({"grad": "second_order"}, "grad to be one of exact, first_order"),
        ({"clip": 0.0}, "clip > 0 or None"),
        ({"explosion": 0}, "explosion > 0"),
        ({"proximal": -1.0}, "proximal > 0"),
        ({"optimizer": 0.1}, "an optax transformation"),
        ({"loss": None}, "a function loss"),
        ({"grad": "implicit"}, "a proximal term, or a loss of eta"),
        ({"grad": "implicit", "proximal": 1.0, "per_step": True}, "one support for all steps"),
    ],
)
def test_what_can_not_be_is_refused_at_once(arguments, message):
    arguments = {"loss": loss, "optimizer": SGD, "steps": 1, **arguments}
    with pytest.raises(UserError, match=message):
        inner_loop(**arguments)


def test_what_does_not_fit_the_parameters_or_the_data_is_refused():
    theta, support = parameters(), batches(0)
    with pytest.raises(UserError, match="'neck', which is not among"):
        inner_loop(loss, SGD, 1, adapt=["head", "neck"])(theta, None, support)
    with pytest.raises(UserError, match="booleans in the structure"):
        inner_loop(loss, SGD, 1, adapt={"head": True})(theta, None, support)
    with pytest.raises(UserError, match="at least one leaf"):
        inner_loop(loss, SGD, 1, adapt=lambda path, leaf: False)(theta, None, support)
    with pytest.raises(UserError, match="leading axis of 2 steps"):
        inner_loop(loss, SGD, 2, per_step=True)(theta, None, support)
    meta_loss = over_tasks(inner_loop(loss, SGD, 1), loss)
    with pytest.raises(UserError, match="one leading axis of tasks"):
        meta_loss(theta, None, Tasks(batches(0, 2), batches(0, 3)))
    with pytest.raises(UserError, match="chunk >= 1"):
        over_tasks(inner_loop(loss, SGD, 1), loss, chunk=0)
    with pytest.raises(UserError, match="tolerance >= 0"):
        LinearSolve(max_steps=0)
    with pytest.raises(UserError, match="a rate above 0"):
        log_rates(theta, 0.0)
    with pytest.raises(UserError, match="'leaf' or 'parameter'"):
        log_rates(theta, 0.1, per="layer")
