"""What every way of taking the gradient, and every algorithm, owes: true gradients, one program, honest reports."""

import functools

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from inner_loop_cases import (
    ETA,
    LEARNERS,
    NO_CONTRACT,
    OPTIMIZERS,
    RATE,
    STEPS,
    TASKS,
    WAY_CASES,
    batches,
    loss,
    parameters,
    tasks,
    weighted_loss,
)
from jax.flatten_util import ravel_pytree

import attnjax.meta
from attnjax.meta import WAYS, Tasks, inner_loop, over_tasks
from attnjax.meta.leaves import paths

by_way = pytest.mark.parametrize("way", WAY_CASES)
by_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
by_learner = pytest.mark.parametrize("name", LEARNERS)
pytestmark = pytest.mark.usefixtures("x64")


def assert_relative(got, wanted, relative):
    """Relative to the largest entry."""
    scale = float(np.abs(np.asarray(wanted)).max())
    np.testing.assert_allclose(got, wanted, rtol=0, atol=relative * scale)


def loop(way, optimizer="sgd", **options):
    """The inner loop of a case: head and biases adapt, the body's kernel does not."""
    case = WAY_CASES[way]
    options = {"adapt": ["head", "body/bias"], "eta_in_loss": True, **case.options, **options}
    return inner_loop(weighted_loss, OPTIMIZERS[optimizer], options.pop("steps", case.steps), **options)


@functools.cache
def compiled(way, optimizer="sgd", clip=None):
    """Of a flat (theta, eta) and tasks: the meta-loss and its outcome; these and the gradient; the traces of it."""
    flat, restore = ravel_pytree((parameters(), {name: jnp.asarray(value) for name, value in ETA.items()}))
    meta_loss = over_tasks(loop(way, optimizer, clip=clip), loss)
    traces = []

    def value(flat, given):
        traces.append(given.query["x"].shape)
        return meta_loss(*restore(flat), given)

    return np.asarray(flat), jax.jit(value), jax.jit(jax.value_and_grad(value, has_aux=True)), traces


@functools.cache
def slopes(of, optimizer, clip=None):
    """Central differences of the meta-loss, whichever way computes its value."""
    way = next(name for name, case in WAY_CASES.items() if case.derivative_of == of)
    flat, value, *_ = compiled(way, optimizer, clip)
    return central_differences.jacobian(lambda flat: value(flat, tasks())[0], flat)


# --- registries --------------------------------------------------------------------------------------------------


def test_every_way_and_every_algorithm_is_registered():
    assert {case.options["grad"] for case in WAY_CASES.values()} == set(WAYS)
    made = {name for name in LEARNERS if name in attnjax.meta.__all__}
    assert made | NO_CONTRACT == set(attnjax.meta.__all__)
    assert not made & NO_CONTRACT
    assert all(any(name.startswith(known) for known in made) for name in LEARNERS)


# --- ways --------------------------------------------------------------------------------------------------------


# Adam at a constant rate circles around a minimum and does not reach it, so it has no solution to differentiate.
by_pair = pytest.mark.parametrize(
    ("way", "optimizer"), [(w, o) for w in WAY_CASES for o in OPTIMIZERS if (w, o) != ("implicit", "adam")]
)


@by_pair
def test_the_gradient_in_theta_and_eta_is_that_of_central_differences(way, optimizer):
    """In leaves that adapt, in one that does not, in rate, decay and weight of a penalty."""
    flat, _, gradient, _ = compiled(way, optimizer)
    (_, outcome), found = gradient(flat, tasks())
    assert not outcome.diverged.any()
    of = WAY_CASES[way].derivative_of
    if of:
        assert_relative(found, slopes(of, optimizer), 1e-6)
    else:
        error = np.abs(found - slopes("steps", optimizer)).max() / np.abs(slopes("steps", optimizer)).max()
        assert error > 0.05
    if of == "solution":
        assert float(outcome.stationarity.max()) < 1e-10
        # The rate and the decay of an optimiser that has arrived change nothing.
        at_rest = ravel_pytree(
            (jax.tree.map(jnp.zeros_like, parameters()), {"rate": 1.0, "decay": 1.0, "penalty": 0.0})
        )
        np.testing.assert_array_equal(np.asarray(found)[np.asarray(at_rest[0]) == 1], 0)


@by_optimizer
def test_the_ways_that_differentiate_the_steps_agree(optimizer):
    ways = [way for way, case in WAY_CASES.items() if case.derivative_of == "steps"]
    flat = compiled(ways[0], optimizer)[0]
    wanted = compiled(ways[0], optimizer)[2](flat, tasks())[1]
    for way in ways[1:]:
        assert_relative(compiled(way, optimizer)[2](flat, tasks())[1], wanted, 1e-12)


@by_way
def test_clipped_steps_have_the_gradient_of_clipping(way):
    """The bound is so low that every step is clipped at first; without it the result is another."""
    flat, _, gradient, _ = compiled(way, clip=0.2)
    (clipped, _), found = gradient(flat, tasks())
    of = WAY_CASES[way].derivative_of
    if of:
        assert_relative(found, slopes(of, "sgd", 0.2), 1e-6)
    if of != "solution":  # which clipping leaves where it is
        assert abs(float(clipped) - float(compiled(way)[1](flat, tasks())[0])) > 1e-3


@by_optimizer
@by_way
def test_the_adapted_parameters_are_those_of_a_plain_loop(way, optimizer):
    """Both not compiled as a whole."""
    theta, eta, support = parameters(), {k: jnp.asarray(v) for k, v in ETA.items()}, batches(1)
    inner = loop(way, optimizer, steps=STEPS)
    phi, report = inner(theta, eta, support)
    transform, moving = OPTIMIZERS[optimizer](eta), {**theta, "body": {"bias": theta["body"]["bias"]}}

    def objective(moving):
        params = {"head": moving["head"], "body": {**theta["body"], **moving["body"]}}
        value = weighted_loss(params, support, eta)
        if way != "implicit":
            return value, value
        start = {**theta, "body": {"bias": theta["body"]["bias"]}}
        strength = WAY_CASES[way].options["proximal"](eta)
        return value + strength / 2 * optax.tree.norm(optax.tree.sub(moving, start), squared=True), value

    slope = jax.jit(jax.grad(objective, has_aux=True))
    memory, values = transform.init(moving), []
    for _ in range(STEPS):
        gradient, value = slope(moving)
        update, memory = transform.update(gradient, memory, moving)
        moving, values = optax.apply_updates(moving, update), [*values, value]
    np.testing.assert_allclose(ravel_pytree(phi["head"])[0], ravel_pytree(moving["head"])[0], rtol=1e-12)
    np.testing.assert_allclose(phi["body"]["bias"], moving["body"]["bias"], rtol=1e-12)
    np.testing.assert_allclose(report.losses, values, rtol=1e-12)
    assert phi["body"]["kernel"] is theta["body"]["kernel"]  # frozen


@by_way
def test_batched_is_looped_and_new_tasks_do_not_recompile(way):
    flat, _, gradient, traces = compiled(way)
    together = gradient(flat, tasks())[1]
    before = len(traces)
    alone = [gradient(flat, jax.tree.map(lambda x, i=i: x[i : i + 1], tasks())) for i in range(TASKS)]
    assert len(traces) == before + 1  # for one task instead of three
    assert_relative(sum(slope for _, slope in alone) / TASKS, together, 1e-12)


@by_way
def test_a_run_that_explodes_says_so_and_the_others_are_not_blamed(way):
    """One task's targets are so large that their square is infinite, one task's are NaN."""
    given = tasks()
    scale = jnp.array([1.0, 1e200, jnp.nan])[:, None, None]
    wild = Tasks({**given.support, "y": given.support["y"] * scale}, given.query)
    flat, value, *_ = compiled(way)
    _, outcome = value(flat, wild)
    assert outcome.diverged.tolist() == [False, True, True]
    assert int(outcome.divergences) == 2
    calm = value(flat, given)[1]
    assert outcome.query_losses[0] == calm.query_losses[0]
    assert not calm.diverged.any()
    assert float(calm.median) == sorted(calm.query_losses.tolist())[1]


# --- algorithms --------------------------------------------------------------------------------------------------


@functools.cache
def learned(name, chunk=None):
    """Of a flat Meta: value and outcome; these and the flat gradient."""
    learner = LEARNERS[name].make() if chunk is None else LEARNERS[name].make(chunk=chunk)
    flat, restore = ravel_pytree(learner.init(parameters()))

    def gradient(flat, given):
        (value, outcome), slope = learner.gradient(restore(flat), given)
        return value, outcome, ravel_pytree(slope)[0]

    return learner, np.asarray(flat), jax.jit(gradient)


@by_learner
def test_an_algorithms_gradient_is_that_of_its_value(name):
    """Or, where it says it is not, differs from it."""
    _, flat, gradient = learned(name)
    value, outcome, found = gradient(flat, tasks())
    assert not outcome.diverged.any()
    assert float(value) == pytest.approx(float(outcome.query_losses.mean()), rel=1e-14)
    slope = central_differences.jacobian(lambda flat: gradient(flat, tasks())[0], flat)
    if LEARNERS[name].exact:
        assert_relative(found, slope, 1e-6)
    else:
        assert np.abs(found - slope).max() > 0.05 * np.abs(slope).max()


@by_learner
def test_an_algorithm_moves_what_it_says_and_leaves_the_rest_bit_by_bit(name):
    learner = LEARNERS[name].make()
    meta = learner.init(parameters())
    phi, report = learner.adapt(meta, batches(1))
    before = dict(zip(paths(meta.theta), jax.tree.leaves(meta.theta), strict=True))
    if name == "cavia":
        assert float(jnp.abs(phi.context).min()) > 0
        phi = phi.shared
    after = dict(zip(paths(phi), jax.tree.leaves(phi), strict=True))
    assert before.keys() == after.keys()
    for path in before:
        moved = np.any(np.asarray(before[path]) != np.asarray(after[path]))
        assert moved == (path in LEARNERS[name].adapts), path
    assert np.all(np.diff(report.losses[:STEPS]) < 0)


@by_learner
def test_a_batch_is_the_mean_of_its_tasks_however_it_is_cut(name):
    _, flat, gradient = learned(name)
    whole = gradient(flat, tasks())
    cut = learned(name, chunk=2)[2](flat, tasks())
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    turned = jax.tree.map(lambda x: x[::-1], tasks())
    np.testing.assert_allclose(gradient(flat, turned)[2], whole[2], rtol=1e-11, atol=1e-13)
    # A batch of copies of one task is that task, and needs no other program.
    copies = [jax.tree.map(lambda x, i=i: jnp.stack([x[i]] * TASKS), tasks()) for i in range(TASKS)]
    alone = [gradient(flat, task)[2] for task in copies]
    np.testing.assert_allclose(sum(alone) / TASKS, whole[2], rtol=1e-11, atol=1e-13)


def test_first_order_maml_is_the_query_gradient_and_reptile_the_way_gone():
    """Of which the second, for one step, is the rate times the gradient of the support loss."""
    given, theta = tasks(count=1), parameters()
    one = jax.tree.map(lambda x: x[0], given)
    for name in ("first_order_maml", "reptile"):
        learner, flat, gradient = learned(name)
        phi, _ = learner.adapt(learner.init(theta), one.support)
        wanted = jax.grad(loss)(phi, one.query) if name == "first_order_maml" else optax.tree.sub(theta, phi)
        assert_relative(gradient(flat, given)[2], ravel_pytree(wanted)[0], 1e-12)
    step = attnjax.meta.reptile(loss, optax.sgd(RATE), 1)
    _, moved = step.gradient(step.init(theta), given)
    wanted = optax.tree.scale(RATE, jax.grad(loss)(theta, one.support))
    assert_relative(ravel_pytree(moved.theta)[0], ravel_pytree(wanted)[0], 1e-12)


def test_the_explicit_implicit_gradient_is_that_of_differentiation_and_reports_its_residual():
    _, flat, gradient = learned("implicit_maml")
    _, outcome, found = gradient(flat, tasks())
    assert outcome.residual.shape == (TASKS,)
    assert float(outcome.residual.max()) < 1e-12
    linear = attnjax.meta.LinearSolve(1e-13, 40)
    inner = inner_loop(loss, optax.sgd(RATE), 200, grad="implicit", proximal=1.5, linear=linear)
    by_rule = jax.jit(jax.grad(lambda theta: over_tasks(inner, loss)(theta, None, tasks())[0]))(parameters())
    assert_relative(found, ravel_pytree(by_rule)[0], 1e-12)
