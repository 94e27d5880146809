"""The sinusoid part: ways to a start, fine-tuned on a few points of a new curve.

    multi-task    the mean of the parameters of networks, each trained on one curve
    pretraining   one network trained on all curves at once
    MAML          the start from which one step of gradient descent does best, its gradient exact or first-order
    bounded MAML  the same, exact, of a step whose gradient's norm is at most `BOUND`, in training and in the test

All but the first start from the same parameters and train on the same tasks. Pretraining is MAML whose inner loop has
no steps.

The bound is there for the means. A start that was trained for one step is tested after ten, and on a few curves of ten
thousand gradient descent then overshoots, further with every step, until their errors alone are the mean. The paper
tests 600 curves and so meets none or few of them. A bounded step can't run away. Gradients of first steps have a median
norm near 25 and norms up to 110; 40 was chosen from 20, 40, 80 and no bound by the errors after 15,000 iterations, on
curves and seeds that no table has. After 60,000 the bound costs two hundredths of the error after one step, and gains
after five and ten even on the curves that do not diverge.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attnjax.envs import Points, SinusoidTasks
from attnjax.meta import (
    Learner,
    Tasks,
    first_order_maml,
    inner_loop,
    maml,
    meta_iterations,
    meta_start,
    over_tasks,
)
from attnjax.reproduction import Context, Outcome
from experiments.meta_tables.stages import train_in_stages

INIT, TRAIN, TEST, TUNE, CURVES = 1, 2, 3, 4, 5
"""Streams of a seed's key."""

WIDTH, META_BATCH, TRAIN_SHOTS, INNER_RATE, LEARNING_RATE = 40, 25, 10, 0.01, 1e-3
NETWORK_BATCH = 20
"""Points per step of a network that learns one curve."""

SHOTS, STEPS, QUERY = (5, 10, 20), (1, 5, 10), 100
RATES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Step sizes that the two baselines choose from."""

BOUND = 40.0
"""The largest norm of an inner gradient in the row that bounds it."""

WORST = 1e6
"""A test error that is larger, or no number, counts as this, so that a mean stays one."""

TRIM = 0.99
"""The share of curves, best first, in the trimmed mean."""

INITS = ("he", "paper")
METHODS = ("multi_task", "pretraining", "first_order", "maml", "maml_bounded")
META_LEARNED = METHODS[2:]
"""Those that keep the step they were trained with."""
CALL, STAGE = 250, 10_000
"""Meta-iterations of one compiled call, and between two saved states."""

CURVE = SinusoidTasks()


class Shots(NamedTuple):
    """Points of which only some count: their weights are 1, the others' 0."""

    points: Points
    weight: jax.Array


def initial(key: Any, how: str) -> list[tuple[jax.Array, jax.Array]]:
    """A ReLU network of 1-40-40-1: kernels of He's variance, or truncated normals of 0.01 as in the paper's code."""
    sizes = [(1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
    keys = jax.random.split(key, len(sizes))

    def kernel(key: Any, shape: tuple[int, int]) -> jax.Array:
        if how == "he":
            return jnp.sqrt(2 / shape[0]) * jax.random.normal(key, shape)
        return 0.01 * jax.random.truncated_normal(key, -2, 2, shape)

    return [(kernel(k, shape), jnp.zeros(shape[1])) for k, shape in zip(keys, sizes, strict=True)]


def predict(params: Any, x: jax.Array) -> jax.Array:
    """The network at x, (n, 1)."""
    for kernel, bias in params[:-1]:
        x = jax.nn.relu(x @ kernel + bias[None])
    kernel, bias = params[-1]
    return x @ kernel + bias[None]


def loss(params: Any, points: Points) -> jax.Array:
    """The mean squared error."""
    return jnp.mean((predict(params, points.x) - points.y) ** 2)


def loss_of_shots(params: Any, shots: Shots) -> jax.Array:
    """The mean squared error of the points that count."""
    squares = (predict(params, shots.points.x) - shots.points.y)[:, 0] ** 2
    return shots.weight @ squares / jnp.sum(shots.weight)


def sample(key: Any) -> Tasks:
    """A meta-batch of tasks as the paper trains on."""
    keys = jax.random.split(key, META_BATCH)
    few = jax.vmap(lambda key: CURVE.few_shot(key, TRAIN_SHOTS, TRAIN_SHOTS))(keys)
    return Tasks(few.support, few.query)


def run(config: Any, keys: jax.Array, context: Context) -> Outcome:
    """Trains every start and fine-tunes it on new curves, all seeds at once."""
    found = {**_trained(config, keys, context), "multi_task": _averaged(config, keys, context)}
    evaluate = _Evaluation(config, keys)
    values: dict[str, Any] = {
        "network_error": found["multi_task"]["network_error"],
        "bound": BOUND,
        "rate": {},
        "diverged": {},
    }
    per_seed: dict[str, Any] = {}
    for method in METHODS:
        for how in INITS:
            tested = context.stage(
                f"test_{method}_{how}",
                functools.partial(evaluate, found[method][how], method),
            )
            for name, result in tested.items():
                per_seed[f"sinusoid_{method}_{how}_{name}"] = result["mean"]
                per_seed[f"sinusoid_{method}_{how}_{name}_median"] = result["median"]
                per_seed[f"sinusoid_{method}_{how}_{name}_trimmed"] = result["trimmed"]
                values["rate"][f"{method}_{how}_{name}"] = result["rate"]
                values["diverged"][f"{method}_{how}_{name}"] = result["diverged"]
    finite = all(found[method]["finite"] for method in METHODS)
    return Outcome({"sinusoid": values}, per_seed, {"sinusoid": {"meta_gradients_finite": finite}})


def _trained(config: Any, keys: jax.Array, context: Context) -> dict[str, Any]:
    """What each method learns from both initialisations, with a leading axis of seeds; a state is kept now and then.

    The methods are branches of one compiled program, since drawing tasks is most of what there is to compile.
    """
    learners = {
        "pretraining": maml(loss, optax.sgd(INNER_RATE), 0),
        "first_order": first_order_maml(loss, optax.sgd(INNER_RATE), 1),
        "maml": maml(loss, optax.sgd(INNER_RATE), 1),
        "maml_bounded": maml(loss, optax.sgd(INNER_RATE), 1, clip=BOUND),
    }
    optimizer, names = optax.adam(LEARNING_RATE), list(learners)
    streams = jax.vmap(lambda key: jax.random.fold_in(key, TRAIN))(keys)

    def without_support(learner: Learner, meta: Any, tasks: Tasks) -> Any:
        (value, outcome), gradient = learner.gradient(meta, tasks)
        return (value, outcome._replace(support_losses=outcome.support_losses[:, :0])), gradient  # of one shape

    branches = [functools.partial(without_support, learner) for learner in learners.values()]

    @jax.jit
    def advance(states: Any, which: Any, streams: jax.Array) -> Any:
        chosen = learners["maml"]._replace(gradient=lambda *given: jax.lax.switch(which, branches, *given))
        one_seed = meta_iterations(chosen, optimizer, sample, CALL)
        return jax.lax.map(lambda given: one_seed(*given), (states, streams))

    found: dict[str, Any] = {name: {"finite": True} for name in names}
    for name, how in itertools.product(reversed(names), INITS):
        thetas = jax.vmap(functools.partial(initial, how=how))(
            jax.vmap(lambda key: jax.random.fold_in(key, INIT))(keys)
        )
        trained = train_in_stages(
            functools.partial(advance, which=names.index(name), streams=streams),
            jax.vmap(functools.partial(meta_start, learners[name], optimizer))(thetas),
            context,
            f"{name}_{how}",
            total=config.iterations,
            call=CALL,
            stage=STAGE,
        )
        found[name]["finite"] &= trained.finite
        found[name][how] = trained.state.meta.theta
    return found


def _averaged(config: Any, keys: jax.Array, context: Context) -> dict[str, Any]:
    """Per seed the mean of the parameters of networks that learned a curve each, and how well they did."""
    learner, optimizer = maml(loss, optax.sgd(INNER_RATE), 0), optax.adam(LEARNING_RATE)

    def one(theta: Any, key: Any) -> tuple[Any, jax.Array, jax.Array]:
        key_curve, key_train, key_test = jax.random.split(key, 3)
        curve = CURVE.sample_task(key_curve)

        def points(key: Any) -> Tasks:
            drawn = CURVE.sample_points(key, curve, NETWORK_BATCH)
            return jax.tree.map(lambda leaf: leaf[None], Tasks(drawn, drawn))

        advance = meta_iterations(learner, optimizer, points, config.network_steps)
        state, progress = advance(meta_start(learner, optimizer, theta), key_train)
        theta = state.meta.theta
        return theta, loss(theta, CURVE.sample_points(key_test, curve, QUERY)), jnp.all(progress.finite)

    @jax.jit
    def all_curves(starts: Any, key: Any) -> tuple[Any, jax.Array, jax.Array]:
        curves = jax.random.split(jax.random.fold_in(key, CURVES), config.networks)
        theta, errors, finite = jax.vmap(one)(starts, curves)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), theta), jnp.mean(errors), jnp.all(finite)

    def of_a_seed(key: Any, how: str) -> dict[str, Any]:
        starts = jax.random.split(jax.random.fold_in(key, INIT), config.networks)
        theta, error, finite = all_curves(jax.vmap(functools.partial(initial, how=how))(starts), key)
        return {"leaves": jax.tree.leaves(theta), "error": float(error), "finite": bool(finite)}

    structure = jax.tree.structure(initial(keys[0], "he"))
    found: dict[str, Any] = {"finite": True, "network_error": {}}
    for how in INITS:
        kept = [
            context.stage(f"multi_task_{how}_{number}", functools.partial(of_a_seed, key, how))
            for number, key in enumerate(context.progress(keys, f"networks of one curve each, {how}"))
        ]
        leaves = [jnp.stack(leaf) for leaf in zip(*(one["leaves"] for one in kept), strict=True)]
        found[how] = jax.tree.unflatten(structure, leaves)
        found["network_error"][how] = [one["error"] for one in kept]
        found["finite"] &= all(one["finite"] for one in kept)
    return found


class _Evaluation:
    """Fine-tunes starts on new curves: the same ones for every method, others for each seed."""

    def __init__(self, config: Any, keys: jax.Array) -> None:
        self._keys, self._block, self._blocks = keys, config.tuning_tasks, config.tasks // config.tuning_tasks
        self._errors = jax.jit(_errors, static_argnames="bound")

        @jax.jit
        def draw(keys: jax.Array, stream: Any, number: Any) -> tuple[Points, Points]:
            def of_a_seed(key: Any) -> tuple[Points, Points]:
                key = jax.random.fold_in(jax.random.fold_in(key, stream), number)
                few = jax.vmap(lambda key: CURVE.few_shot(key, max(SHOTS), QUERY))(jax.random.split(key, self._block))
                return few.support, few.query

            return jax.lax.map(of_a_seed, keys)

        self._draw = draw

    def __call__(self, theta: Any, method: str) -> dict[str, Any]:
        """Errors by shots and steps, with the step of meta-training or at the rate that is best on other curves."""
        bound = BOUND if method == "maml_bounded" else None
        found = {"start": self._tested(theta, 1, SHOTS[0], 0.0, bound)}  # a step of length zero is none
        for shots in SHOTS:
            for steps in STEPS:
                rate = INNER_RATE if method in META_LEARNED else self._best_rate(theta, steps, shots)
                found[f"{shots}_{steps}"] = self._tested(theta, steps, shots, rate, bound)
        return found

    def _best_rate(self, theta: Any, steps: int, shots: int) -> float:
        curves = self._draw(self._keys, TUNE, 0)
        tried = [np.mean(self._errors(theta, curves, steps, shots, rate)[0]) for rate in RATES]
        return RATES[int(np.argmin(tried))]

    def _tested(self, theta: Any, steps: int, shots: int, rate: float, bound: float | None) -> dict[str, Any]:
        parts = [
            self._errors(theta, self._draw(self._keys, TEST, number), steps, shots, rate, bound=bound)
            for number in range(self._blocks)
        ]
        losses, diverged = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        return {
            "mean": losses.mean(axis=1, dtype=np.float64),
            "median": np.median(losses, axis=1),
            "trimmed": np.sort(losses, axis=1)[:, : round(TRIM * losses.shape[1])].mean(axis=1, dtype=np.float64),
            "diverged": diverged.sum(axis=1),
            "rate": rate,
        }


def _errors(
    theta: Any, points: tuple[Points, Points], steps: Any, shots: Any, rate: Any, *, bound: float | None = None
) -> tuple[jax.Array, jax.Array]:
    """The error on each curve after so many steps, at most `WORST`, and whether it diverged; each (seeds, curves).

    One program for any number of steps: those beyond are of length zero.
    """
    inner = inner_loop(
        loss_of_shots, optax.sgd(lambda done: jnp.where(done < steps, rate, 0.0)), max(STEPS), clip=bound
    )
    weight = (jnp.arange(max(SHOTS)) < shots).astype(jnp.float32)

    def of_a_seed(given: tuple[Any, tuple[Points, Points]]) -> tuple[jax.Array, jax.Array]:
        theta, (support, query) = given
        weights = jnp.broadcast_to(weight, (support.x.shape[0], weight.size))
        _, outcome = over_tasks(inner, loss)(theta, None, Tasks(Shots(support, weights), query))
        return jnp.minimum(jnp.nan_to_num(outcome.query_losses, nan=WORST, posinf=WORST), WORST), outcome.diverged

    return jax.lax.map(of_a_seed, (theta, points))
