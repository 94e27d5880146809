"""Users: what an untrained model ranks by, and what it makes of what it does not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import SquaredNorm
from attnjax.errors import UserError
from attnjax.models import (
    PAD,
    AttentionRule,
    History,
    LSTMEncoder,
    OwnPart,
    UserAttention,
    ease_links,
    ease_links_and_own,
    warm_start,
    without_own,
)
from attnjax.models.inputs import KnownEmbedding
from attnjax.models.user_attention import FLOOR

N, T, U = 12, 6, 4
RNG = np.random.default_rng(0)
ITEMS = RNG.integers(0, N, (U, T)).astype(np.int32)
ITEMS[1, :3] = PAD
ITEMS[2] = PAD
HISTORY = History(
    items=ITEMS,
    ratings=RNG.normal(size=(U, T)).astype(np.float32),
    times=np.sort(RNG.integers(878_000_000, 879_000_000, (U, T)), axis=1).astype(np.int32),
    categories=np.array([[0, 1], [1, 4], [0, 0], [1, 2]], np.int32),
    features=RNG.normal(size=(U, 2)).astype(np.float32),
)
ABOUT = np.where(RNG.random((N, 3)) < 0.2, np.nan, RNG.normal(size=(N, 3))).astype(np.float32)
MODEL = UserAttention(N, 8, (2, 5), window=4)


def spoil(params, size=0.3):
    """Parameters none of which is 0."""
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: leaf + size * rng.normal(size=leaf.shape).astype(np.float32), params)


@pytest.fixture(scope="module")
def fresh():
    return jax.jit(MODEL.init)(jax.random.key(0), HISTORY, ABOUT)["params"]


@pytest.fixture(scope="module")
def run():
    return jax.jit(lambda params, history, seen=None: MODEL.apply({"params": params}, history, ABOUT, seen))


def row(history, u):
    return jax.tree.map(lambda x: x[u], history)


def repeated(history):
    """One user's history as a batch of the shape that is compiled already."""
    return jax.tree.map(lambda x: np.stack([x] * U), history)


def test_a_batch_is_its_users_and_attention_spends_the_budget(fresh, run):
    params = spoil(fresh)
    together = run(params, HISTORY)
    assert together.scores.shape == (U, N)
    np.testing.assert_allclose(together.attention.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(together.attention, jax.nn.softmax(together.scores), rtol=1e-4, atol=1e-7)
    for u in range(2):
        alone = run(params, row(HISTORY, u))
        np.testing.assert_allclose(together.scores[u], alone.scores, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(together.weights[u], alone.weights, rtol=1e-4, atol=1e-5)


def test_an_untrained_model_ranks_by_popularity_or_as_ease_does(fresh, run):
    seen = (RNG.random((50, N)) < 0.3).astype(np.float32)
    popular = run(warm_start(fresh, seen), HISTORY).scores
    np.testing.assert_allclose(popular, np.log((seen.sum(0) + 1) / (seen.sum() + N))[None].repeat(U, 0), rtol=1e-5)
    counts = np.zeros((U, N))
    np.add.at(counts, (np.nonzero(ITEMS != PAD)[0], ITEMS[ITEMS != PAD]), 1)
    linear = run(warm_start(fresh, seen, l2=5.0, gain=2.0), HISTORY).scores
    ease = counts @ ease_links(seen, 5.0)
    np.testing.assert_allclose(linear, 2 * np.log(np.logaddexp(0, ease / FLOOR) / np.log(2)), rtol=1e-3, atol=1e-3)
    for ours, theirs in zip(np.asarray(linear), ease, strict=True):
        apart = np.abs(np.diff(np.sort(theirs))).min() > 1e-6  # an empty history has no order
        assert not apart or np.array_equal(np.argsort(ours), np.argsort(theirs))


def test_ease_is_the_ridge_regression_of_each_item_on_all_others():
    seen = (np.random.default_rng(1).random((40, 6)) < 0.4).astype(float)
    links = np.asarray(ease_links(seen, 3.0))
    np.testing.assert_array_equal(np.diag(links), 0)
    for item in range(6):
        others = np.delete(seen, item, axis=1)
        ridge = np.linalg.solve(others.T @ others + 3.0 * np.eye(5), others.T @ seen[:, item])
        np.testing.assert_allclose(np.delete(links[:, item], item), ridge, rtol=1e-4, atol=1e-6)


def test_without_their_own_part_users_are_scored_by_links_that_never_saw_them(fresh, run):
    """Refitted without the user's row, to the last digits; whatever of the history is remembered, and how well."""
    rng = np.random.default_rng(2)
    seen = (rng.random((U, N)) < 0.5).astype(float)
    everyone = np.concatenate([seen, (rng.random((30, N)) < 0.3).astype(float)])
    links, own = ease_links_and_own(everyone, 4.0)
    np.testing.assert_allclose(links, ease_links(everyone, 4.0))
    own = OwnPart(*(part[:U] for part in own))
    remembered = seen * rng.random((U, N))
    found = without_own(remembered @ links, remembered, own)
    refitted = [ease_links(np.delete(everyone, u, axis=0), 4.0) for u in range(U)]
    np.testing.assert_allclose(found, [remembered[u] @ refitted[u] for u in range(U)], rtol=1e-4, atol=1e-6)

    params = spoil(fresh)
    through = jax.jit(lambda params, own: MODEL.apply({"params": params}, HISTORY, ABOUT, own=own).scores)
    scores = through({**params, "links": jnp.asarray(links, jnp.float32)}, own)
    for u in range(U):
        alone = run({**params, "links": jnp.asarray(refitted[u], jnp.float32)}, HISTORY).scores[u]
        np.testing.assert_allclose(scores[u], alone, rtol=1e-3, atol=1e-4)


def test_whatever_is_unseen_is_unknown_and_its_own_embedding(fresh, run):
    """Items and categories outside of what is known: all alike, none like a known one, none dropped."""
    params = spoil(fresh)

    def scores(item, category):
        one = row(HISTORY, 0)
        items = np.where(np.arange(T) == T - 1, item, one.items).astype(np.int32)
        changed = one._replace(items=items, categories=np.array([0, category], np.int32))
        return np.asarray(run(params, repeated(changed)).scores[0])

    unseen = scores(N + 3, 77)
    assert np.isfinite(unseen).all()
    np.testing.assert_array_equal(unseen, scores(N, -5))
    for known in (scores(2, 77), scores(N + 3, 1), scores(PAD, 77)):
        assert np.abs(known - unseen).max() > 1e-3


def test_an_empty_history_is_scored_by_who_the_user_is(fresh, run):
    params = spoil(fresh)
    spent = run(params, HISTORY)
    assert np.isfinite(spent.scores).all()
    other = HISTORY._replace(features=HISTORY.features + 1)
    assert float(jnp.abs(run(params, other).scores[2] - spent.scores[2]).max()) > 1e-3
    # What stands in the padding, and when, has no effect.
    noise = HISTORY._replace(ratings=HISTORY.ratings.copy(), times=HISTORY.times.copy())
    noise.ratings[ITEMS == PAD] = np.nan
    noise.times[ITEMS == PAD] = 5
    np.testing.assert_allclose(run(params, noise).scores, spent.scores, rtol=1e-5, atol=1e-5)


def test_missing_numbers_are_told_from_typical_ones_and_leave_gradients_finite(fresh, run):
    params = spoil(fresh)
    bare = HISTORY._replace(ratings=np.full((U, T), np.nan, np.float32), features=np.full((U, 2), np.nan, np.float32))
    typical = bare._replace(ratings=np.zeros((U, T), np.float32), features=np.zeros((U, 2), np.float32))
    here, there = run(params, bare).scores, run(params, typical).scores
    assert np.isfinite(here).all()
    assert float(jnp.abs(here - there).max()) > 1e-3
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(MODEL.apply({"params": p}, bare, ABOUT).scores ** 2)))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert all(np.abs(leaf).max() > 0 for name, leaf in gradient.items() if name in ("links", "start", "item_bias"))


def test_what_is_not_admissible_gets_nothing(fresh, run):
    admissible = np.ones((U, N), bool)
    admissible[0, :5] = False
    admissible[3] = False
    spent = run(spoil(fresh), HISTORY, admissible)
    np.testing.assert_array_equal(spent.attention[~admissible], 0)
    np.testing.assert_array_equal(spent.scores[~admissible], -np.inf)
    np.testing.assert_allclose(spent.attention.sum(1), [1, 1, 1, 0], rtol=1e-5)


def test_other_rules_and_encoders_and_items_known_by_id_only():
    rule = AttentionRule(SquaredNorm(), cap=0.5)
    model = UserAttention(N, 8, (2, 5), encoder=LSTMEncoder(8), links=False, rule=rule)
    params = spoil(jax.jit(model.init)(jax.random.key(0), HISTORY)["params"], 1.0)
    assert not {"links", "item_features"} & set(params)
    spent = jax.jit(model.apply)({"params": params}, HISTORY)
    assert spent.weights is None
    np.testing.assert_allclose(spent.attention.sum(1), 1, rtol=1e-5)
    assert float(spent.attention.max()) <= 0.5
    assert (np.asarray(spent.attention) == 0).any()


def test_hiding_shows_known_categories_as_unknown_at_the_rate():
    embedding = KnownEmbedding(3, 2, unknown_rate=0.25)
    index = jnp.zeros(4000, int)
    params = embedding.init(jax.random.key(0), index)
    rows = embedding.apply(
        params, index, deterministic=False, method=embedding.rows, rngs={"dropout": jax.random.key(1)}
    )
    assert set(np.unique(rows)) == {0, 3}
    assert float((rows == 3).mean()) == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(embedding.apply(params, index, method=embedding.rows), 0)


@pytest.mark.parametrize(
    ("history", "about", "message"),
    [
        (HISTORY._replace(categories=HISTORY.categories[:, :1]), ABOUT, "expected 2 columns of categories, got 1"),
        (HISTORY, ABOUT[:5], "expected 12 rows of item features, got 5"),
        (HISTORY._replace(times=HISTORY.times.astype(np.float32)), ABOUT, "expected times as integers, got float32"),
        (HISTORY._replace(ratings=HISTORY.ratings[:, 1:]), ABOUT, "expected 6 ratings, got 5"),
    ],
)
def test_refusals(history, about, message):
    with pytest.raises(UserError, match=f"UserAttention: {message}"):
        jax.eval_shape(MODEL.init, jax.random.key(0), history, about)


def test_refusals_of_the_closed_form_and_of_a_start_without_links(fresh):
    with pytest.raises(UserError, match=r"ease_links: expected .* l2 > 0, got .* l2 = 0"):
        ease_links(np.ones((2, 2)), 0)
    without = {name: value for name, value in fresh.items() if name != "links"}
    with pytest.raises(UserError, match="warm_start: expected a model with links"):
        warm_start(without, np.ones((2, N)), l2=1.0)
