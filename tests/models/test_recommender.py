"""Three networks: what they see and what adapts; and the document's own, which can't be personal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import SquaredNorm
from attnjax.errors import UserError
from attnjax.meta import Tasks, meta_sgd
from attnjax.models import (
    AttentionRule,
    Behaviour,
    ThreeNetworks,
    ThreeSoftmax,
    bottleneck,
    warm_biases,
)

N, T = 9, 6
RNG = np.random.default_rng(0)
ABOUT = jnp.asarray(RNG.normal(size=(N, 4)), jnp.float32)
MODEL = ThreeNetworks(num_items=N, features=4)


def behaviour(count, seed=0):
    rng = np.random.default_rng(seed)
    parts = rng.integers(0, N, T), rng.normal(size=T), np.sort(rng.random(T)) * 1e4, np.arange(T) < count
    return Behaviour(*(jnp.asarray(part) for part in parts))


@pytest.fixture(scope="module")
def params():
    """Parameters as training may leave them: none is 0."""
    fresh = MODEL.init(jax.random.key(0), behaviour(3), ABOUT)
    keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(fresh)))
    noise = jax.tree.unflatten(jax.tree.structure(fresh), list(keys))
    return jax.tree.map(lambda leaf, key: leaf + 0.3 * jax.random.normal(key, leaf.shape), fresh, noise)


@pytest.fixture(scope="module")
def apply():
    return jax.jit(MODEL.apply)


def test_a_new_model_ranks_by_popularity():
    interactions = jnp.asarray(RNG.random((30, N)) < np.linspace(0.1, 0.8, N), jnp.float32)
    fresh = warm_biases(MODEL.init(jax.random.key(0), behaviour(3), ABOUT), interactions)
    found = MODEL.apply(fresh, behaviour(3), ABOUT)
    np.testing.assert_array_equal(np.argsort(found.scores), np.argsort(interactions.sum(axis=0), stable=True))
    np.testing.assert_allclose(found.attention, jax.nn.softmax(found.scores), rtol=1e-5)


def test_padding_is_not_seen_and_everything_else_is(params, apply):
    base = behaviour(4)
    found = apply(params, base, ABOUT).scores
    hidden = base._replace(
        item=base.item.at[5].set(3), rating=base.rating.at[4].set(9.0), time=base.time.at[5].add(5.0)
    )
    np.testing.assert_array_equal(apply(params, hidden, ABOUT).scores, found)
    for changed in (
        base._replace(item=base.item.at[1].set((base.item[1] + 1) % N)),
        base._replace(rating=base.rating.at[1].add(1.0)),
        base._replace(time=base.time.at[2].add(300.0)),
        base._replace(mask=base.mask.at[1].set(False)),
    ):
        assert abs(apply(params, changed, ABOUT).scores - found).max() > 1e-4
    other = apply(params, base, ABOUT.at[2, 1].add(1.0)).scores
    assert abs(other - found)[2] > 1e-4


def test_who_did_nothing_has_no_representation(params, apply):
    assert (apply(params, behaviour(0), ABOUT).user == 0).all()


def test_the_last_layer_is_the_rule_over_what_is_admissible(params):
    open_ = jnp.arange(N) % 3 != 0
    sparse = ThreeNetworks(num_items=N, features=4, rule=AttentionRule(SquaredNorm(), budget=2.0, cap=0.5))
    found = sparse.apply(params, behaviour(4), ABOUT, open_)
    assert float(found.attention.sum()) == pytest.approx(2.0, rel=1e-5)
    assert float(found.attention.max()) <= 0.5
    assert (found.attention[::3] == 0).all()
    assert np.isneginf(found.scores[::3]).all()


def test_a_prior_is_added(params, apply):
    prior = jnp.arange(N) * 1.0
    plain, moved = (apply(params, behaviour(4), ABOUT, None, p).scores for p in (jnp.zeros(N), prior))
    np.testing.assert_allclose(moved - plain, prior, atol=1e-5)


def test_only_the_decision_layers_adapt_and_all_are_learned(params):
    """As in MeLU: the inner loop moves the policy network, the meta-gradient reaches all."""

    def loss(tree, support):
        found = MODEL.apply({"params": tree}, support[0], ABOUT)
        return -jax.nn.log_softmax(found.scores)[support[1]]

    learner = meta_sgd(loss, 0.1, 1, adapt="decision")
    meta = learner.init(params["params"])
    phi, _ = learner.adapt(meta, (behaviour(4), jnp.array(2)))
    same = jax.tree.map(lambda a, b: bool((a == b).all()), phi, meta.theta)
    moved = {name for name, tree in same.items() if not all(jax.tree.leaves(tree))}
    assert moved == {"decision"}
    tasks = jax.tree.map(lambda *x: jnp.stack(x), *[(behaviour(4, s), jnp.array(s)) for s in (1, 2)])
    _, gradient = jax.jit(learner.gradient)(meta, Tasks(tasks, tasks))
    # A key's bias shifts all scores of a query alike, so no attention depends on it.
    silent = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree.leaves_with_path(gradient.theta)
        if float(abs(leaf).max()) < 1e-7
    ]
    assert all(path.endswith("key/bias") for path in silent)


def test_a_row_of_vmap_is_one_user(params, apply):
    users = [behaviour(count, seed=count) for count in (0, 2, 6)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *users)
    rows = jax.jit(jax.vmap(lambda one: MODEL.apply(params, one, ABOUT).scores))(batch)
    for row, user in zip(rows, users, strict=True):
        np.testing.assert_allclose(row, apply(params, user, ABOUT).scores, atol=1e-5)


def test_the_documents_policy_orders_items_alike_for_everybody():
    """softmax(W3 [u, v] + b3): its log odds are a part of the user's plus a part of the item's."""
    model = ThreeSoftmax(features=5, actions=2)
    histories, items = RNG.normal(size=(7, 6)), RNG.normal(size=(N, 4))
    params = model.init(jax.random.key(3), histories[0], items[0])
    each = jax.vmap(jax.vmap(model.apply, (None, None, 0)), (None, 0, None))
    policy = each(params, histories, items)
    np.testing.assert_allclose(policy.sum(axis=-1), 1, rtol=1e-6)
    odds = jnp.log(policy[..., 1] / policy[..., 0])
    personal = odds - odds.mean(axis=1, keepdims=True) - odds.mean(axis=0, keepdims=True) + odds.mean()
    np.testing.assert_allclose(personal, 0, atol=1e-5)
    assert (np.argsort(odds, axis=1) == np.argsort(odds[0])).all()
    assert float(jnp.std(odds)) > 0.01


def test_a_softmax_of_width_k_can_be_as_personal_as_rank_k_less_one_and_no_more(x64):
    """Its best is reached by construction: left factors, scaled into the simplex. One rank above, it falls short."""
    left, right = RNG.normal(size=(8, 3)), RNG.normal(size=(3, 12))
    left, right = left - left.mean(axis=0), right - right.mean(axis=1, keepdims=True)
    wanted = left @ right
    found = bottleneck(jnp.asarray(wanted), width=4)
    assert float(found.softmax) == pytest.approx(1)
    # Differences of log u that are small are differences of u.
    basis = np.linalg.svd(np.ones((1, 4)))[2][1:]  # orthonormal, orthogonal to the ones
    users = np.asarray(0.25 + 1e-3 * left @ basis)
    assert (users > 0).all()
    np.testing.assert_allclose(users.sum(axis=1), 1)
    said = users @ (basis.T @ right / 1e-3)
    said = said - said.mean(axis=0)
    np.testing.assert_allclose(said, wanted, atol=1e-9)
    fewer = bottleneck(jnp.asarray(wanted), width=3)
    squares = np.linalg.svd(wanted, compute_uv=False) ** 2
    assert float(fewer.softmax) == pytest.approx(squares[:2].sum() / squares.sum())
    assert float(fewer.free) == pytest.approx(1)
    assert float(fewer.sum_of_parts) == 0


def test_what_is_common_to_all_users_is_not_personal():
    scores = jnp.asarray(RNG.normal(size=(6, 10)), jnp.float32)
    shifted = scores + RNG.normal(size=(6, 1)) + RNG.normal(size=(1, 10))
    np.testing.assert_allclose(bottleneck(scores, 2), bottleneck(jnp.asarray(shifted, jnp.float32), 2), atol=1e-5)
    alike = jnp.tile(jnp.arange(5.0), (4, 1))
    np.testing.assert_allclose(bottleneck(alike, 2), 0)
    np.testing.assert_allclose(bottleneck(scores, 99).free, 1, rtol=1e-6)


def test_mistakes_are_refused(params):
    with pytest.raises(UserError, match=r"of 9 items, got \(8, 4\)"):
        MODEL.apply(params, behaviour(3), ABOUT[:8])
    with pytest.raises(UserError, match="a width of at least 1"):
        bottleneck(jnp.ones((2, 2)), 0)
