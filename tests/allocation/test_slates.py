"""Slates: attention that positions can give, lotteries over slates that give it, and markets of users who see them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_markets import C, N, U, creators, random_market
from test_certificates import assert_feasible, assert_sound

from attnjax.allocation import Creators, Floors, Market, Nash, decode_slates, solve
from attnjax.allocation.slates import best_slate_value, respond_by_slates
from attnjax.errors import UserError

BIAS = np.array([1.0, 0.6, 0.6, 0.0])


def mixture(random, items, bias, slates):
    """Attention from a random lottery over slates."""
    chances = random.dirichlet(np.ones(slates))
    attention = np.zeros(items)
    for chance in chances:
        attention[random.permutation(items)[: bias.size]] += chance * bias
    return attention


def expected(lottery, items, bias):
    attention = np.zeros(items)
    for chance, slate in zip(lottery.chance, lottery.items, strict=True):
        attention[slate] += chance * bias
    return attention


# --- decoding ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(0, 4), st.integers(1, 6))
def test_a_lottery_gives_each_item_the_attention_it_was_made_from(seed, places, more, slates):
    random = np.random.default_rng(seed)
    bias = -np.sort(-np.round(random.random(places), 1))  # ties, and sometimes a last position of nothing
    bias[0] = 1
    attention = mixture(random, places + more, bias, slates)
    lottery = decode_slates(attention, bias)
    assert lottery.chance.sum() == pytest.approx(1, abs=1e-12)
    assert (lottery.chance > 0).all()
    assert lottery.items.shape == (lottery.chance.size, places)
    assert all(len(set(slate)) == places for slate in lottery.items)
    np.testing.assert_allclose(expected(lottery, places + more, bias), attention, atol=1e-6)


def test_even_attention_and_a_single_slate_are_decoded():
    bias = np.array([1.0, 0.5, 0.25])
    even = np.full(7, bias.sum() / 7)
    np.testing.assert_allclose(expected(decode_slates(even, bias), 7, bias), even, atol=1e-6)
    sure = decode_slates([0.0, 0.25, 1.0, 0.0, 0.5], bias)
    np.testing.assert_array_equal(sure.items, [[2, 4, 1]])


UNDECODABLE = {
    "too much for one item": ([1.2, 0.3], [1.0, 0.5], r"whose k largest entries sum to.*0.2 too much"),
    "too much for two": ([0.9, 0.9, 0.0], [1.0, 0.5, 0.3], r"0.3 too much"),
    "too little in all": ([0.5, 0.3], [1.0, 0.5], r"attention that sums to the positions' 1.5, got 0.8"),
    "negative attention": ([1.6, -0.1], [1.0, 0.5], r"attention \(n,\)"),
    "more positions than items": ([1.0], [1.0, 0.5], r"n >= 2.*got 1 items"),
}


@pytest.mark.parametrize(("attention", "bias", "message"), UNDECODABLE.values(), ids=UNDECODABLE)
def test_what_no_lottery_gives_is_refused(attention, bias, message):
    with pytest.raises(UserError, match="decode_slates: expected .*" + message):
        decode_slates(attention, bias)


# --- responses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [32, 64])
def test_smoothed_slates_are_slates_and_the_best_in_the_limit(precision):
    """In the permutohedron at any temperature, ties, exclusions and large worth included."""
    with jax.enable_x64(precision == 64):
        random = np.random.default_rng(0)
        worth = random.normal(size=(6, 7)) * np.array([[1.0], [1e4], [1e-4], [1.0], [0.0], [1.0]])
        worth[3, 4:] = -np.inf  # as many as there are positions, but one of which is worth nothing
        worth[5] = np.round(worth[5])
        budgets, seen = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 1e-6]), np.isfinite(worth)
        z, bias, r = jnp.asarray(worth), jnp.asarray(BIAS), jnp.asarray(budgets)
        tolerance = 1e-6 if precision == 32 else 1e-12
        best = np.asarray(best_slate_value(z, r, bias))
        run = jax.jit(respond_by_slates)
        for relative in (1.0, 1e-2, 1e-4):
            unit = np.where(seen, abs(np.where(seen, worth, 0)), 0).max(axis=1)
            temperature = relative * np.where(unit > 0, unit, 1)
            found = np.asarray(run(z, jnp.asarray(temperature), r, bias).attention, float)
            assert (found >= 0).all()
            assert (found[~seen] == 0).all()
            most = budgets[:, None] * np.append(np.cumsum(BIAS), [BIAS.sum()] * 3)
            assert (np.cumsum(-np.sort(-found, axis=1), axis=1) <= most * (1 + tolerance)).all()
            np.testing.assert_allclose(found.sum(axis=1), most[:, -1], rtol=tolerance)
            lost = best - (np.where(seen, worth, 0) * found).sum(axis=1)
            assert (lost >= -10 * tolerance * unit * budgets).all()
            # Fermi-Dirac entropy of a place is at most log 2 per item.
            assert (lost <= (temperature * BIAS.sum() * 7 * np.log(2) + 10 * tolerance * unit) * budgets).all()


# --- markets -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("x64")
def test_what_a_market_of_slates_gives_can_be_shown():
    market = random_market("floors slates", 1)
    found = solve(market, 1e-6)
    for row, budget in zip(np.asarray(found.attention), np.asarray(market.budgets), strict=True):
        lottery = decode_slates(row / budget, market.position_bias)
        np.testing.assert_allclose(expected(lottery, N, np.asarray(market.position_bias)), row / budget, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_slates_at_their_edges():
    """One program: as many items as positions, positions worth nothing, ties, users without budget, few chances."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(U, N))
    exact = np.where(np.argsort(random.random((U, N)), axis=1) < 4, scores, -np.inf)
    idle = np.where(np.arange(U)[:, None] == 2, -np.inf, scores)
    free = {"position_bias": BIAS, "budgets": 1.0}
    cases = {
        "exactly as many items as positions": (exact, free),
        "a last position of no attention": (scores, free),
        "every position alike": (scores, free | {"position_bias": np.ones(4)}),
        "one position that counts": (scores, free | {"position_bias": [1.0, 0, 0, 0]}),
        "ties": (np.round(scores), free),
        "nothing to choose": (np.ones((U, N)), free),
        "an idle user": (idle, free | {"budgets": np.where(np.arange(U) == 2, 0.0, 1.0)}),
        "budgets of 1e-6": (scores, free | {"budgets": 1e-6}),
        "budgets of 1e6": (scores, free | {"budgets": 1e6}),
    }
    for name, (given_scores, terms) in cases.items():
        market = Market.of(given_scores, creators(), Nash(jnp.ones(C)), **terms)
        found = solve(market, 1e-5)
        assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found)), name
        assert bool(found.converged), name
        assert_feasible(market, found.attention, 1e-9)
        if "budgets of" not in name:  # the other solver's numbers must be of order one
            assert_sound(market, found, 1e-7)


@pytest.mark.usefixtures("x64")
def test_slates_of_one_position_are_a_market_without_slates():
    random = np.random.default_rng(2)
    scores, budgets = random.normal(size=(U, N)), random.uniform(0.5, 2, U)
    terms = {"budgets": budgets, "temperature": 0.0}
    plain = solve(Market.of(scores, creators(), Nash(jnp.ones(C)), **terms), 1e-6)
    slates = solve(Market.of(scores, creators(), Nash(jnp.ones(C)), position_bias=[1.0], **terms), 1e-6)
    assert float(slates.lower) <= float(plain.upper)
    assert float(plain.lower) <= float(slates.upper)
    np.testing.assert_allclose(slates.exposure, plain.exposure, rtol=1e-3)


REFUSALS = {
    "rising attention": (
        {"position_bias": [0.5, 1.0]},
        r"position_bias of shape \(positions,\), falling.*\[0.5, 1.0\]",
    ),
    "no attention": ({"position_bias": [0.0, 0.0]}, r"the first above 0"),
    "negative attention": ({"position_bias": [1.0, -0.5]}, r"falling, the first above 0"),
    "a table": ({"position_bias": np.ones((2, 2))}, r"position_bias of shape"),
    "no positions": ({"position_bias": np.ones(0)}, r"position_bias of shape"),
    "a temperature": ({"position_bias": [1.0], "temperature": 1.0}, r"without preference.*got a temperature above 0"),
    "caps": ({"position_bias": [1.0], "caps": 0.5}, r"got caps on entries"),
    "upper bounds": ({"position_bias": [1.0], "at_most": True}, r"got budgets as upper bounds"),
    "too long": ({"position_bias": np.ones(4)}, r"as many admissible items as positions \(4\).*got 3 for user 0"),
}


@pytest.mark.parametrize(("terms", "message"), REFUSALS.values(), ids=REFUSALS)
def test_slates_that_cannot_be_are_refused(terms, message):
    with pytest.raises(UserError, match="Market.of: expected .*" + message):
        Market.of(np.zeros((2, 3)), Creators.one_per_item(3), **terms)


def test_floors_above_what_the_best_position_gives_are_refused():
    """An item is shown at most at the first position to everybody."""
    for floor in (2.9, 3.4):
        value = Floors(jnp.array([floor, 0.1, 0.1, 0.1]))
        market = Market.of(np.zeros((3, 4)), Creators.one_per_item(4), value, position_bias=[1.0, 0.5])
        if floor < 3:
            assert bool(jnp.isfinite(solve(market, 1e-3, max_iterations=300).gap))
            continue
        with pytest.raises(UserError, match=r"floors missed by 0\.39\d* to 0\.4\d* in all.*1 creators \(0\)"):
            solve(market, 1e-3)
