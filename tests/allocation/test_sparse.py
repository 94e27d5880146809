"""Sparse candidates, caps on entries and the edges of both: the same market however it is written down."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_markets import C, K, N, U, creators, random_market, some_attention
from test_certificates import assert_feasible, assert_sound

from attnjax.allocation import AlphaFair, Box, Creators, Market, MaxMin, Nash, exposure_of, solve, welfare_of
from attnjax.errors import UserError

double = pytest.mark.usefixtures("x64")


def written_densely(market):
    """The same market with a score for every item, -inf where there was no candidate."""
    rows, columns = np.arange(U)[:, None], np.asarray(market.candidates)
    open_ = np.isfinite(np.asarray(market.scores))

    def spread(array, empty):
        if array is None:
            return None
        dense = np.full((U, N), empty)
        dense[np.broadcast_to(rows, open_.shape)[open_], columns[open_]] = np.asarray(array)[open_]
        return jnp.asarray(dense)

    return dataclasses.replace(
        market,
        candidates=None,
        scores=spread(market.scores, -np.inf),
        impact=spread(market.impact, 0.0),
        caps=spread(market.caps, np.inf),
    )


@pytest.mark.parametrize("kind", ["box sparse", "alpha sparse impact", "soft sparse caps at_most"])
@double
def test_candidates_are_a_dense_market_with_exclusions(kind):
    """Welfare of the same attention is the same, and so is the optimum."""
    market = random_market(kind, 2)
    dense = written_densely(market)
    attention = some_attention(market, np.random.default_rng(0))
    same = np.zeros((U, N))
    np.add.at(same, (np.arange(U)[:, None], np.asarray(market.candidates)), attention)
    np.testing.assert_allclose(
        exposure_of(market, jnp.asarray(attention)), exposure_of(dense, jnp.asarray(same)), rtol=1e-12
    )
    one, other = welfare_of(market, jnp.asarray(attention)), welfare_of(dense, jnp.asarray(same))
    np.testing.assert_allclose(one.total, other.total, rtol=1e-12)
    sparse, full = (solve(m, 1e-6, method="newton") for m in (market, dense))
    assert bool(sparse.converged)
    assert bool(full.converged)
    assert float(sparse.lower) <= float(full.upper) + 1e-12
    assert float(full.lower) <= float(sparse.upper) + 1e-12


@double
def test_the_order_of_candidates_and_what_pads_them_change_nothing():
    market = random_market("box sparse", 0)
    found = solve(market, 1e-6)
    order = np.argsort(np.random.default_rng(1).random((U, K)), axis=1)
    turned = jax.tree.map(
        lambda x: jnp.take_along_axis(x, jnp.asarray(order), axis=1), (market.scores, market.candidates)
    )
    other = solve(dataclasses.replace(market, scores=turned[0], candidates=turned[1]), 1e-6)
    np.testing.assert_allclose(other.attention, np.take_along_axis(np.asarray(found.attention), order, 1), atol=1e-9)
    # User 0's last candidate is padding: which item it names does not matter.
    for item in range(N):
        padded = dataclasses.replace(market, candidates=market.candidates.at[0, -1].set(item))
        np.testing.assert_allclose(solve(padded, 1e-6).prices, found.prices, atol=1e-12)


@double
def test_one_candidate_each_leaves_nothing_to_decide():
    items = np.arange(U)[:, None] % N
    market = Market.of(np.ones((U, 1)), creators(), Nash(jnp.ones(C)), candidates=items, temperature=0.0)
    found = solve(market, 1e-6)
    np.testing.assert_allclose(found.attention, 1, rtol=1e-12)
    assert bool(found.converged)
    assert float(found.gap) == pytest.approx(0, abs=1e-9)


def _spread_scores(random, scores):
    return np.sign(scores) * 10 ** random.uniform(-4, 4, scores.shape)


EDGES = {
    "five-level ratings": lambda r, s: {"scores": np.clip(np.round(s * 1.5), -2, 2) + 3},
    "all alike": lambda r, s: {"scores": np.ones_like(s)},
    "mostly zero": lambda r, s: {"scores": np.maximum(s - 1, 0)},
    "scores over eight decades": lambda r, s: {"scores": _spread_scores(r, s)},
    "budgets of 1e-6": lambda r, s: {"budgets": 1e-6},
    "budgets of 1e6": lambda r, s: {"budgets": 1e6},
    "an idle user": lambda r, s: {
        "scores": np.where(np.arange(U)[:, None] == 1, -np.inf, s),
        "budgets": np.where(np.arange(U) == 1, 0.0, 1.0),
    },
    "caps that are the budget": lambda r, s: {"caps": np.full_like(s, 1 / s.shape[1])},
    "caps of nothing on some": lambda r, s: {"caps": np.where(np.arange(s.shape[1]) == 0, 0.0, 1.0) * np.ones_like(s)},
}
VALUES = {
    "alpha": lambda even: AlphaFair(jnp.ones(C), jnp.array([0.5, 1.0, 2.0, 5.0]), jnp.full(C, even)),
    "maxmin": lambda even: MaxMin(jnp.ones(C)),
    "box": lambda even: Box(jnp.full(C, 0.3 * even), jnp.full(C, 2.0 * even)),
}


@pytest.mark.parametrize("value", VALUES)
@double
def test_at_the_edges_sparse_markets_with_caps_converge_or_say_that_they_did_not(value):
    """One program per value. Nothing is NaN; whatever is certified is feasible and sound."""
    random = np.random.default_rng(0)
    candidates = np.stack([np.arange(u, u + K) % N for u in range(U)])
    scores = random.normal(size=(U, K))
    missed = []
    for name, edge in EDGES.items():
        terms = {"scores": scores, "budgets": 1.0, "caps": 0.8} | edge(random, scores)
        budgets = np.broadcast_to(terms["budgets"], (U,))
        terms["caps"] = np.broadcast_to(terms["caps"], (U, K)) * np.where(budgets > 0, budgets, 1)[:, None]
        market = Market.of(
            terms.pop("scores"),
            creators(),
            VALUES[value](budgets.sum() / C),
            candidates=candidates,
            temperature=0.0,
            **terms,
        )
        found = solve(market, 1e-5, method="newton", max_iterations=400)
        assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found)), name
        assert_feasible(market, found.attention, 1e-9)
        if "budgets of" not in name and "decades" not in name:  # the other solver's numbers must be of order one
            assert_sound(market, found, 1e-8)
        if not bool(found.converged):
            missed.append(name)
    assert set(missed) <= {"scores over eight decades"}


REFUSALS = {
    "an item twice": ({"candidates": [[0, 1], [2, 2]]}, r"each item once among.*an item twice for user 1"),
    "an item that is not there": ({"candidates": [[0, 1], [2, 3]]}, r"candidates from 0 to 2, or -1.*got 0 to 3"),
    "a negative item": ({"candidates": [[0, 1], [2, -2]]}, r"got -2 to 2"),
    "another shape": ({"candidates": [[0], [1]]}, r"of one shape.*shapes \(2, 2\) and \(2, 1\)"),
    "no integers": ({"candidates": [[0.0, 1.0], [2.0, 1.0]]}, r"candidates of float"),
    "nothing but padding": ({"candidates": [[0, 1], [-1, -1]]}, r"an admissible item for every user.*none for user 1"),
    "caps below the budget": ({"caps": 0.4}, r"caps under which every budget can be spent, got caps that sum to 0.8"),
    "negative caps": ({"caps": -1.0}, r"caps of at least 0"),
    "NaN caps": ({"caps": np.nan}, r"caps of at least 0"),
    "caps of another shape": ({"caps": np.ones(2)}, r"the scores' shape \(2, 2\), got shape \(2,\)"),
    "negative impact": ({"impact": -1.0}, r"an impact of at least 0, got -1.0"),
    "infinite impact": ({"impact": np.inf}, r"impact to be finite"),
}


@pytest.mark.parametrize(("terms", "message"), REFUSALS.values(), ids=REFUSALS)
def test_entries_that_do_not_fit_are_refused(terms, message):
    call = {"candidates": [[0, 1], [2, 1]]} | terms
    with pytest.raises(UserError, match="Market.of: expected .*" + message):
        Market.of(np.zeros((2, 2)), Creators.one_per_item(3), **call)


def test_caps_below_the_budget_are_fine_where_it_need_not_be_spent():
    market = Market.of(np.zeros((2, 3)), Creators.one_per_item(3), caps=0.1, at_most=True)
    np.testing.assert_allclose(market.caps, 0.1)
