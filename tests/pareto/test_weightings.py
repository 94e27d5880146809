"""Weightings: how many, how spread, and the mean loss over them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.pareto import draw_weightings, preference_loss, simplex_lattice, tchebycheff


def test_the_lattice_has_every_multiple_once():
    for objectives, divisions in ((1, 3), (2, 5), (3, 10), (4, 3)):
        lattice = np.asarray(simplex_lattice(objectives, divisions))
        assert lattice.shape == (math.comb(divisions + objectives - 1, objectives - 1), objectives)
        np.testing.assert_allclose(lattice * divisions, np.round(lattice * divisions), atol=1e-5)
        np.testing.assert_allclose(lattice.sum(axis=1), 1, rtol=1e-6)
        assert len({tuple(row) for row in np.round(lattice * divisions).tolist()}) == len(lattice)
    inner = simplex_lattice(3, 4, least=0.1)
    assert float(inner.min()) == pytest.approx(0.1)
    np.testing.assert_allclose(inner.sum(axis=1), 1, rtol=1e-6)


def test_draws_are_uniform_on_the_simplex():
    """A uniform point of the triangle has coordinates with mean 1/3, and P(w_1 < t) = 1 - (1 - t)^2."""
    drawn = np.asarray(draw_weightings(jax.random.key(0), 20_000, 3))
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.01)
    for t in (0.1, 0.5):
        assert (drawn[:, 0] < t).mean() == pytest.approx(1 - (1 - t) ** 2, abs=0.015)


def test_the_loss_is_the_mean_over_weightings():
    weights = np.asarray(simplex_lattice(3, 3))
    target = np.array([1.0, 2.0, 0.5])

    def losses(weight):
        return (weight - target) ** 2

    for scalarise in (lambda f, w: jnp.sum(f * w), lambda f, w: tchebycheff(f, w)):
        wanted = np.mean([float(scalarise(jnp.asarray(losses(w)), jnp.asarray(w))) for w in weights])
        assert float(preference_loss(losses, weights, scalarise)) == pytest.approx(wanted, rel=1e-5)


def test_bad_input_is_refused():
    for call, message in (
        (lambda: preference_loss(lambda w: w, np.ones(3) / 3), "one per row"),
        (lambda: preference_loss(lambda w: w, [[0.5, 0.5], [0.7, 0.7]]), r"on the simplex.*row 1"),
        (lambda: simplex_lattice(3, 4, least=0.4), "0 <= least < 1 / objectives"),
        (lambda: simplex_lattice(3, 0), "one division"),
    ):
        with pytest.raises(UserError, match=message):
            call()
