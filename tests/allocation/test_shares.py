"""A resource split over uses: optimal, certified, differentiable, and the same however it is called."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from central_differences import assert_close, jacobian
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from attnjax.allocation import Concave, allocate, split
from attnjax.allocation.contributions import smooth_response
from attnjax.errors import UserError

N = 5


def grown(w, weight, rate):
    """Saturating, each use at a rate of its own."""
    return weight * (1 - jnp.exp(-rate * w))


def straight(w, a):
    """A straight line: not strictly concave."""
    return a * w


def problem(seed, n=N):
    rng = np.random.default_rng(seed)
    lower = rng.uniform(0, 0.5 / n, n)
    return rng.uniform(0.5, 2, n), rng.uniform(1, 6, n), lower, lower + rng.uniform(0.6 / n, 1, n)


solve = jax.jit(lambda weight, rate, resource, lower, upper: split(Concave(grown, (weight, rate)), resource,
                                                                  lower=lower, upper=upper))  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_optimum_that_scipy_finds(x64, seed):
    weight, rate, lower, upper = problem(seed)
    found = solve(weight, rate, 1.0, lower, upper)
    reference = minimize(
        lambda w: -np.sum(weight * (1 - np.exp(-rate * w))),
        np.clip(np.full(N, 1 / N), lower, upper),
        bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.feasible
    np.testing.assert_allclose(found.shares, reference.x, atol=1e-6)
    assert -reference.fun <= float(found.bound) + 1e-12
    assert 0 <= float(found.gap) < 1e-13


def test_softmax_is_a_case_of_it(x64):
    scores = jnp.array([0.3, -1.0, 2.0, 0.0])
    found = split(Concave(lambda w, s: s * w - jnp.where(w > 0, w * jnp.log(jnp.where(w > 0, w, 1)), 0), (scores,)))
    expected = allocate(scores)
    np.testing.assert_allclose(found.shares, expected.weights, atol=1e-14)
    np.testing.assert_allclose(found.price, expected.threshold, atol=1e-12)


@given(seed=st.integers(0, 10**6), resource=st.floats(0.3, 2.0))
def test_no_split_beats_the_bound(seed, resource):
    weight, rate, lower, upper = (x.astype(np.float32) for x in problem(seed))
    found = solve(weight, rate, np.float32(resource), lower, upper)
    possible = lower.sum() <= resource <= upper.sum()
    assert bool(found.feasible) == possible
    if not possible:
        assert np.isinf(found.bound)
        return
    shares = np.asarray(found.shares)
    assert (shares >= lower).all()
    assert (shares <= upper).all()
    np.testing.assert_allclose(shares.sum(), resource, rtol=1e-6)
    assert 0 <= float(found.gap) < 1e-5
    # Any other split: a random one, moved along the diagonal of the box until it sums to the resource.
    other = np.random.default_rng(seed).uniform(lower, upper)
    far = lower if other.sum() > resource else upper
    other = other + (far - other) * (resource - other.sum()) / (far.sum() - other.sum())
    assert np.sum(weight * (1 - np.exp(-rate * other))) <= float(found.bound) + 1e-5


def test_uses_of_equal_slope_share_and_the_bound_is_met():
    found = split(Concave(straight, (jnp.array([2.0, 3.0, 3.0, 1.0]),)), upper=jnp.array([1.0, 0.3, 0.9, 1.0]))
    np.testing.assert_allclose(found.shares, [0, 0.25, 0.75, 0], atol=1e-6)
    assert float(found.value) == pytest.approx(3)
    assert float(found.gap) < 1e-6
    np.testing.assert_allclose(found.price, 3, rtol=1e-6)


def test_derivatives_to_second_order(x64):
    weight, rate, lower, upper = problem(1)
    start = solve(weight, rate, 1.0, lower, upper)
    at = np.concatenate([weight, rate, [1.0], lower, upper])

    def flat(x):
        a, b, r, low, high = jnp.split(x, np.cumsum([N, N, 1, N]))
        found = solve(a, b, r[0], low, high)
        return jnp.concatenate([found.shares, jnp.stack([found.price, found.value])])

    inside = np.asarray((start.shares > lower + 1e-3) & (start.shares < upper - 1e-3))
    assert inside.sum() >= 2
    assert not inside.all()
    first = jax.jit(jax.jacfwd(flat))
    assert_close(first(at), jacobian(jax.jit(flat), at), 1e-7)
    np.testing.assert_allclose(jax.jit(jax.jacrev(flat))(at), first(at), atol=1e-12)
    assert_close(jax.jit(jax.jacfwd(jax.jacrev(flat)))(at), jacobian(first, at), 1e-6)
    np.testing.assert_allclose(first(at)[-1, 2 * N], start.price, rtol=1e-10)  # the price is what a unit more brings


def test_a_straight_use_takes_up_what_the_others_leave(x64):
    def mixed(w, a, bend):
        return a * w - bend * w**2

    def flat(x):
        found = split(Concave(mixed, (x[:3], jnp.array([1.0, 2.0, 0.0]))), x[3])
        return jnp.concatenate([found.shares, found.price[None]])

    at = np.array([2.0, 3.0, 1.5, 1.0])
    shares = flat(at)
    np.testing.assert_allclose(shares, [0.25, 0.375, 0.375, 1.5], atol=1e-9)
    exact = jax.jit(jax.jacfwd(flat))(at)
    np.testing.assert_allclose(exact, jacobian(jax.jit(flat), at), atol=1e-7)
    assert exact[2, 3] == 1


def test_the_same_however_it_is_called():
    rows = [problem(seed) for seed in range(3)]
    batch = [np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)]
    together = jax.jit(jax.vmap(solve, (0, 0, None, 0, 0)))(*batch[:2], np.float32(1), *batch[2:])
    compiled = solve._cache_size()
    for i in range(3):
        weight, rate, lower, upper = (column[i] for column in batch)
        alone = solve(weight, rate, np.float32(1), lower, upper)
        eager = split(Concave(grown, (weight, rate)), lower=lower, upper=upper)
        for one, other, row in zip(alone, eager, together, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(one, row[i], rtol=1e-5, atol=1e-6)
    assert solve._cache_size() <= compiled + 1


def test_single_precision_agrees_with_double():
    weight, rate, lower, upper = problem(3)
    single = solve(
        *(x.astype(np.float32) for x in (weight, rate)), np.float32(1), *(np.float32(x) for x in (lower, upper))
    )
    with jax.enable_x64(True):
        double = solve(weight, rate, 1.0, lower, upper)
    np.testing.assert_allclose(single.shares, double.shares, atol=3e-6)
    np.testing.assert_allclose(single.price, double.price, rtol=3e-6)


def test_bounds_that_leave_no_choice_have_a_finite_price(x64):
    gain = Concave(grown, (jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])))
    for bounds in ({"lower": 0.5}, {"upper": 0.5}, {"lower": 0.5, "upper": 0.5}):
        found = split(gain, **bounds)
        np.testing.assert_allclose(found.shares, 0.5)
        assert np.isfinite(found.price)
        assert float(found.gap) < 1e-14
    assert split(gain, 0.0).shares.tolist() == [0, 0]
    padded = split(gain, upper=jnp.array([1.0, 0.0]))
    assert padded.shares.tolist() == [1, 0]


def test_the_response_of_a_price_is_where_the_slope_meets_it(x64):
    weight, rate, lower, upper = problem(0)
    price = np.linspace(0.1, 3, N)
    w = smooth_response(Concave(grown, (weight, rate)), jnp.asarray(price), jnp.asarray(lower), jnp.asarray(upper))
    np.testing.assert_allclose(w, np.clip(np.log(weight * rate / price) / rate, lower, upper), atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resource": -1.0}, "split: expected a finite resource of at least 0, got -1.0"),
        ({"resource": jnp.ones(2)}, "a scalar resource"),
        ({"lower": jnp.zeros(3)}, r"of shape \(2,\), got shapes \(\), \(3,\)"),
        ({"lower": 0.4, "upper": 0.3}, r"0 <= lower <= upper, finite, got \[0.4, 0.3\] for use 0"),
        ({"upper": 0.3}, "bounds that admit the resource 1, got at least 0 and at most 0.6"),
        ({"lower": 0.8}, "bounds that admit the resource 1, got at least 1.6"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        split(Concave(straight, (jnp.ones(2),)), **arguments)


def test_what_is_no_contribution_is_refused():
    with pytest.raises(UserError, match="a contribution such as Concave"):
        split(jnp.ones(3))
    with pytest.raises(UserError, match=r"one shape \(n,\), at least one of them"):
        split(Concave(straight, (2.0,)))
    with pytest.raises(UserError, match="for a batch of problems use"):
        split(Concave(straight, (jnp.ones((2, 3)),)))
