"""The log's shares converge to the true attention, which is the allocation of the true scores."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import SquaredNorm
from attnjax.data.synthetic import SyntheticConfig, draw_log, synthetic_market
from attnjax.errors import UserError

SMALL = SyntheticConfig(users=6, items=15, creators=4, interactions=20_000.0, factors=3, signal=1.5)


@pytest.fixture(scope="module")
def market():
    return synthetic_market(SMALL, jax.random.key(0))


def test_the_truth_is_the_softmax_of_the_documented_scores(market):
    liking = 1.5 / np.sqrt(3) * np.asarray(market.user_factors) @ np.asarray(market.item_factors).T
    scores = liking - 0.5 * np.log(market.rank)[None, :]
    np.testing.assert_allclose(market.scores, scores, atol=1e-5)
    share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(market.attention, share, rtol=2e-5)
    assert sorted(market.rank) == list(range(1, 16))


def test_shares_of_a_long_log_are_the_true_attention(market):
    count = np.zeros((6, 15))
    np.add.at(count, (market.user, market.item), 1)
    total = count.sum(axis=1)
    assert abs(total - 20_000).max() < 5 * np.sqrt(20_000)
    attention = np.asarray(market.attention, np.float64)
    expected = attention * total[:, None]
    chi = ((count - expected) ** 2 / expected).sum(axis=1)  # of 14 degrees of freedom, each
    assert chi.sum() < 6 * 14 + 5 * np.sqrt(2 * 6 * 14)
    # Creators' exposure converges with it.
    weight = market.creators.dense()
    np.testing.assert_allclose(
        (count / total[:, None]).sum(axis=0) @ weight, attention.sum(axis=0) @ weight, atol=6 * 0.5 / np.sqrt(20_000)
    )


def test_under_the_squared_norm_what_gets_no_attention_is_never_drawn():
    config = dataclasses.replace(SMALL, regularizer=SquaredNorm(), interactions=3000.0, temperature=0.5)
    market = synthetic_market(config, jax.random.key(1))
    attention = np.asarray(market.attention, np.float64)
    assert (attention == 0).mean() > 0.4
    assert (attention[market.user, market.item] > 0).all()
    count = np.zeros((6, 15))
    np.add.at(count, (market.user, market.item), 1)
    np.testing.assert_allclose(count / count.sum(axis=1, keepdims=True), attention, atol=5 * 0.5 / np.sqrt(2500))


def test_rounding_never_draws_an_item_without_attention():
    """Shares whose sum falls short of 1, and draws close to 1."""
    attention = jnp.asarray([[0.3, 0.3, 0.39999, 0.0]])
    config = dataclasses.replace(SMALL, users=1, items=4, interactions=50_000.0)
    assert draw_log(attention, config, jax.random.key(0))[1].max() == 2


def test_popularity_alone_is_zipfs_law():
    config = dataclasses.replace(SMALL, signal=0.0, popularity=1.2, interactions=1.0)
    market = synthetic_market(config, jax.random.key(2))
    weight = market.rank.astype(float) ** -1.2
    np.testing.assert_allclose(market.attention[0], weight / weight.sum(), rtol=1e-5)


def test_every_creator_has_a_work_and_every_item_one_creator():
    for seed in range(5):
        creators = synthetic_market(dataclasses.replace(SMALL, interactions=1.0), jax.random.key(seed)).creators
        assert creators.items_per_creator().min() >= 1
        assert creators.item.tolist() == list(range(15))
        assert (creators.weight == 1).all()


def test_a_longer_log_is_of_the_same_market_and_is_in_the_order_of_time(market):
    short = synthetic_market(dataclasses.replace(SMALL, interactions=3.0), jax.random.key(0))
    np.testing.assert_array_equal(short.attention, market.attention)
    np.testing.assert_array_equal(short.creators.creator, market.creators.creator)
    assert (np.diff(market.timestamp) >= 0).all()
    assert 0 <= market.timestamp.min() <= market.timestamp.max() < 365 * 86_400
    again = synthetic_market(dataclasses.replace(SMALL, interactions=3.0), jax.random.key(0))
    np.testing.assert_array_equal(short.item, again.item)
    other = synthetic_market(dataclasses.replace(SMALL, interactions=3.0), jax.random.key(1))
    assert not np.array_equal(short.attention, other.attention)


def test_settings_out_of_range_are_refused():
    for changes in ({"users": 0}, {"items": 3}, {"signal": -1.0}, {"temperature": 0.0}, {"interactions": 0.0}):
        with pytest.raises(UserError, match="SyntheticConfig: expected"):
            dataclasses.replace(SMALL, **changes)
