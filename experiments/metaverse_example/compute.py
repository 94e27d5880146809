"""What `metaverse_example` computes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.allocation import Allocation, allocate
from attnjax.objectives import (
    Descent,
    iterate_revenue_rate,
    revenue_rate,
    shop_by_descent,
    shop_by_operator,
    shop_loss,
    shop_optimum,
)
from attnjax.reproduction import Context, Outcome

PRICES, STARTS = 1, 2
"""Streams of the key."""


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Solves random shops in every way, and measures what the document's own recipe does."""
    low, high = jnp.log(0.1), jnp.log(20.0)
    shape = (config.instances, config.goods)
    prices = jnp.exp(jax.random.uniform(jax.random.fold_in(key, PRICES), shape, minval=low, maxval=high))
    ways = context.stage("three_ways", lambda: _three_ways(config, prices, context))
    rates = context.stage("fixed_point", _fixed_point)
    descent = context.stage("unprojected", lambda: _unprojected(prices, jax.random.fold_in(key, STARTS)))
    return Outcome(
        values={
            "ways": ways["differences"],
            "largest_difference": max(max(row["descent"], row["operator"]) for row in ways["differences"].values()),
            "example": _example(),
            "fixed_point": rates,
            "unprojected": descent,
            "constant_satisfaction": _constant_satisfaction(),
        },
        certificates={
            "descent_converged": ways["converged"],
            "largest_operator_gap": ways["largest_gap"],
            "most_descent_steps": ways["most_steps"],
        },
    )


def _three_ways(config: Any, prices: jax.Array, context: Context) -> dict[str, Any]:
    """Largest differences from the closed form over all instances, by kind of budget."""
    cases: list[tuple[str, float | None, bool]] = [("no budget", None, False)]
    cases += [(f"sum = {budget:g}", budget, False) for budget in config.budgets]
    cases += [(f"sum <= {budget:g}", budget, True) for budget in config.budgets]
    solved = {name: _one_case(prices, budget, at_most) for name, budget, at_most in context.progress(cases, "budgets")}
    return {
        "differences": {
            name: {key: case[key] for key in ("descent", "operator", "descent_loss")} for name, case in solved.items()
        },
        "converged": all(case["converged"] for case in solved.values()),
        "largest_gap": max(case["gap"] for case in solved.values()),
        "most_steps": max(case["steps"] for case in solved.values()),
    }


def _one_case(prices: jax.Array, budget: float | None, at_most: bool) -> dict[str, Any]:
    """All shops under one kind of budget, in the three ways."""
    start = jnp.full(prices.shape[1], 0.5)
    # No attention exceeds the start, the budget or the optimum without one: a step below 1 / the largest curvature.
    largest = float(revenue_rate(prices).max()) if budget is None else max(budget, 1.0)
    learning_rate = 1 / (6 * max(largest, 0.5))
    # The operator knows no "no budget": an upper bound that can't bind is the same.
    room, loose = (1e3, True) if budget is None else (budget, at_most)

    def solve(income: jax.Array) -> tuple[jax.Array, Descent, Allocation]:
        return (
            shop_optimum(income, budget, at_most=at_most),
            shop_by_descent(
                income,
                start,
                budget,
                learning_rate=learning_rate,
                max_iterations=500_000,
                tolerance=1e-13,
                at_most=at_most,
            ),
            shop_by_operator(income, room, at_most=loose),
        )

    exact, descent, chosen = jax.jit(jax.vmap(solve))(prices)
    loss = jax.vmap(shop_loss)
    return {
        "descent": float(jnp.abs(descent.attention - exact).max()),
        "operator": float(jnp.abs(chosen.weights - exact).max()),
        "descent_loss": float(jnp.abs(loss(descent.attention, prices) - loss(exact, prices)).max()),
        "converged": bool(descent.converged.all()),
        "gap": float((chosen.gap / jnp.maximum(jnp.abs(chosen.value), 1)).max()),
        "steps": int(descent.iterations.max()),
    }


def _example() -> dict[str, Any]:
    """One shop that a reader can follow: six goods, attention against the budget, and the price of attention."""
    prices = jnp.array([0.5, 1.0, 2.0, 3.0, 6.0, 12.0])
    budgets = jnp.linspace(0.05, 6.0, 60)
    chosen = jax.vmap(lambda r: shop_by_operator(prices, r, at_most=True))(budgets)
    return {
        "income": np.asarray(prices),
        "rate": np.asarray(revenue_rate(prices)),
        "budgets": np.asarray(budgets),
        "attention": np.asarray(chosen.weights),
        "price_of_attention": np.asarray(chosen.threshold),
        "unbounded": np.asarray(shop_optimum(prices)),
    }


def _fixed_point() -> dict[str, Any]:
    """The document's b <- p / (1 + b): its error step by step, and its rate beside b / (1 + b)."""
    income = jnp.array([0.5, 2.0, 20.0, 1000.0])
    root = revenue_rate(income)
    error = jnp.abs(iterate_revenue_rate(income, 200) - root[None])
    # The rate where the error is small enough to be linear and large enough to be seen.
    ratios = np.asarray(error[1:] / jnp.where(error[:-1] > 0, error[:-1], jnp.nan))
    visible = np.asarray((error[:-1] > 1e-9 * root[None]) & (error[:-1] < 1e-2 * root[None]))
    measured = [float(np.median(ratios[visible[:, k], k])) for k in range(income.size)]
    return {
        "income": np.asarray(income),
        "rate": np.asarray(root / (1 + root)),
        "measured_rate": measured,
        "largest_difference": float(np.max(np.abs(np.asarray(measured) - np.asarray(root / (1 + root))))),
        "relative_error": np.asarray(error[:60] / root[None]),
    }


def _unprojected(prices: jax.Array, key: Any) -> dict[str, Any]:
    """The document's descent to the letter, from starts with one negative entry and from non-negative ones."""
    starts = jax.random.uniform(key, prices.shape, minval=0.1, maxval=1.0)
    # Below -b / sqrt 3 the cubic falls without end; between that and 0 descent still climbs back.
    negative = starts.at[:, 0].set(-1.5 * revenue_rate(prices[:, 0]) / 3**0.5)

    def descend(start: jax.Array, p: jax.Array) -> Any:
        return shop_by_descent(p, start, learning_rate=0.01, max_iterations=20_000, tolerance=1e-12, projected=False)

    run_away = jax.vmap(descend)(negative, prices)
    fine = jax.vmap(descend)(starts, prices)
    return {
        "diverged_from_negative": float(jnp.mean(~run_away.converged & ~(run_away.attention.min(axis=1) > -1e3))),
        "converged_from_positive": float(jnp.mean(fine.converged)),
    }


def _constant_satisfaction() -> dict[str, float]:
    """With satisfaction that does not fall with attention the problem is linear: one good takes the whole budget."""
    scores = jnp.array([0.4, 0.7, 0.69, 0.1])
    share = [float(allocate(scores, temperature=t).weights.max()) for t in (1e-1, 1e-2, 1e-3)]
    return {"largest_share_t_0.1": share[0], "largest_share_t_0.01": share[1], "largest_share_t_0.001": share[2]}
