"""Uses that may be left out: the exact choice, a single price's duality gap, the nearest shares with a minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from central_differences import jacobian
from hypothesis import given
from hypothesis import strategies as st

from attnjax.allocation import Concave, project_or_skip, split_or_skip
from attnjax.errors import UserError

N, STEPS = 4, 200


def bent(w, weight, bend):
    """A parabola that rises from a loss: what is served below its minimum would cost."""
    return weight * (w - bend * w**2 - 0.1)


def missed(w, wish):
    """How near a share is to a wish."""
    return -((w - wish) ** 2) / 2


solve = jax.jit(lambda weight, bend, lower, idle: split_or_skip(Concave(bent, (weight, bend)), lower=lower, idle=idle))
nearest = jax.jit(lambda wish, low: split_or_skip(Concave(missed, (wish,)), lower=low, idle=-(wish**2) / 2))
project = jax.jit(project_or_skip)


def by_tables(weight, bend, lower, idle):
    """The best split in steps of 1 / STEPS, by dynamic programming in NumPy."""
    best = np.full(STEPS + 1, -np.inf)
    best[0] = 0
    w = np.arange(STEPS + 1) / STEPS
    for a, b, low, left in zip(weight, bend, lower, idle, strict=True):
        gain = np.where(w >= low - 1e-12, a * (w - b * w**2 - 0.1), -np.inf)
        gain[0] = left
        best = np.array([np.max(best[: k + 1] + gain[k::-1]) for k in range(STEPS + 1)])
    return best[-1]


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_best_choice_by_dynamic_programming(x64, seed):
    rng = np.random.default_rng(seed)
    weight, bend, idle = rng.uniform(0.5, 3, N), rng.uniform(0.2, 1.2, N), rng.uniform(-0.1, 0.2, N)
    lower = rng.integers(20, 80, N) / STEPS
    found = solve(weight, bend, lower, idle)
    assert found.feasible
    shares, served = np.asarray(found.shares), np.asarray(found.served)
    assert (shares[~served] == 0).all()
    assert (shares[served] >= lower[served] - 1e-12).all()
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    grid = by_tables(weight, bend, lower, idle)
    # Rounding a share to the grid moves it by at most one step, and slopes here are below 3.
    assert grid - 1e-12 <= float(found.value) <= grid + 3 * N / STEPS
    assert grid <= float(found.bound) + 1e-12
    assert 0 <= float(found.gap) < 1e-12
    assert float(found.price_bound) >= float(found.value) - 1e-12


def test_one_price_cannot_choose_two_of_three_equals(x64):
    """Each brings 1 from 0.4 on. Two can be served; a single price promises two and a half."""
    found = split_or_skip(Concave(lambda w, a: a + 0 * w, (jnp.ones(3),)), lower=0.4)
    assert int(found.served.sum()) == 2
    assert float(found.value) == 2
    assert float(found.gap) == 0
    assert float(found.price_bound) == pytest.approx(2.5, abs=1e-9)


def test_without_minimum_and_idle_gain_the_price_is_enough(x64):
    found = solve(np.array([1.0, 2.0, 1.5, 0.5]), np.full(N, 0.4), np.zeros(N), np.full(N, -0.3))
    assert float(found.price_bound - found.value) < 1e-12


def test_its_derivative_is_that_of_the_chosen_uses(x64):
    bend, lower, idle = np.full(N, 0.8), np.full(N, 0.15), np.zeros(N)

    def flat(weight):
        found = solve(weight, bend, lower, idle)
        return jnp.concatenate([found.shares, jnp.stack([found.price, found.value])])

    at = np.array([1.0, 2.0, 1.7, 0.4])
    assert 0 < np.sum(flat(at)[:N] == 0) < N - 1
    np.testing.assert_allclose(jax.jit(jax.jacfwd(flat))(at), jacobian(flat, at), atol=1e-8)


def test_padding_is_never_served(x64):
    gain = Concave(bent, (jnp.array([1.0, 9.0, 1.0]), jnp.full(3, 0.5)))
    found = split_or_skip(gain, lower=0.2, upper=jnp.array([1.0, 0.0, 1.0]))
    assert found.served.tolist() == [True, False, True]
    under_jit = jax.jit(lambda upper: split_or_skip(gain, lower=0.2, upper=upper))(jnp.zeros(3))
    assert not under_jit.feasible
    assert np.isinf(under_jit.bound)


@given(
    st.lists(st.floats(-0.5, 1.5), min_size=5, max_size=5),
    st.sampled_from([0.1, 0.2, 0.3, 0.45, 0.7, 1.0]),
)
def test_the_projection_is_the_nearest(wish, minimum):
    wish = np.array(wish, np.float32)
    found = np.asarray(project(wish, np.float32(minimum)))
    assert ((found == 0) | (found >= minimum - 1e-6)).all()
    assert found.sum() == pytest.approx(1, abs=1e-5)
    exact = nearest(wish, np.float32(minimum))
    assert np.sum((found - wish) ** 2) / 2 <= -float(exact.value) + 1e-5


@given(
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
    st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0]), min_size=5, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.sampled_from([0.15, 0.3, 0.45, 0.7]),
)
def test_what_is_urgent_is_kept_and_padding_is_not(wish, urgency, allowed, minimum):
    wish, urgency, allowed = np.array(wish, np.float32), np.array(urgency, np.float32), np.array(allowed)
    found = np.asarray(project(wish, np.float32(minimum), allowed, urgency))
    assert (found[~allowed] == 0).all()
    if not allowed.any():
        return
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert ((found == 0) | (found >= minimum - 1e-6)).all()
    urgent, room = np.flatnonzero(allowed & (urgency > 0)), int(1 / minimum + 1e-5)
    kept = found[urgent] > 0
    assert kept.sum() == min(len(urgent), room)
    if not kept.all():
        assert urgency[urgent][kept].min() >= urgency[urgent][~kept].max()


def test_the_projection_moves_what_is_kept(x64):
    at = np.array([0.7, 0.5, 0.22, -0.1])
    exact = jax.jit(jax.jacfwd(lambda wish: project(wish, 0.2)))(at)
    np.testing.assert_allclose(exact, jacobian(lambda wish: project(wish, 0.2), at), atol=1e-8)
    np.testing.assert_allclose(exact[:2, :2], [[0.5, -0.5], [-0.5, 0.5]], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_or_skip(Concave(missed, (jnp.ones(13),))), "split_or_skip: expected at most 12 uses, got 13"),
        (lambda: split_or_skip(Concave(missed, (jnp.ones(3),)), idle=jnp.ones(2)), r"idle to be a scalar or of shape"),
        (lambda: split_or_skip(Concave(missed, (jnp.ones(3),)), upper=0.2), "bounds that admit the resource 1"),
        (lambda: project_or_skip(jnp.ones(3), 1.5), r"project_or_skip: expected a minimum in \(0, 1\], got 1.5"),
        (lambda: project_or_skip(jnp.ones((2, 3)), 0.5), "Use jax.vmap for a batch"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
