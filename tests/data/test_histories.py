"""Histories hold the latest interactions in order; hidden items are hidden at the stated rate, and one at least."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.data.histories import mask_items, pad_histories
from attnjax.errors import UserError

logs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 5)), max_size=30)


@given(logs, st.integers(1, 6))
def test_a_history_is_the_latest_rows_in_order(log, length):
    user, item, time = (np.array([row[k] for row in log], int) for k in range(3))
    found = pad_histories(user, item, time, num_users=5, length=length)
    assert found.item.shape == found.mask.shape == found.row.shape == (5, length)
    for one in range(5):
        own = sorted((row for row in range(len(log)) if user[row] == one), key=lambda row: (time[row], row))[-length:]
        assert found.row[one].tolist() == own + [-1] * (length - len(own))
        assert found.item[one].tolist() == [item[row] for row in own] + [0] * (length - len(own))
        assert found.mask[one].sum() == len(own)
        assert found.total[one] == (user == one).sum()


def test_what_histories_refuse():
    for changes, words in (
        ({"length": 0}, "length >= 1"),
        ({"num_users": 1}, r"users in \[0, num_users\), got length 2, num_users 1, users to 1"),
        ({"item": [1]}, "of one length"),
        ({"item": [0.5, 1.0]}, "the first two integers"),
    ):
        options = {"user": [0, 1], "item": [1, 2], "timestamp": [0, 0], "num_users": 2, "length": 2} | changes
        with pytest.raises(UserError, match=words):
            pad_histories(**options)


MASK = jnp.arange(20)[None, :] < jnp.array([0, 1, 5, 20])[:, None]
ITEMS = jnp.where(MASK, 1 + jnp.arange(80).reshape(4, 20), 0)
HIDE = jax.jit(lambda key, rate: mask_items(key, ITEMS, MASK, rate, mask_item=100))


def test_hidden_items_are_targets_and_nothing_else_changes():
    for seed in range(20):
        found = HIDE(jax.random.key(seed), 0.3)
        hidden = np.asarray(found.weights) == 1
        assert not hidden[~np.asarray(MASK)].any()
        np.testing.assert_array_equal(found.targets, ITEMS)
        np.testing.assert_array_equal(found.inputs, np.where(hidden, 100, ITEMS))
        assert (hidden.sum(axis=1) >= [0, 1, 1, 1]).all()
    again = HIDE(jax.random.key(19), 0.3)
    np.testing.assert_array_equal(found.inputs, again.inputs)
    assert HIDE._cache_size() == 1


def test_the_rate_is_kept_and_no_place_is_preferred():
    keys = jax.random.split(jax.random.key(0), 4000)
    weights = np.asarray(jax.vmap(lambda key: HIDE(key, 0.15).weights)(keys))
    for user, size in ((2, 5), (3, 20)):
        # Each place on its own, and, where none was hidden, one of them.
        expected = 0.15 + 0.85**size / size
        share = weights[:, user, :size].mean(axis=0)
        assert abs(share - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / 4000)
    assert (weights[:, 1, 0] == 1).all()
    everything = HIDE(jax.random.key(1), 1.0).weights
    np.testing.assert_array_equal(everything, np.asarray(MASK, np.float32))
    nothing_more = HIDE(jax.random.key(1), 0.0).weights
    assert nothing_more.sum(axis=1).tolist() == [0, 1, 1, 1]


def test_eager_jit_and_a_single_history_agree():
    key = jax.random.key(2)
    np.testing.assert_array_equal(mask_items(key, ITEMS, MASK, 0.3, 100).inputs, HIDE(key, 0.3).inputs)
    one = mask_items(key, ITEMS[2], MASK[2], 0.3, 100)
    rows = jax.vmap(lambda items, mask: mask_items(key, items, mask, 0.3, 100))(ITEMS, MASK)
    np.testing.assert_array_equal(one.inputs, rows.inputs[2])


def test_what_masking_refuses():
    with pytest.raises(UserError, match="items and mask of one shape"):
        mask_items(jax.random.key(0), ITEMS, MASK[0], 0.1, 100)
    with pytest.raises(UserError, match=r"a rate in \[0, 1\], got .* rate 1\.5"):
        mask_items(jax.random.key(0), ITEMS, MASK, 1.5, 100)
