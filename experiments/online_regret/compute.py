"""What `online_regret` computes: online runs of growing length, and the optimum of the same users in hindsight.

User u's score of creator j's item is s_uj = q_j + <x_u, y_j> + 0.3 noise, with quality q_j and taste x_u normal. Users
come one by one, in random order or sorted by the first coordinate of their taste. Regret is the certified upper bound
of the hindsight optimum less the welfare reached. Floors can be missed online; each missing unit is then charged twice
the highest hindsight price, so that missing them never pays (welfare gains at most the price per unit).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.allocation import Box, Creators, CreatorValue, Floors, Market, Nash, solve
from attnjax.allocation.online import OnlineMarket, State, hindsight_bound
from attnjax.reproduction import Context, Outcome

TRUTH, USERS, SAMPLE = 1, 2, 3
"""Streams of a seed's key."""

TASTES = 3
MARKETS = ("nash", "floors", "caps", "caps_without_variety")
RUNS = ("random", "sorted", "warm")


def sizes(config: Any) -> list[int]:
    """From 100 up to the largest, so many per decade."""
    count = int(np.floor(config.per_decade * np.log10(config.largest / 100) + 1e-9)) + 1
    return [round(100 * 10 ** (k / config.per_decade)) for k in range(count)]


def run(config: Any, key: Any, context: Context) -> Outcome:
    """All markets at all sizes; seeds are batched."""
    keys = [jax.random.fold_in(key, seed) for seed in range(config.seed, config.seed + config.seeds)]
    counts = sizes(config)
    found = [
        context.stage(f"users_{count}", functools.partial(_at_size, config, keys, count))
        for count in context.progress(counts, "sizes")
    ]
    regret = {  # (sizes, seeds)
        (name, how): np.array([at[name][f"{how}_regret"] for at in found]) for name in MARKETS for how in RUNS
    }
    last = np.array(counts) >= counts[-1] / 10.5
    per_seed: dict[str, Any] = {}
    for (name, how), table in regret.items():
        per_seed[f"{name}_{how}_exponent"] = exponents(counts, table)
        per_seed[f"{name}_{how}_last_exponent"] = exponents(np.array(counts)[last], table[last])
        per_seed[f"{name}_{how}_regret"] = table[-1]
        per_seed[f"{name}_{how}_relative_regret"] = table[-1] / np.abs(found[-1][name]["hindsight"])
    for name in MARKETS:
        for what in ("one_pass", "two_pass", "shortfall", "cap_used"):
            per_seed[f"{name}_{what}"] = found[-1][name][what]
    return Outcome(
        values={
            "sizes": counts,
            "regret": {name: {how: regret[name, how] for how in RUNS} for name in MARKETS},
            "floors_missed": [at["floors"]["shortfall"] for at in found],
            "least_regret": float(min(table.min() for table in regret.values())),
        },
        per_seed={name: [float(x) for x in values] for name, values in per_seed.items()},
        certificates={
            name: {
                "largest_relative_gap": max(float(np.max(at[name]["gap"])) for at in found),
                "all_converged": all(bool(np.all(at[name]["converged"])) for at in found),
            }
            for name in MARKETS
        },
    )


def draw(config: Any, key: Any, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores of users in random order and sorted by taste, (count, creators), and of an earlier sample."""
    key_quality, key_tastes = jax.random.split(jax.random.fold_in(key, TRUTH))
    quality = jax.random.normal(key_quality, (config.creators,))
    appeal = jax.random.normal(key_tastes, (config.creators, TASTES)) / np.sqrt(TASTES)

    def users(stream: int, number: int) -> tuple[jax.Array, jax.Array]:
        key_taste, key_noise = jax.random.split(jax.random.fold_in(key, stream))
        taste = jax.random.normal(key_taste, (number, TASTES))
        noise = jax.random.normal(key_noise, (number, config.creators))
        return taste, quality[None, :] + taste @ appeal.T + 0.3 * noise

    taste, scores = users(USERS, count)
    return scores, scores[jnp.argsort(taste[:, 0])], users(SAMPLE, config.sample)[1]


def market_of(config: Any, name: str, count: int) -> OnlineMarket:
    """One of the markets, for so many users of budget 1."""
    equal = jnp.full(config.creators, count / config.creators)
    values: dict[str, CreatorValue] = {
        "nash": Nash(config.nash_weight * equal),
        "floors": Floors(config.floor * equal),
        "caps": Box(0 * equal, config.cap * equal),
        "caps_without_variety": Box(0 * equal, config.cap * equal),
    }
    return OnlineMarket.of(
        Creators.one_per_item(config.creators),
        values[name],
        horizon=count,
        temperature=0.0 if name == "caps_without_variety" else config.temperature,
        step=config.step,
    )


@jax.jit
def stream(market: OnlineMarket, state: State, scores: jax.Array) -> State:
    """Users (u, n) one by one: the state after the last."""
    return jax.lax.scan(lambda state, one: (market.arrive(state, one[None])[0], None), state, scores)[0]


_streams = jax.jit(jax.vmap(stream, (None, 0, 0)))


def _at_size(config: Any, keys: list[Any], count: int) -> dict[str, Any]:
    """Every market with so many users, for all seeds."""
    drawn = [draw(config, key, count) for key in keys]
    random, ordered = (jnp.stack([one[k] for one in drawn]) for k in (0, 1))
    results = {}
    for name in MARKETS:
        market = market_of(config, name, count)
        solved = [solve(_padded(config, market, scores), config.tol, method="newton") for scores in random]
        upper, prices = np.array([s.upper for s in solved]), np.array([np.abs(s.prices).max() for s in solved])
        samples = [_padded(config, market, one[2], config.sample / count) for one in drawn]
        warm = jnp.stack([solve(sample, 1e-4, method="newton").prices for sample in samples])
        warm = jax.vmap(market.creator_value.admissible)(warm, warm)
        cold = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(keys), *leaf.shape)), market.init())
        begin = jax.vmap(lambda p, market=market: market.init(p, confidence=config.sample))(warm)
        ends = {
            "random": _streams(market, cold, random),
            "sorted": _streams(market, cold, ordered),
            "warm": _streams(market, begin, random),
        }
        found: dict[str, Any] = {
            "hindsight": upper,
            "gap": np.array([s.gap / jnp.abs(s.upper) for s in solved]),
            "converged": np.array([bool(s.converged) for s in solved]),
        }
        for how, state in ends.items():
            certificate = jax.vmap(market.certificate)(state)
            welfare, missing = certificate.welfare, np.asarray(certificate.shortfall.sum(axis=1))
            reached = welfare.satisfaction + welfare.variety + (welfare.creators if name == "nash" else 0)
            found[f"{how}_regret"] = upper - np.asarray(reached) + 2 * prices * missing
            if how == "random":
                bounds = [
                    hindsight_bound(market.offline(s), p) for s, p in zip(random, certificate.prices, strict=True)
                ]
                equal = count / config.creators
                found["one_pass"] = (np.asarray(certificate.upper) - upper) / np.abs(upper)
                found["two_pass"] = (np.array(bounds) - upper) / np.abs(upper)
                found["shortfall"] = missing / (config.floor * count) if name == "floors" else np.zeros(len(keys))
                most = np.asarray(state.sums.exposure.max(axis=1)) / (config.cap * equal)
                found["cap_used"] = most if name.startswith("caps") else np.zeros(len(keys))
        results[name] = found
    return results


def _padded(config: Any, market: OnlineMarket, scores: jax.Array, share: float = 1.0) -> Market:
    """The offline market, with users without budget to a common size: few sizes, few compilations."""
    users = scores.shape[0]
    size = max(users, min(config.largest, 10_000))
    scores = jnp.zeros((size, scores.shape[1])).at[:users].set(scores)
    return market.offline(scores, jnp.where(jnp.arange(size) < users, 1.0, 0.0), share=share)


def exponents(counts: Any, table: np.ndarray) -> np.ndarray:
    """Each seed's slope of log regret in log users; regret of 0 or less counts as a thousandth."""
    logs = np.log(np.maximum(table, 1e-3))
    return np.polyfit(np.log(counts), logs, 1)[0]
