"""Meta-gradients in closed form, on a quadratic.

Support loss (phi - c)' A (phi - c) / 2 and gradient descent with rates D = diag(exp eta), one per parameter, so that

    phi_k - c = M^k (theta - c),        M = I - D A.

Of a query loss (phi - d)' B (phi - d) / 2 with slope q = B (phi_k - d),

    d / d theta  = (M^k)' q,
    d / d eta_i  = -sum over t < k of exp(eta_i) (A (phi_t - c))_i ((M^{k-1-t})' q)_i,
    d / d c      = (I - M^k)' q,

first-order: q in place of the first (d phi_k / d theta = I), and in the second (I for each M),
    d / d eta_i  = -sum over t < k of exp(eta_i) (A (phi_t - c))_i q_i;
and with lambda / 2 |phi - theta|^2 added, at the solution phi = (A + lambda I)^-1 (A c + lambda theta),

    d / d theta = lambda (A + lambda I)^-1 q,        d / d c = A (A + lambda I)^-1 q.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.meta import LinearSolve, Tasks, inner_loop, learned_rates, over_tasks

N, K, LAMBDA = 4, 7, 0.8
pytestmark = pytest.mark.usefixtures("x64")


def draw():
    random = np.random.default_rng(5)
    root, other = random.normal(size=(2, N, N))
    a, b = root @ root.T / N + 0.3 * np.eye(N), other @ other.T / N
    theta, c, d = random.normal(size=(3, N))
    return a, b, theta, c, d, np.log(np.linspace(0.1, 0.3, N))


def quadratic(phi, data):
    matrix, centre = data
    return (phi - centre) @ matrix @ (phi - centre) / 2


def gradients(**options):
    """The adapted parameters, and the meta-gradients in theta, eta and the centre of the support loss."""
    a, b, theta, c, d, eta = draw()
    inner = inner_loop(quadratic, options.pop("optimizer", learned_rates), options.pop("steps", K), **options)
    meta_loss = over_tasks(inner, quadratic)

    def value(theta, eta, c):
        given = Tasks((a[None], c[None]), (b[None], d[None]))
        return meta_loss(theta, eta, given)[0]

    phi, _ = inner(jnp.asarray(theta), jnp.asarray(eta), (a, c))
    return phi, jax.jit(jax.grad(value, argnums=(0, 1, 2)))(*map(jnp.asarray, (theta, eta, c)))


def path():
    a, _, theta, c, _, eta = draw()
    m = np.eye(N) - np.diag(np.exp(eta)) @ a
    powers = [np.linalg.matrix_power(m, t) for t in range(K + 1)]
    return powers, [c + power @ (theta - c) for power in powers]


@pytest.mark.parametrize(
    "options",
    [{}, {"remat": False}, {"unroll": 2}, {"grad": "forward_over_reverse"}],
    ids=["remat", "kept", "unrolled", "forward_over_reverse"],
)
def test_exact_gradients_are_those_of_the_formula(options):
    a, b, _, c, d, eta = draw()
    powers, phis = path()
    phi, (in_theta, in_eta, in_c) = gradients(**options)
    q = b @ (phis[K] - d)
    np.testing.assert_allclose(phi, phis[K], rtol=1e-10)
    np.testing.assert_allclose(in_theta, powers[K].T @ q, rtol=1e-10)
    rates = np.exp(eta)
    by_step = [-rates * (a @ (phis[t] - c)) * (powers[K - 1 - t].T @ q) for t in range(K)]
    np.testing.assert_allclose(in_eta, sum(by_step), rtol=1e-10)
    np.testing.assert_allclose(in_c, q - powers[K].T @ q, rtol=1e-10)


def test_first_order_gradients_are_those_of_theirs_and_not_exact():
    a, b, _, c, d, eta = draw()
    powers, phis = path()
    _, (in_theta, in_eta, in_c) = gradients(grad="first_order")
    q = b @ (phis[K] - d)
    np.testing.assert_allclose(in_theta, q, rtol=1e-10)
    np.testing.assert_allclose(in_eta, sum(-np.exp(eta) * (a @ (phis[t] - c)) * q for t in range(K)), rtol=1e-10)
    np.testing.assert_array_equal(in_c, np.zeros(N))
    exact = powers[K].T @ q
    assert np.linalg.norm(in_theta - exact) > 0.5 * np.linalg.norm(exact)


def test_implicit_gradients_are_those_of_the_solution_and_of_all_the_steps_to_it():
    a, b, theta, c, d, _ = draw()
    shifted = a + LAMBDA * np.eye(N)
    options = {"optimizer": optax.sgd(0.3), "steps": 200, "proximal": LAMBDA}
    phi, found = gradients(grad="implicit", linear=LinearSolve(1e-14, 2 * N), **options)
    solution = np.linalg.solve(shifted, a @ c + LAMBDA * theta)
    np.testing.assert_allclose(phi, solution, rtol=1e-10)
    q = b @ (solution - d)
    np.testing.assert_allclose(found[0], LAMBDA * np.linalg.solve(shifted, q), rtol=1e-10)
    np.testing.assert_array_equal(found[1], np.zeros(N))  # plain descent has no eta
    np.testing.assert_allclose(found[2], a @ np.linalg.solve(shifted, q), rtol=1e-10)
    _, unrolled = gradients(**options)
    for one, other in zip(found, unrolled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


def test_damping_and_an_early_end_of_conjugate_gradients_bias_the_gradient_as_they_should():
    a, b, theta, c, d, _ = draw()
    options = {"optimizer": optax.sgd(0.3), "steps": 200, "proximal": LAMBDA, "grad": "implicit"}
    solution = np.linalg.solve(a + LAMBDA * np.eye(N), a @ c + LAMBDA * theta)
    q = b @ (solution - d)
    _, damped = gradients(linear=LinearSolve(1e-14, 2 * N, damping=0.5), **options)
    np.testing.assert_allclose(damped[0], LAMBDA * np.linalg.solve(a + (LAMBDA + 0.5) * np.eye(N), q), rtol=1e-10)
    _, one_step = gradients(linear=LinearSolve(1e-14, 1), **options)
    length = q @ q / (q @ (a + LAMBDA * np.eye(N)) @ q)  # of steepest descent
    np.testing.assert_allclose(one_step[0], LAMBDA * length * q, rtol=1e-10)
