"""Returns and advantages are the sums that they stand for, bootstrapped where the clock stopped an episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.meta.rl import discounted_returns, generalised_advantages

STEPS, DISCOUNT, DECAY = 12, 0.9, 0.7


def row(seed, length):
    """Episodes that end either way, in a row of which only the first `length` steps count."""
    draw = np.random.default_rng(seed)
    ends = draw.random(STEPS) < 0.35
    over = draw.random(STEPS) < 0.5
    numbers = draw.normal(size=(3, STEPS))
    return (*numbers, ends & over, ends & ~over, np.arange(STEPS) < length)


def episodes(terminated, truncated, alive):
    """(first, last, whether nothing follows) of each episode."""
    first = 0
    length = int(alive.sum())
    for t in range(length):
        if terminated[t] or truncated[t] or t == length - 1:
            yield first, t, bool(terminated[t])
            first = t + 1


CASES = [(seed, length) for seed in range(6) for length in (STEPS, STEPS - 4)]


def test_a_return_is_a_discounted_sum_and_the_value_of_what_was_cut_off(x64):
    returns = jax.jit(
        lambda r, after, over, cut, alive: discounted_returns(
            r, over, cut, discount=DISCOUNT, successor_value=after, alive=alive
        )
    )
    for case in CASES:
        reward, _, after, terminated, truncated, alive = row(*case)
        expected = np.zeros(STEPS)
        for first, last, over in episodes(terminated, truncated, alive):
            for t in range(first, last + 1):
                expected[t] = sum(DISCOUNT ** (u - t) * reward[u] for u in range(t, last + 1))
                expected[t] += 0 if over else DISCOUNT ** (last + 1 - t) * after[last]
        np.testing.assert_allclose(returns(reward, after, terminated, truncated, alive), expected, atol=1e-13)


def test_an_advantage_is_the_mean_of_k_step_advantages(x64):
    """A = (1 - l)(A^1 + l A^2 + ...) up to the end, the last with all the weight that is left."""
    advantages = jax.jit(
        lambda r, v, after, over, cut, alive: generalised_advantages(
            r, v, after, over, cut, discount=DISCOUNT, decay=DECAY, alive=alive
        )
    )
    for case in CASES:
        reward, value, after, terminated, truncated, alive = row(*case)
        expected = np.zeros(STEPS)
        for first, last, over in episodes(terminated, truncated, alive):
            # Inside an episode what follows is the next step's observation.
            after[first:last] = value[first + 1 : last + 1]
            for t in range(first, last + 1):
                looks = []
                for u in range(t, last + 1):
                    paid = sum(DISCOUNT ** (w - t) * reward[w] for w in range(t, u + 1))
                    beyond = 0 if over and u == last else after[u]
                    looks.append(paid + DISCOUNT ** (u + 1 - t) * beyond - value[t])
                weights = [(1 - DECAY) * DECAY**i for i in range(len(looks) - 1)]
                expected[t] = np.dot([*weights, 1 - sum(weights)], looks)
        got = advantages(reward, value, after, terminated, truncated, alive)
        np.testing.assert_allclose(got, expected, atol=1e-13)


def test_with_decay_one_an_advantage_is_the_return_less_the_value(x64):
    reward, value, after, terminated, truncated, alive = row(3, STEPS)
    after[:-1] = np.where((terminated | truncated)[:-1], after[:-1], value[1:])
    options = {"discount": DISCOUNT, "alive": alive}
    one = generalised_advantages(reward, value, after, terminated, truncated, decay=1.0, **options)
    returns = discounted_returns(reward, terminated, truncated, successor_value=after, **options)
    np.testing.assert_allclose(one, returns - value, atol=1e-13)


def test_a_termination_and_a_truncation_differ_by_the_value_of_what_followed():
    end, no = jnp.array([False, True]), jnp.zeros(2, bool)
    reward, value, after = jnp.ones(2), jnp.zeros(2), jnp.array([0.0, 10.0])
    options = {"discount": 0.5, "decay": 1.0}
    over = generalised_advantages(reward, value, after, end, no, **options)
    cut = generalised_advantages(reward, value, after, no, end, **options)
    np.testing.assert_allclose(over, [1.5, 1.0])
    np.testing.assert_allclose(cut, [4.0, 6.0])


def test_what_does_not_count_may_hold_anything():
    reward, value, after, terminated, truncated, alive = (jnp.asarray(part) for part in row(1, 7))
    spoilt = [jnp.where(alive, part, jnp.nan) for part in (reward, value, after)]
    options = {"discount": DISCOUNT, "decay": DECAY, "alive": alive}
    one = generalised_advantages(reward, value, after, terminated, truncated, **options)
    other = generalised_advantages(*spoilt, terminated, ~alive | truncated, **options)
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert (one[7:] == 0).all()


def test_bad_input_is_refused():
    flags, row = jnp.zeros(3, bool), jnp.zeros(3)
    with pytest.raises(UserError, match=r"discounted_returns: expected a discount in \[0, 1\]"):
        discounted_returns(row, flags, flags, discount=1.5)
    with pytest.raises(UserError, match="generalised_advantages: expected a decay"):
        generalised_advantages(row, row, row, flags, flags, discount=0.9, decay=-0.1)
    with pytest.raises(UserError, match="rows of one length"):
        generalised_advantages(row, row, jnp.zeros(4), flags, flags, discount=0.9, decay=0.1)
    with pytest.raises(UserError, match=r"jax\.vmap"):
        discounted_returns(jnp.zeros((2, 3)), flags, flags, discount=0.9)
