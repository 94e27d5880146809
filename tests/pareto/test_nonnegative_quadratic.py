"""The small quadratic programs against SciPy's non-negative least squares, and their certificate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls

from attnjax.errors import UserError
from attnjax.pareto import nonnegative_quadratic

PROGRAMS = 6


def problem(count, width, seed):
    """A (width, count) and b (k, width): the programs are min |A x - b|^2 over x >= 0."""
    draws = np.random.default_rng(seed)
    return draws.normal(size=(width, count)), draws.normal(size=(PROGRAMS, width))


def matrices(matrix, targets):
    return jnp.asarray(matrix.T @ matrix), jnp.asarray(-targets @ matrix)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("count", "width"), [(3, 5), (40, 400), (40, 41)], ids=["few", "well conditioned", "ill conditioned"]
)
def test_scipys_nnls_agrees(count, width):
    """Few unknowns are pivoted at once; many take gradient steps first, and pivots where those don't get there."""
    run = jax.jit(nonnegative_quadratic)
    for seed in range(3):
        matrix, targets = problem(count, width, seed)
        solved = run(*matrices(matrix, targets))
        wanted = np.array([nnls(matrix, target)[0] for target in targets])
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(solved.x, wanted, rtol=0, atol=1e-8 * scale)
        assert float(solved.residual.max()) < 1e-12
        assert (np.asarray(solved.x) >= 0).all()


def test_units_of_each_unknown_do_not_matter():
    """Lengths from 1e-6 to 1e6: the scaled programs are the same to rounding."""
    matrix, targets = problem(4, 9, 0)
    plain = nonnegative_quadratic(*matrices(matrix, targets)).x
    units = np.array([1e-6, 1.0, 1e3, 1e6])
    scaled = nonnegative_quadratic(*matrices(matrix * units, targets)).x
    np.testing.assert_allclose(np.asarray(scaled) * units, plain, rtol=0, atol=1e-4 * np.abs(plain).max())


@pytest.mark.compiled_in_full
def test_float32_certifies_itself():
    for count, width in ((5, 9), (48, 300)):
        solved = nonnegative_quadratic(*(x.astype(jnp.float32) for x in matrices(*problem(count, width, 7))))
        assert solved.x.dtype == jnp.float32
        assert float(solved.residual.max()) < 3e-6


def test_broken_input_is_certified_as_such():
    solved = nonnegative_quadratic(jnp.eye(3), jnp.array([[jnp.nan, -1.0, 0.0], [-1.0, 0.0, 0.0]]))
    assert np.isnan(solved.residual[0])
    assert float(solved.residual[1]) == 0
    assert solved.x[1].tolist() == [1.0, 0.0, 0.0]


def test_shapes_are_checked():
    with pytest.raises(UserError, match=r"matrix \(m, m\) and vectors \(k, m\)"):
        nonnegative_quadratic(jnp.eye(3), jnp.zeros(3))
