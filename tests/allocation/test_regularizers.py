import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Entropy, Power, SeparableConvex, SquaredNorm, Tsallis, allocate
from attnjax.errors import UserError

SCORES = np.array([1.3, 0.2, -0.4, 0.9])


@pytest.mark.parametrize("alpha", [1.0, 0.5, 2.1, 1, float("nan")])
def test_tsallis_refuses_alpha_outside_its_range(alpha):
    with pytest.raises(UserError, match=r"Tsallis: expected alpha in \(1, 2\], got .*Entropy\(\)"):
        Tsallis(alpha)


@pytest.mark.parametrize("exponent", [1, 0.5, -2, float("nan")])
def test_power_refuses_exponents_that_are_not_strictly_convex(exponent):
    with pytest.raises(UserError, match=r"Power: expected an exponent above 1.*got .*Power\(3\)"):
        Power(exponent)


@pytest.mark.usefixtures("x64")
def test_tsallis_joins_entropy_and_the_squared_norm():
    run = jax.jit(lambda alpha: allocate(SCORES, regularizer=Tsallis(alpha)))
    np.testing.assert_allclose(run(2.0).weights, allocate(SCORES, regularizer=SquaredNorm()).weights, atol=1e-14)
    # The distance to softmax is of the order of alpha - 1.
    for alpha in (1 + 1e-3, 1 + 1e-6):
        gap = np.abs(run(alpha).weights - jax.nn.softmax(SCORES)).max()
        assert gap < alpha - 1
    # The cost differs by the constant R / 2: omega_2(a) = (a^2 - a) / 2.
    square = allocate(SCORES, regularizer=SquaredNorm()).value
    assert float(run(2.0).value) == pytest.approx(float(square) + 0.5, abs=1e-14)


@pytest.mark.usefixtures("x64")
def test_a_users_function_equals_the_same_function_built_in():
    pairs = {
        Power(3): lambda a: a**3,
        Entropy(): lambda a: jax.scipy.special.xlogy(a, a),
    }
    cap = jnp.array([0.3, 0.5, 0.5, 0.9])
    for built_in, function in pairs.items():
        one = allocate(SCORES, 1.0, cap, built_in)
        other = allocate(SCORES, 1.0, cap, SeparableConvex(function))
        for x, y in zip(one, other, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-14)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cap", [None, 0.7])
def test_costs_of_different_entries_share_one_threshold(cap):
    """Two quadratic costs k a^2, equal scores: 2 a_1 = 6 a_2, so the split is 3 to 1 (or the cap)."""
    cost = SeparableConvex(lambda a, k: k * a**2, (jnp.array([1.0, 3.0]),))
    result = allocate(jnp.ones(2), 1.0, cap, cost)
    np.testing.assert_allclose(result.weights, [0.75, 0.25] if cap is None else [0.7, 0.3], rtol=1e-14)
    assert result.threshold.shape == ()
    assert float(result.threshold) == pytest.approx(-0.5 if cap is None else -0.8)


@pytest.mark.usefixtures("x64")
def test_parameters_of_a_users_function_get_derivatives():
    """With k a^2 and all entries free, a_i = (s_i - tau) / 2 k_i: known in closed form."""

    def closed(k):
        tau = (jnp.sum(scores / (2 * k)) - 3.0) / jnp.sum(1 / (2 * k))
        return (scores - tau) / (2 * k)

    def implicit(k):
        return allocate(scores, 3.0, None, SeparableConvex(quadratic, (k,))).weights

    def quadratic(a, k):
        return k * a**2

    scores, k = jnp.asarray(SCORES), jnp.array([1.0, 2.0, 0.7, 1.4])
    np.testing.assert_allclose(implicit(k), closed(k), rtol=1e-14)
    np.testing.assert_allclose(jax.jit(jax.jacrev(implicit))(k), jax.jit(jax.jacfwd(closed))(k), atol=1e-13)
    second, known = jax.jit(jax.jacfwd(jax.jacrev(implicit)))(k), jax.jit(jax.jacfwd(jax.jacfwd(closed)))(k)
    np.testing.assert_allclose(second, known, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_tsallis_alpha_can_be_batched_and_learned():
    alphas = jnp.array([1.1, 1.5, 1.9])
    batched = jax.vmap(lambda alpha: allocate(SCORES, regularizer=Tsallis(alpha)).weights)(alphas)
    for row, alpha in zip(batched, alphas, strict=True):
        np.testing.assert_allclose(row, allocate(SCORES, regularizer=Tsallis(float(alpha))).weights, atol=1e-14)
    # Gradient ascent on the leading weight: larger alpha is sparser, so the derivative is positive.
    gradient = jax.jit(jax.grad(lambda r: allocate(SCORES, regularizer=r).weights[0]))(Tsallis(1.5))
    assert isinstance(gradient, Tsallis)
    assert float(gradient.alpha) > 0


@pytest.mark.usefixtures("x64")
def test_no_weight_of_the_entropy_means_no_derivative_there():
    """0 log 0 = 0 with derivative 0, so that an excluded entry brings no NaN into either mode."""
    scores = jnp.array([0.0, 1.0, -jnp.inf])

    def spread(s):
        return -Entropy().value(allocate(s).weights).sum()

    forward, backward = jax.jit(lambda s: (jax.jacfwd(spread)(s), jax.grad(spread)(s)))(scores)
    np.testing.assert_allclose(forward, backward, atol=1e-15)
    assert float(forward[2]) == 0
    assert float(Entropy().value(jnp.array(0.0))) == float(jax.grad(Entropy().value)(0.0)) == 0


@pytest.mark.usefixtures("x64")
def test_the_square_is_the_squared_norm_at_twice_the_temperature():
    one, other = allocate(SCORES, regularizer=Power(2)), allocate(SCORES, temperature=2.0, regularizer=SquaredNorm())
    for x, y in zip(one, other, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-14)
