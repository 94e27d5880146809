"""The users' side of the dual: responses are the operator's, move and fall short of the best as they say."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_markets import some_attention
from scipy.optimize import linprog

from attnjax.allocation import Creators, Market, SquaredNorm, allocate
from attnjax.allocation.tiles import users_of
from attnjax.allocation.user_sides import behind, respond, taste

U, N = 5, 6
BUDGETS = np.array([1.0, 0.4, 2.0, 0.0, 1.5])
pytestmark = pytest.mark.usefixtures("x64")


def market_of(words, temperature=0.5):
    random = np.random.default_rng(3)
    scores = 2 * random.normal(size=(U, N))
    scores[0, 1] = scores[2, :2] = scores[3] = -np.inf
    more = {}
    if "caps" in words:  # under which some can't spend all they have
        low, high = (0.05, 0.3) if "at_most" in words else (0.4, 0.9)
        more["caps"] = random.uniform(low, high, (U, N)) * BUDGETS[:, None]
    if "slates" in words:
        more["position_bias"] = [1.0, 0.5, 0.0]
    if "squared" in words:
        more["regularizer"] = SquaredNorm()
    return Market.of(
        scores,
        Creators.one_per_item(N),
        budgets=BUDGETS,
        temperature=0.0 if "slates" in words else temperature,
        at_most="at_most" in words,
        **more,
    )


WORDS = ["", "at_most", "caps", "caps at_most", "squared caps at_most", "slates"]
by_words = pytest.mark.parametrize("words", WORDS)


@jax.jit
def looked_at(market, temperature, others):
    """All there is to know of users at their scores, in one program; `others` are more attentions (m, u, n)."""
    seen = market.scores > -jnp.inf

    def attention(worth, temperature):
        return respond(market, users_of(market, temperature), jnp.where(seen, worth, -jnp.inf)).attention

    worth, users = jnp.where(seen, market.scores, 0), users_of(market, temperature)
    found = respond(market, users, market.scores)
    lost = jax.vmap(lambda a: behind(market, users, market.scores, a))
    own = jax.vmap(lambda a: taste(market, users, a))
    many = jnp.concatenate([found.attention[None], others])
    zero, one = jnp.zeros_like(temperature), jnp.ones_like(temperature)
    in_temperature = jax.jvp(attention, (worth, temperature), (jnp.zeros_like(worth), one))[1]
    # As a caller's scores move, with -inf among them and the temperature at rest.
    flat = jax.jvp(
        lambda z, t: respond(market, users_of(market, t), z).attention,
        (market.scores, temperature),
        (jnp.where(seen, 1.0, 0.0), zero),
    )[1]
    reverse = jax.grad(lambda t: attention(worth, t)[0, 0])(temperature)
    return found, jax.jacfwd(attention)(worth, temperature), lost(many), own(many), (in_temperature, flat, reverse)


@by_words
def test_users_respond_and_fall_behind_as_they_say(words):
    market = market_of(words)
    random, seen = np.random.default_rng(1), np.isfinite(np.asarray(market.scores))
    others = jnp.asarray(np.stack([some_attention(market, random) for _ in range(5)]))
    found, slopes, lost, own, moved = looked_at(market, jnp.full(U, 0.5), others)
    # da = [diag(own) - sum_k shared_k shared_k'] dz, against automatic differentiation.
    for u in range(U):
        said = np.diag(found.own[u]) - np.einsum("kn,km->nm", found.shared[u], found.shared[u])
        np.testing.assert_allclose(said, slopes[u, :, u, :] * np.outer(seen[u], seen[u]), atol=1e-9)
    np.testing.assert_array_equal(slopes[0, :, 1], np.zeros((N, N)))  # nobody's worth moves another's attention
    # An excluded entry's worth is -inf whatever it is divided by, and so are all of a user's who may see nothing.
    assert all(np.isfinite(slope).all() for slope in moved)
    if not market.at_most:  # all worth more by the same changes nothing
        np.testing.assert_allclose(moved[1], 0, atol=1e-9)
    # How far from the best at the market's own temperature: not at all at the response, and at others by its taste.
    for temperature in [0.0] if "slates" in words else [0.0, 0.5]:
        market = dataclasses.replace(market, temperature=jnp.asarray(temperature))
        band = 1e-9 if temperature else 1e-3  # a response at temperature 1e-5 is not quite the best at 0
        _, _, lost, own, _ = looked_at(market, jnp.full(U, temperature or 1e-5), others)
        np.testing.assert_allclose(lost[0], 0, atol=band)
        assert (np.asarray(lost) >= -1e-12).all()
        np.testing.assert_allclose(lost[1:], own[:1] - own[1:], atol=band)


@pytest.mark.parametrize("words", ["", "at_most"])
def test_the_softmax_in_closed_form_is_the_operators(words):
    market = market_of(words)
    found = respond(market, users_of(market, jnp.full(U, 0.5)), market.scores)
    alone = jax.vmap(lambda s, r: allocate(s, r, temperature=0.5, at_most=market.at_most).weights)
    np.testing.assert_allclose(found.attention, alone(market.scores, market.budgets), atol=1e-12)


def all_lost(market):
    """How far users who do nothing are from the best."""
    return behind(market, users_of(market, market.budgets), market.scores, jnp.zeros_like(market.scores))


@pytest.mark.parametrize("at_most", [False, True])
def test_without_variety_the_best_under_caps_is_the_linear_programmes(at_most):
    """By HiGHS, user by user; budgets beyond all caps too, and worth below 0."""
    random = np.random.default_rng(0)
    for shift, scale in itertools.product((-3.0, 0.0, 3.0), (0.25, 0.6)):
        caps = random.uniform(0.5, 1.0, (U, N)) * scale * BUDGETS[:, None] if at_most else np.ones((U, N))
        scores = np.where(BUDGETS[:, None] > 0, shift + random.normal(size=(U, N)), -np.inf)
        one = Creators.one_per_item(N)
        market = Market.of(scores, one, budgets=BUDGETS, caps=caps, temperature=0.0, at_most=at_most)
        found = jax.jit(all_lost)(market)
        for u in range(U):
            z = np.where(np.isfinite(scores[u]), scores[u], 0)
            rows = {"A_ub" if at_most else "A_eq": np.ones((1, N)), "b_ub" if at_most else "b_eq": BUDGETS[u : u + 1]}
            best = linprog(-z, bounds=list(zip(np.zeros(N), caps[u], strict=True)), method="highs", **rows)
            assert float(found[u]) == pytest.approx(-best.fun, abs=1e-5)  # where the budget runs out, to a millionth


def test_a_budget_that_need_not_be_spent_counts_for_nothing_where_it_is_not():
    market = dataclasses.replace(market_of("at_most", 0.0), scores=-jnp.ones((U, N)))
    users = users_of(market, jnp.full(U, 1e-3))
    found = respond(market, users, market.scores)
    np.testing.assert_allclose(found.attention, 0, atol=1e-9)
    np.testing.assert_allclose(all_lost(market), 0, atol=1e-12)
