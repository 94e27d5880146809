"""What every creator value owes: a concave value, its conjugate, and the exposure that attains it."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import CREATOR_VALUES

from attnjax.allocation import Creators, CreatorValue, Market

C = 4
by_case = pytest.mark.parametrize("case", CREATOR_VALUES.values(), ids=CREATOR_VALUES)
pytestmark = pytest.mark.usefixtures("x64")
EXPOSURES = np.array([[0.15, 0.5, 0.8, 1.0], [1.0, 2.0, 3.0, 4.0], [0.3, 0.4, 0.7, 0.95]])


@by_case
def test_it_meets_the_protocol_and_is_a_pytree(case):
    value = case.make(C)
    assert isinstance(value, CreatorValue)
    leaves, tree = jax.tree.flatten(value)
    again = jax.tree.unflatten(tree, leaves)
    np.testing.assert_array_equal(again.value(EXPOSURES[0]), value.value(EXPOSURES[0]))


@by_case
def test_value_is_the_formula_and_concave(case):
    value = case.make(C)
    for one in EXPOSURES:
        inside = (one >= case.floors(C)) & (one <= case.caps(C))
        np.testing.assert_allclose(value.value(one), np.where(inside, case.phi(one), -np.inf), atol=1e-14)
        for other in EXPOSURES:
            ends = (value.value(one) + value.value(other)) / 2
            assert (value.value((one + other) / 2) >= ends - 1e-14).all()


@by_case
def test_the_conjugate_bounds_the_value_from_above_and_is_attained_by_the_demand(case):
    """phi*(p) >= phi(e) - p e for every e, with equality at the demand; for all creators in one if not for each."""
    value, prices = case.make(C), jnp.asarray(case.prices(C))

    def each(parts):
        return parts if case.separable else jnp.sum(parts)

    conjugate = each(value.conjugate(prices))
    for exposure in EXPOSURES:
        assert (conjugate >= each(value.value(exposure) - prices * exposure) - 1e-12).all()
    demand = value.demand(prices)
    np.testing.assert_allclose(each(value.value(demand) - prices * demand), conjugate, atol=1e-12)


@by_case
def test_demand_and_curvature_are_the_conjugates_derivatives(case):
    value, prices = case.make(C), case.prices(C) + 0.05
    slope = np.diag(central_differences.jacobian(value.conjugate, prices))
    np.testing.assert_allclose(value.demand(jnp.asarray(prices)), -slope, rtol=1e-7, atol=1e-9)
    curve = -np.diag(central_differences.jacobian(lambda p: jnp.broadcast_to(value.demand(p), (C,)), prices))
    np.testing.assert_allclose(value.curvature(jnp.asarray(prices)), curve, rtol=1e-7, atol=1e-9)


@by_case
def test_the_derivative_is_the_values_where_there_is_one(case):
    value = case.make(C)
    if hasattr(value, "derivative"):
        slope = np.diag(central_differences.jacobian(case.phi, EXPOSURES[1]))
        np.testing.assert_allclose(value.derivative(EXPOSURES[1]), slope, rtol=1e-8)


@by_case
def test_start_and_admissible_prices_have_a_finite_conjugate(case):
    value = case.make(C)
    start = value.start(jnp.array([0.0, 0.1, 1.0, 2.0]))
    assert start.shape == (C,)
    for wished in (start, start - 100, start + 100):
        admitted = value.admissible(wished, start)
        assert np.isfinite(value.conjugate(admitted)).all()
    np.testing.assert_array_equal(value.admissible(start, start), start)


@by_case
def test_scalars_are_broadcast_when_the_market_is_made(case):
    value = case.make(C)
    scalar = type(value)(*[0.5] * case.parameters)
    market = Market.of(jnp.zeros((2, C)), Creators.one_per_item(C), scalar)
    assert [leaf.shape for leaf in jax.tree.leaves(market.creator_value)] == [(C,)] * case.parameters
