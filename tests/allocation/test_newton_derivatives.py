"""Derivatives of Newton's solutions: against central differences, the smoothed root, and an unrolled solver."""

import dataclasses
import functools

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_markets import C, N, creators, random_market

from attnjax.allocation import Creators, Floors, Linear, Market, Nash, best_response, exposure_of, uniform_attention
from attnjax.allocation.creator_sides import side_of
from attnjax.allocation.feasibility import bounds_of
from attnjax.allocation.newton import newton
from attnjax.allocation.solvers import solve as solve_by
from attnjax.allocation.sweeps import worth
from attnjax.allocation.tiles import users_of
from attnjax.allocation.user_sides import respond, taste

solve = functools.partial(solve_by, method="newton")
pytestmark = pytest.mark.usefixtures("x64")
FIELDS = ("scores", "budgets", "platform_rates", "temperature", "impact", "caps")


def parameters(market):
    """All numbers a market's solution depends on, by name."""
    own = {name: getattr(market, name) for name in FIELDS if getattr(market, name) is not None}
    return own | {f"creator {name}": number for name, number in vars(market.creator_value).items()}


def with_parameters(market, numbers):
    own = {name: number for name, number in numbers.items() if name in FIELDS}
    value = {name.split()[1]: number for name, number in numbers.items() if name not in FIELDS}
    return dataclasses.replace(market, creator_value=dataclasses.replace(market.creator_value, **value), **own)


def directions(numbers, seed=1):
    """One random direction of change per parameter; what is excluded or unbounded stays so."""
    random = np.random.default_rng(seed)
    for name, number in numbers.items():
        yield name, jnp.where(jnp.isfinite(number), jnp.asarray(random.normal(size=number.shape)), 0.0)


def moved(numbers, name, direction, t):
    return numbers | {name: jnp.where(direction == 0, numbers[name], numbers[name] + t * direction)}


def along(slopes, name, direction):
    """The derivative along a direction from the whole gradient (outputs, *shape)."""
    slope, direction = np.asarray(slopes[name]), np.asarray(direction)
    return np.where(direction == 0, 0, slope * direction).reshape(slope.shape[0], -1).sum(axis=1)


# --- of the smoothed problem's root ----------------------------------------------------------------------------------

VARIED, PLAIN = 0.6, 0.0
ROOTS = {
    "alpha sparse impact": VARIED,  # with one entry that is padding
    "maxmin": VARIED,
    "soft": VARIED,
    "linear squared": VARIED,
    "alpha squared caps at_most": VARIED,
    "alpha slates impact": PLAIN,
    "box sparse": PLAIN,
}


@pytest.mark.parametrize(("kind", "temperature"), ROOTS.items(), ids=ROOTS)
def test_derivatives_are_those_of_the_smoothed_problems_root(kind, temperature):
    """In every parameter, by central differences of a root found anew by plain Newton steps, at the last smoothing.

    With a preference for variety users are not smoothed, and where creators are not either it is the solution itself.
    """
    market = random_market(kind, 1, temperature)
    random = np.random.default_rng(0)
    on_attention, on_creators = jnp.asarray(random.normal(size=market.scores.shape)), jnp.asarray(random.normal(size=C))
    start = market.creator_value.start(exposure_of(market, uniform_attention(market)))
    limits = (jnp.asarray(1e-6 if temperature else 2e-2), jnp.asarray(200), jnp.asarray(0.3))

    def combined(market, attention, prices):
        own = jnp.sum(taste(market, users_of(market, market.budgets), attention))
        parts = (on_attention * attention, on_creators * prices, on_creators * exposure_of(market, attention))
        return jnp.stack([*map(jnp.sum, parts), own])

    def found(numbers):
        own = with_parameters(market, numbers)
        at = newton(own, start, *limits)
        parts = (on_attention * at.attention, on_creators * at.prices, on_creators * at.exposure)
        return jnp.stack([*map(jnp.sum, parts), at.satisfaction]), at

    numbers = parameters(market)
    if not temperature:  # which is not the smoothing's
        del numbers["temperature"]
    slopes, at = jax.jit(jax.jacrev(found, has_aux=True))(numbers)

    def smoothed(market, y):
        side = side_of(market, bounds_of(market))
        own = at.rule.temperature <= float(temperature)
        users = users_of(market, jnp.where(own, market.temperature, at.rule.temperature))
        prices = side.prices(y)
        z = worth(users, market.creators.on_items(prices + market.platform_rates))
        attention = respond(market, users, z).attention
        return side.gradient(y, exposure_of(market, attention), at.smoothing), attention, prices

    @jax.jit
    def root(numbers):
        own = with_parameters(market, numbers)

        def step(_, y):
            slope = jax.jacfwd(lambda y: smoothed(own, y)[0])(y)
            # A shift of all coordinates may change nothing: the least change that does.
            return y - jnp.linalg.pinv(slope, rtol=1e-13) @ smoothed(own, y)[0]

        side = side_of(own, bounds_of(own))
        if isinstance(own.creator_value, Linear):
            return combined(own, *smoothed(own, own.creator_value.rates)[1:])
        y = jax.lax.fori_loop(0, 12, step, side.coordinate(at.prices))
        return combined(own, *smoothed(own, y)[1:])

    for name, direction in directions(numbers):
        numerical = central_differences.jacobian(
            lambda t, n=name, d=direction: root(moved(numbers, n, d, t[0])), np.zeros(1), step=1e-6
        )[:, 0]
        band = 1e-5 * max(1.0, abs(numerical).max())
        np.testing.assert_allclose(along(slopes, name, direction), numerical, atol=band, err_msg=name)
    if kind == "alpha sparse impact":
        forward = jax.jit(lambda d: jax.jvp(lambda n: found(n)[0], (numbers,), (d,))[1])
        for name, direction in directions(numbers):
            only = {other: direction if other == name else jnp.zeros_like(numbers[other]) for other in numbers}
            np.testing.assert_allclose(forward(only), along(slopes, name, direction), rtol=1e-9, atol=1e-9)


# --- of the solver, asked anew ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [Nash(jnp.array([0.5, 1.0, 0.7, 0.3])), Floors(jnp.array([1.8, 0.5, 0.5, 1.0]))], ids=["nash", "floors"]
)
def test_derivatives_are_those_of_central_differences_of_solutions(value):
    """Of attention and prices, in a random combination and a random direction per parameter."""
    scores = jnp.asarray(np.random.default_rng(0).random((7, N)))
    market = Market.of(scores, creators(), value, temperature=0.2)
    random = np.random.default_rng(2)
    on_attention, on_prices = jnp.asarray(random.normal(size=(7, N))), jnp.asarray(random.normal(size=C))

    def both(numbers):
        limits = (jnp.asarray(1e-12), jnp.asarray(300), jnp.asarray(0.3))
        found = newton(with_parameters(market, numbers), jnp.full(C, 0.5), *limits)
        return jnp.sum(on_attention * found.attention) + jnp.sum(on_prices * found.prices)

    numbers = parameters(market)
    run = jax.jit(jax.value_and_grad(both))
    slopes = run(numbers)[1]
    for name, direction in directions(numbers):
        numerical = central_differences.jacobian(
            lambda t, n=name, d=direction: run(moved(numbers, n, d, t[0]))[0], np.zeros(1), step=1e-4
        )
        exact = float(along({name: slopes[name][None]}, name, direction)[0])
        assert exact == pytest.approx(float(numerical[0]), rel=1e-5, abs=1e-6), name


def test_the_derivative_at_temperature_zero_is_finite():
    market = random_market("box", 0)
    slope = jax.grad(lambda s: solve(dataclasses.replace(market, scores=s), 1e-3).prices[0])(market.scores)
    assert np.isfinite(slope).all()


# --- of welfare ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["nash", "box", "soft"])
def test_welfares_derivative_is_the_envelope_theorems(value):
    """In scores attention; in rates exposure; in floors and caps their cost; in weights the logarithm of exposure."""
    market = random_market(value, 1, 0.5)

    def welfare(market):
        found = solve(market, 1e-10)
        return found.lower, found

    slope, found = jax.jit(jax.grad(welfare, has_aux=True, allow_int=True))(market)
    np.testing.assert_allclose(slope.scores, found.attention, atol=2e-5)
    np.testing.assert_allclose(slope.platform_rates, found.exposure, atol=1e-4)
    # One more unit of budget brings what the marginal unit brings: the threshold of the user's own problem.
    bonus = market.creators.on_items(found.prices + market.platform_rates)
    own = jax.vmap(lambda s, r: best_of_one(market, s + bonus, r))
    np.testing.assert_allclose(
        slope.budgets, jax.grad(lambda r: jnp.sum(own(market.scores, r)))(market.budgets), atol=1e-4
    )
    mine = slope.creator_value
    if value == "nash":
        np.testing.assert_allclose(mine.weights, np.log(found.exposure), atol=1e-4)
    else:  # a floor costs its price where it has one, and a cap gains it
        np.testing.assert_allclose(mine.floors, -np.maximum(found.prices, 0), atol=1e-4)
        np.testing.assert_allclose(mine.caps, -np.minimum(found.prices, 0), atol=1e-4)
    if value == "soft":
        missing = np.maximum(np.asarray(market.creator_value.floors - found.exposure), 0)
        assert missing.max() > 0.1  # there is something to see
        np.testing.assert_allclose(mine.penalty, -missing, atol=1e-4)


def best_of_one(market, z, budget):
    """R T log sum exp(z / T) - T R log R: what a user with entropy gets from worth z."""
    t = market.temperature
    return budget * t * (jax.nn.logsumexp(z / t) - jnp.log(budget))


def test_without_attention_the_derivatives_of_prices_and_welfare_are_the_same():
    market = random_market("alpha sparse impact", 3, 0.5)

    def found(market, materialise):
        solution = solve(market, 1e-8, materialise=materialise)
        return jnp.append(solution.prices, solution.lower)

    one, other = (
        jax.jit(jax.jacrev(lambda s, m=m: found(dataclasses.replace(market, scores=s), m)))(market.scores)
        for m in (True, False)
    )
    np.testing.assert_allclose(one, other, atol=1e-9)


# --- of a solver that is differentiated through -----------------------------------------------------------------------


def test_it_is_that_of_a_solver_whose_steps_are_differentiated():
    """Three thousand plain gradient steps on the dual of a Nash market, in prices, differentiated through."""
    scores = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))
    market = Market.of(scores, Creators.one_per_item(3), Nash(jnp.array([0.5, 1.0, 0.7])), temperature=0.5)

    def unrolled(scores, weights):
        own = dataclasses.replace(market, scores=scores, creator_value=Nash(weights))

        def step(prices, _):
            wanted = own.creator_value.demand(prices)
            return prices - 0.1 * (best_response(own, prices).exposure - wanted), None

        prices, _ = jax.lax.scan(step, jnp.ones(3), None, length=3000)
        return prices

    def solved(scores, weights):
        return solve(dataclasses.replace(market, scores=scores, creator_value=Nash(weights)), 1e-12).prices

    def with_slopes(prices_of):
        return jax.jit(jax.jacfwd(lambda *given: (prices_of(*given),) * 2, (0, 1), has_aux=True))

    (one, prices), (other, same) = (with_slopes(f)(scores, market.creator_value.weights) for f in (unrolled, solved))
    np.testing.assert_allclose(prices, same, atol=1e-8)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, other)
