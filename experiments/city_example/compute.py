"""What `city_example` computes: the document's network with and without shares, by squared error and by effect.

    linear     the document's network and loss; for use its outputs are moved to the nearest split
    share      the same with the allocation operator as last layer, the same loss
    effect     the same network as `share`, trained on the vehicles that wait, without targets

Beside them what needs no network: an even split, Webster's rule and the exact optimum, each for the flows just seen.
A split's regret is the mean number of vehicles that wait, less that of the best split for the flows that came.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from attnjax.allocation import Split, SquaredNorm, allocate, split
from attnjax.models import SOFTMAX, ShareMLP
from attnjax.objectives import Delay, webster_split
from attnjax.reproduction import Context, Outcome
from attnjax.training.epochs import Steps, run_epoch
from experiments.city_example.flows import Flows, load_flows

INIT, TRAIN = 1, 2
"""Streams of a seed's key."""
ARMS = ("linear", "share", "effect")
RULES = ("even", "webster", "persistence")


class Rows(NamedTuple):
    """Junctions in a window; each row's parameters of F, and what is known before.

    Attributes:
        inputs: (rows, 2 n), flow over saturation of each approach in the window before, and its lanes.
        flow: (rows, n), vehicles per second in the window to be split.
        saturation: (rows, n), 1 for padding.
        least: (rows, n), the smallest share, 0 for padding.
        real: (rows, n), which approaches there are.
        green: (rows,), the part of the cycle that is green for some approach.
        target: (rows, n), the exact optimum.
    """

    inputs: Float[Array, "r m"]
    flow: Float[Array, "r n"]
    saturation: Float[Array, "r n"]
    least: Float[Array, "r n"]
    real: Bool[Array, "r n"]
    green: Float[Array, " r"]
    target: Float[Array, "r n"]


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Solves every window exactly, then trains each arm with all seeds at once; each arm is a stage."""
    flows = load_flows(config)
    rows, solved = prepared(config, flows)
    train, test = (jax.tree.map(lambda x, of=of: x[of], rows) for of in (flows.training, ~flows.training))
    keys = jax.vmap(lambda seed: jax.random.fold_in(key, seed))(jnp.arange(config.seed, config.seed + config.seeds))
    per_seed: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for arm in context.progress(ARMS, "arms"):
        found = context.stage(arm, functools.partial(train_arm, config, arm, train, test, keys))
        curves[arm] = {name: found[name] for name in ("train_loss", "test_loss")}
        per_seed |= {f"{arm}_{name}": np.asarray(value).tolist() for name, value in found["per_seed"].items()}
    for one, other in (("linear", "share"), ("share", "effect")):
        pairs = zip(per_seed[f"{one}_regret"], per_seed[f"{other}_regret"], strict=True)
        per_seed[f"{one}_less_{other}_regret"] = [a - b for a, b in pairs]
    baselines = context.stage("rules", lambda: {name: _rule(config, name, flows, test) for name in RULES})
    return Outcome(
        values={
            "rows": {"training": int(flows.training.sum()), "test": int((~flows.training).sum())},
            "signals": int(flows.signal.max()) + 1,
            "approaches": int(flows.lanes.shape[1]),
            "waiting": float(-jnp.mean(effect(config, test, test.target))),
            "rules": baselines,
            "curves": curves,
        },
        per_seed=per_seed,
        certificates={
            "largest_gap": float(jnp.max(solved.gap)),
            "all_feasible": bool(solved.feasible.all()),
        },
    )


def contribution(config: Any, row: Rows) -> Delay:
    """F's parts for one row: minus the vehicles that wait on each approach."""
    return Delay(row.flow, row.saturation, config.cycle, row.green, period=float(config.window))


def prepared(config: Any, flows: Flows) -> tuple[Rows, Split]:
    """Inputs and exact targets of all windows, and the certificates of these."""
    real = flows.lanes > 0
    count = real.sum(1, keepdims=True)
    green = 1 - config.lost * count / config.cycle
    least = np.where(real, config.least / (green * config.cycle), 0)
    saturation = np.where(real, config.saturation * flows.lanes, 1)
    inputs = np.concatenate([flows.before / saturation, flows.lanes], axis=1)
    rows = Rows(
        inputs=jnp.asarray(inputs, jnp.float32),
        flow=jnp.asarray(flows.after),
        saturation=jnp.asarray(saturation, jnp.float32),
        least=jnp.asarray(least, jnp.float32),
        real=jnp.asarray(real),
        green=jnp.asarray(green[:, 0], jnp.float32),
        target=jnp.zeros(real.shape),
    )
    solved = best(config, rows)
    return rows._replace(target=solved.shares), solved


@functools.partial(jax.jit, static_argnums=0)
def best(config: Any, rows: Rows) -> Split:
    """The exact optimum of F for each row."""

    def one(row: Rows) -> Split:
        upper = jnp.where(row.real, 1.0, 0.0)
        return split(contribution(config, row), lower=row.least, upper=upper)

    return jax.vmap(one)(rows)


@functools.partial(jax.jit, static_argnums=0)
def effect(config: Any, rows: Rows, shares: Array) -> Float[Array, " r"]:
    """F of each row at given shares: minus the vehicles that wait."""

    def one(row: Rows, w: Array) -> Array:
        return jnp.sum(jnp.where(row.real, contribution(config, row).value(jnp.where(row.real, w, 1)), 0))

    return jax.vmap(one)(rows, shares)


def predict(net: Any, params: Any, rows: Rows) -> Float[Array, "r n"]:
    """A network's outputs; as shares, each approach has its least, and the operator divides the rest."""
    if net.rule is None:
        return net.apply({"params": params}, rows.inputs)
    rest = 1 - jnp.sum(rows.least, axis=-1, keepdims=True)
    return rows.least + rest * net.apply({"params": params}, rows.inputs, rows.real)


@jax.jit
def nearest(rows: Rows, outputs: Float[Array, "r n"]) -> Float[Array, "r n"]:
    """The splits nearest to any numbers: what a city would have to do with outputs that are no shares."""

    def one(row: Rows, output: Array) -> Array:
        scores = jnp.where(row.real, output - row.least, -jnp.inf)
        return row.least + allocate(scores, 1 - jnp.sum(row.least), regularizer=SquaredNorm()).weights

    return jax.vmap(one)(rows, outputs)


def train_arm(config: Any, arm: str, train: Rows, test: Rows, keys: Any) -> dict[str, Any]:
    """All seeds of one arm: losses after each epoch (means over seeds), and what the trained networks do on test."""
    net = ShareMLP(config.hidden, train.target.shape[1], None if arm == "linear" else SOFTMAX)

    def squared(params: Any, rows: Rows) -> Array:
        return jnp.mean((predict(net, params, rows) - rows.target) ** 2)

    def waiting(params: Any, rows: Rows) -> Array:
        return -jnp.mean(effect(config, rows, predict(net, params, rows)))

    loss = waiting if arm == "effect" else squared
    optimizer = optax.adam(config.learning_rate)
    steps = Steps(len(train.target), min(config.batch_size, len(train.target)))

    @jax.jit
    @jax.vmap
    def learn(key: Any) -> tuple[Any, Array, Array]:
        params = net.init(jax.random.fold_in(key, INIT), train.inputs[:1])["params"]

        def epoch(state: Any, number: Array) -> tuple[Any, tuple[Array, Array]]:
            stream = jax.random.fold_in(key, TRAIN)
            params, memory, _ = run_epoch(loss, optimizer, steps, state[0], state[1], train, stream, number)
            return (params, memory), (squared(params, train), squared(params, test))

        (params, _), losses = jax.lax.scan(epoch, (params, optimizer.init(params)), jnp.arange(config.epochs))
        return params, *losses

    @jax.jit
    @jax.vmap
    def judge(params: Any) -> dict[str, Array]:
        outputs = predict(net, params, test)
        off = jnp.abs(jnp.sum(jnp.where(test.real, outputs, 0), axis=-1) - 1)
        negative = jnp.any(test.real & (outputs < 0), axis=-1)
        return {
            "no_split": jnp.mean((off > 0.01) | negative),
            "regret": regret(config, test, nearest(test, outputs)),
        }

    params, train_loss, test_loss = learn(keys)
    judged = judge(params) | {"train_loss": train_loss[:, -1], "test_loss": test_loss[:, -1]}
    return {
        "train_loss": np.asarray(train_loss.mean(0)),
        "test_loss": np.asarray(test_loss.mean(0)),
        "per_seed": {name: np.asarray(value) for name, value in judged.items()},
    }


def regret(config: Any, rows: Rows, shares: Array) -> Array:
    """Vehicles that wait, less those of the exact optimum: the mean over rows."""
    return jnp.mean(effect(config, rows, rows.target) - effect(config, rows, shares))


def _rule(config: Any, name: str, flows: Flows, test: Rows) -> dict[str, float]:
    """What needs no network: test loss and regret of a split made from the flows just seen."""
    seen = test._replace(flow=jnp.asarray(flows.before[~flows.training]))
    if name == "persistence":
        shares = best(config, seen).shares
    else:
        ratio = seen.flow / seen.saturation if name == "webster" else jnp.ones_like(seen.flow)
        # An approach that nobody came to counts as one with a hundredth of its saturation.
        ratio = jnp.where(seen.real, jnp.maximum(ratio, 0.01), 0)
        shares = nearest(test, jax.vmap(webster_split)(ratio))
    return {
        "test_loss": float(jnp.mean((shares - test.target) ** 2)),
        "regret": float(regret(config, test, shares)),
    }
