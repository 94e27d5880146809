"""The recommender's environment: choice, boredom, drift, and users fitted to ratings."""

import dataclasses
import functools

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.envs import (
    OF_USERS,
    Recommender,
    RecommenderTask,
    choice_probabilities,
    examination,
    rollout,
    stateless,
)
from attnjax.envs.recommender import CHOICES
from attnjax.errors import UserError

by_choice = pytest.mark.parametrize("choice", CHOICES)
ENV = Recommender(items=12, features=3, topics=2, slate=3, horizon=30)


def keys(seed, count):
    return jax.random.split(jax.random.key(seed), count)


def showing(*slate, of=ENV):
    """Scores whose slate this is, in this order."""
    return jnp.full(of.items, -1.0).at[jnp.array(slate)].set(jnp.arange(len(slate), 0, -1.0))


@functools.cache
def compiled(env):
    return jax.jit(env.step)


def task_of(env=ENV, seed=0, **parts):
    parts = {name: jnp.asarray(value, jnp.float32) for name, value in parts.items()}
    return dataclasses.replace(env.sample_task(jax.random.key(seed)), **parts)


# --- choice ------------------------------------------------------------------------------------------------------


@by_choice
def test_probabilities_are_on_the_simplex(choice):
    utilities = 4 * jax.random.normal(jax.random.key(0), (200, 5))
    utilities = utilities.at[::3, 2].set(-jnp.inf).at[:2].set(jnp.array([[-jnp.inf], [80.0]]))
    patience = jax.random.uniform(jax.random.key(1), (200,), minval=1e-3).at[0].set(1.0)
    found = np.asarray(jax.vmap(functools.partial(choice_probabilities, choice=choice))(utilities, patience))
    assert found.shape == (200, 6)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=2e-6)
    assert (found[::3, 2] == 0).all()  # what is not wanted at all is not clicked
    assert found[0, -1] == 1


@by_choice
def test_examination_falls_from_place_to_place_and_with_impatience(choice):
    utilities = 2 * jax.random.normal(jax.random.key(0), (100, 6))
    seen = jax.vmap(functools.partial(examination, choice=choice), in_axes=(0, None))
    slow, fast = (np.asarray(seen(utilities, jnp.float32(patience))) for patience in (0.9, 0.5))
    assert (slow[:, 0] == 1).all()
    assert (np.diff(slow) < 0).all()
    assert (fast[:, 1:] < slow[:, 1:]).all()


def test_equal_items_are_clicked_less_in_lower_places():
    for choice in CHOICES:
        found = np.asarray(choice_probabilities(jnp.zeros(4), jnp.float32(0.8), choice))
        assert (np.diff(found[:4]) < 0).all()


def test_the_cascade_is_a_walk_down_the_slate():
    """Against the story played out place by place."""
    rng, patience = np.random.default_rng(0), 0.7
    utility = np.array([-1.0, 0.5, -0.3, 1.0])
    counts = np.zeros(5)
    for _ in range(20_000):
        for place, wanted in enumerate(utility):
            if rng.random() < 1 / (1 + np.exp(-wanted)):
                counts[place] += 1
                break
            if rng.random() > patience:
                counts[-1] += 1
                break
        else:
            counts[-1] += 1
    found = choice_probabilities(jnp.asarray(utility, jnp.float32), jnp.float32(patience), "cascade")
    np.testing.assert_allclose(counts / 20_000, found, atol=4 * 0.5 / np.sqrt(20_000))


def test_the_multinomial_choice_is_luces():
    """Ratios of two chances do not depend on what else is shown; the equation itself."""
    utility, patience = jnp.array([0.3, -1.0, 2.0]), jnp.float32(0.6)
    weight = 0.6 ** np.arange(3) * np.exp(np.asarray(utility))
    found = np.asarray(choice_probabilities(utility, patience, "multinomial"))
    np.testing.assert_allclose(found, np.append(weight, 1) / (1 + weight.sum()), rtol=1e-6)
    other = np.asarray(choice_probabilities(utility.at[2].set(-5.0), patience, "multinomial"))
    assert other[0] / other[1] == pytest.approx(found[0] / found[1], rel=1e-5)


@by_choice
def test_chances_have_the_derivatives_of_the_equations(choice, x64):
    weights = jnp.array([0.3, -1.0, 0.5, 2.0])

    def value(point):
        return weights @ choice_probabilities(point[:3], point[3], choice)

    point = jnp.array([0.4, -0.7, 1.1, 0.8])
    central_differences.assert_close(jax.grad(value)(point), central_differences.jacobian(value, point), 1e-7)
    # And stay finite where an item is not wanted at all.
    assert np.isfinite(jax.grad(value)(point.at[1].set(-jnp.inf))[0])


# --- dynamics ----------------------------------------------------------------------------------------------------


def clicked_once(task, item, env=ENV):
    """The state after a click on an item in the first place."""
    _, state = env.reset(jax.random.key(0), task)
    for key in keys(1, 200):
        step = compiled(env)(key, state, showing(item, of=env), task)
        if step.info["click"] == 0:
            return state, step
    raise AssertionError("never clicked")


def test_a_repeated_genre_bores_and_another_does_not():
    topics = jnp.eye(2)[jnp.arange(12) % 2]
    task = task_of(topics=topics, boredom=1.0, drift=0.0, quality=jnp.zeros(12))
    before, step = clicked_once(task, 0)
    slate = showing(2, 4, 1)

    def chances(state):
        return np.asarray(compiled(ENV)(jax.random.key(5), state, slate, task).info["probabilities"])

    first, second = chances(before), chances(step.state)
    assert (second[:2] < first[:2]).all()
    assert second[2] > first[2]
    again = step.state._replace(weariness=2 * step.state.weariness)
    assert (chances(again)[:2] < second[:2]).all()
    # And is forgotten at the rate of fading.
    idle = step.state._replace(weariness=step.state.weariness * task.fading**100)
    np.testing.assert_allclose(chances(idle), first, rtol=1e-4)


def test_weariness_fades_without_a_click_and_grows_by_the_item_with_one():
    task = task_of()
    _, step = clicked_once(task, 3)
    np.testing.assert_allclose(step.state.weariness, task.topics[3], rtol=1e-6)
    never = dataclasses.replace(task, mood=jnp.float32(-1e3))
    after = compiled(ENV)(jax.random.key(0), step.state, showing(0, 1, 2), never)
    assert float(after.reward) == 0
    assert int(after.info["click"]) == ENV.slate
    np.testing.assert_allclose(after.state.weariness, task.fading * step.state.weariness, rtol=1e-6)
    np.testing.assert_array_equal(after.state.interest, step.state.interest)
    np.testing.assert_array_equal(after.state.consumed, step.state.consumed)


def test_interest_moves_towards_what_was_consumed():
    for drift in (0.0, 0.3, 1.0):
        task = task_of(drift=drift, boredom=0.0)
        state, step = clicked_once(task, 5)
        was, now = (np.linalg.norm(at.interest - task.features[5]) for at in (state, step.state))
        assert now == pytest.approx((1 - drift) * was, abs=1e-6)
        alike = task.features @ task.features[5] > 0.99
        assert bool(alike[5])
        if drift:
            gain = ENV.utilities(step.state, task) - ENV.utilities(state, task)
            assert (np.asarray(gain)[np.asarray(alike) & ~np.asarray(step.state.consumed)] > 0).all()


def test_interest_never_leaves_the_ball_and_nothing_is_consumed_twice():
    def play(task, key):
        def one(state, key):
            of_scores, of_step = jax.random.split(key)
            step = ENV.step(of_step, state, jax.random.normal(of_scores, (ENV.items,)), task)
            return step.state, (jnp.linalg.norm(step.state.interest), step.reward, step.state.consumed.sum())

        return jax.lax.scan(one, ENV.reset(key, task)[1], jax.random.split(key, 60))[1]

    tasks = jax.vmap(ENV.sample_task)(keys(0, 50))
    tasks = dataclasses.replace(tasks, drift=jnp.linspace(0, 1, 50), mood=jnp.full(50, 3.0))
    norms, rewards, consumed = jax.jit(jax.vmap(play))(tasks, keys(1, 50))
    assert float(norms.max()) <= 1 + 1e-5
    np.testing.assert_array_equal(np.cumsum(rewards, axis=1), consumed)
    assert int(consumed[:, -1].max()) == ENV.items  # all of them, and then no more


def test_clicks_come_as_often_as_their_probabilities_say():
    task = task_of(seed=3)
    _, state = ENV.reset(jax.random.key(0), task)
    many = jax.jit(jax.vmap(lambda key: ENV.step(key, state, showing(4, 0, 7), task)))(keys(2, 4000))
    assert (np.asarray(many.info["slate"]) == [4, 0, 7]).all()
    shares = np.bincount(np.asarray(many.info["click"]), minlength=4) / 4000
    np.testing.assert_allclose(shares, many.info["probabilities"][0], atol=4 * 0.5 / np.sqrt(4000))
    np.testing.assert_array_equal(many.reward, many.info["click"] < 3)
    # What is seen names the slate and what was clicked.
    for row in range(3):
        np.testing.assert_array_equal(many.obs[row, :, 2:], task.features[jnp.array([4, 0, 7])])
        np.testing.assert_array_equal(many.obs[row, :, 1], np.arange(3) == many.info["click"][row])


def test_a_policy_that_diverged_is_seen():
    task = task_of()
    _, state = ENV.reset(jax.random.key(0), task)
    assert np.isnan(compiled(ENV)(jax.random.key(1), state, showing(0).at[3].set(jnp.nan), task).reward)


def test_users_of_one_catalogue_are_those_of_a_loop():
    env = dataclasses.replace(ENV, choice="cascade", horizon=4)
    users = jax.vmap(env.sample_task)(keys(0, 4))
    tasks = dataclasses.replace(task_of(env), **{name: getattr(users, name) for name in USER_PARTS})
    random = stateless(lambda observation, key: jax.random.normal(key, (env.items,)))

    def play(task, key):
        return rollout(env, random, task, key, env.max_steps)

    many = jax.jit(jax.vmap(play, in_axes=(OF_USERS, 0)))(tasks, keys(1, 4))
    once = jax.jit(play)
    for row, key in enumerate(keys(1, 4)):
        one = once(dataclasses.replace(tasks, **{name: getattr(users, name)[row] for name in USER_PARTS}), key)
        for batched, alone in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(batched[row], alone, rtol=1e-6, atol=1e-6)


USER_PARTS = [field.name for field in dataclasses.fields(RecommenderTask) if getattr(OF_USERS, field.name) is not None]


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match="a slate of at most all items, got slate = 4 of 3 items"):
        Recommender(items=3, slate=4)
    with pytest.raises(UserError, match="items to be an integer of at least 1, got 0"):
        Recommender(items=0)
    with pytest.raises(UserError, match="a choice of multinomial, cascade, got 'probit'"):
        Recommender(choice="probit")
    with pytest.raises(UserError, match="a choice of multinomial, cascade"):
        choice_probabilities(jnp.zeros(2), jnp.float32(1), "probit")
