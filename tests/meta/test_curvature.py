"""Products with second derivatives, and conjugate gradients: against dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.meta import conjugate_gradients, curvature_products

N = 6
pytestmark = pytest.mark.usefixtures("x64")


def positive(seed=0):
    root = np.random.default_rng(seed).normal(size=(N, N))
    return root @ root.T / N + 0.1 * np.eye(N)


def test_products_are_those_with_the_dense_matrices():
    random = np.random.default_rng(1)
    x, v = random.normal(size=(2, N))
    y = random.normal(size=3)

    def function(x, y):
        return jnp.sum(jnp.tanh(x[:3] * y) ** 2) + jnp.sum(jnp.sin(x) * jnp.roll(x, 1))

    own, mixed = jax.jit(lambda x, y, v: curvature_products(function, x, y, v))(x, y, v)
    np.testing.assert_allclose(own, jax.jit(jax.hessian(function))(x, y) @ v, rtol=1e-12)
    np.testing.assert_allclose(mixed, jax.jit(jax.jacfwd(jax.grad(function, 1), 0))(x, y) @ v, rtol=1e-12)


def test_a_positive_system_is_solved_in_as_many_steps_as_it_has_unknowns():
    a, b = positive(), np.random.default_rng(2).normal(size=N)
    right = {"one": jnp.asarray(b[:2]), "two": jnp.asarray(b[2:])}

    def product(tree):
        image = jnp.asarray(a) @ jnp.concatenate([tree["one"], tree["two"]])
        return {"one": image[:2], "two": image[2:]}

    found = jax.jit(lambda right: conjugate_gradients(product, right, tolerance=1e-10, max_steps=2 * N))(right)
    x = np.concatenate([found.solution["one"], found.solution["two"]])
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-8)
    assert bool(found.converged)
    assert int(found.iterations) <= N + 1
    assert float(found.residual) == pytest.approx(np.linalg.norm(b - a @ x) / np.linalg.norm(b), abs=1e-15)


def test_what_is_not_solved_is_reported():
    a, b = jnp.asarray(positive()), jnp.ones(N)
    early = conjugate_gradients(lambda x: a @ x, b, tolerance=1e-10, max_steps=2)
    assert int(early.iterations) == 2
    assert not bool(early.converged)
    wanted = np.linalg.norm(b - a @ early.solution) / np.sqrt(N)
    assert float(early.residual) == pytest.approx(wanted, rel=1e-12)
    indefinite = conjugate_gradients(lambda x: a @ x - 5 * x, b, tolerance=1e-10, max_steps=50)
    assert not bool(indefinite.converged)
    assert int(indefinite.iterations) < 50
    assert np.isfinite(indefinite.solution).all()
    spoilt = conjugate_gradients(lambda x: a @ x, b.at[0].set(jnp.nan), tolerance=1e-10, max_steps=50)
    assert not bool(spoilt.converged)


def test_nothing_to_solve_is_solved():
    found = conjugate_gradients(lambda x: 2 * x, jnp.zeros(N), tolerance=1e-10, max_steps=5)
    np.testing.assert_array_equal(found.solution, np.zeros(N))
    assert bool(found.converged)
    assert int(found.iterations) == 0


def test_rows_of_a_batch_stop_on_their_own():
    scale, b = jnp.array([1.0, 3.0]), jnp.ones((2, N))
    a = jnp.stack([jnp.eye(N), jnp.asarray(positive())])

    def solve(a, b, scale):
        return conjugate_gradients(lambda x: scale * (a @ x), b, tolerance=1e-10, max_steps=20)

    batched = jax.vmap(solve)(a, b, scale)
    for row in range(2):
        alone = solve(a[row], b[row], scale[row])
        np.testing.assert_allclose(batched.solution[row], alone.solution, rtol=1e-12)
        assert int(batched.iterations[row]) == int(alone.iterations)
    assert batched.iterations[0] < batched.iterations[1]
