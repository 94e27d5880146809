"""The players of tabular processes: their planning against references, what they learn from, what they earn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from attnjax.envs import TabularMDP, mdp_players
from attnjax.envs.mdp_players import Known, Player, play, q_values
from attnjax.errors import UserError

SMALL = TabularMDP(states=4, actions=3, horizon=5)


def known(env, seed=0, scale=3.0):
    """Made-up experience, with pairs never tried."""
    rng = np.random.default_rng(seed)
    visits = rng.integers(0, 4, (env.states, env.actions)).astype(float) * scale
    moves = np.stack([[rng.multinomial(int(n), np.ones(env.states) / env.states) for n in row] for row in visits])
    paid = visits + np.sqrt(visits) * rng.normal(size=visits.shape)
    return Known(*(jnp.asarray(part, jnp.float32) for part in (visits, paid, moves.astype(float))))


def backward(rewards, transitions, horizon):
    """Q-values by loops."""
    states, actions = rewards.shape
    q = np.zeros((horizon + 1, states, actions))
    for h in range(horizon - 1, -1, -1):
        for s in range(states):
            for a in range(actions):
                q[h, s, a] = rewards[s, a] + sum(transitions[s, a, z] * q[h + 1, z].max() for z in range(states))
    return q[:horizon]


def plan(player, seen, seed=0):
    return np.asarray(player.plan(seen, jax.random.key(seed), jnp.int32(3)))


def test_q_values_are_those_of_a_loop_and_of_the_best_policy():
    task = SMALL.sample_task(jax.random.key(1))
    q = q_values(task.rewards, task.transitions, 5)
    np.testing.assert_allclose(q, backward(np.asarray(task.rewards), np.asarray(task.transitions), 5), rtol=1e-5)
    # Played with the truth, they earn what they promise.
    best = Player(lambda known, key, episode: q)
    keys = jax.random.split(jax.random.key(2), 4000)
    earned = np.asarray(jax.jit(jax.vmap(lambda key: play(SMALL, best, task, key, 1).sum()))(keys))
    assert earned.mean() == pytest.approx(float(q[0, 0].max()), abs=4 * earned.std() / np.sqrt(4000))


def test_the_optimistic_worth_is_that_of_the_linear_programme():
    rng = np.random.default_rng(0)
    transitions, worth = rng.dirichlet(np.ones(5), (3, 2)), rng.normal(size=5)
    radius = np.array([[0.0, 0.3], [0.9, 1.7], [2.5, 0.1]])
    found = mdp_players.optimistic_worth(*(jnp.asarray(x, jnp.float32) for x in (transitions, radius, worth)))
    for s, a in np.ndindex(3, 2):
        # Variables p and t >= |p - p_hat|.
        p, eye = transitions[s, a], np.eye(5)
        solved = linprog(
            np.concatenate([-worth, np.zeros(5)]),
            A_ub=np.block([[eye, -eye], [-eye, -eye], [np.zeros((1, 5)), np.ones((1, 5))]]),
            b_ub=np.concatenate([p, -p, [radius[s, a]]]),
            A_eq=np.concatenate([np.ones(5), np.zeros(5)])[None],
            b_eq=[1],
            bounds=[(0, None)] * 10,
        )
        assert found[s, a] == pytest.approx(-solved.fun, abs=1e-5)


def test_each_plan_is_backward_induction_on_the_model_it_names():
    seen = known(SMALL)
    visits, paid, moves = (np.asarray(part, float) for part in seen)
    prior_rewards = (1 + paid) / (1 + visits)
    prior_moves = (1 + moves) / (1 + moves).sum(-1, keepdims=True)
    rewards = np.where(visits > 0, paid / np.maximum(visits, 1), 0)
    total = moves.sum(-1, keepdims=True)
    averages = np.where(total > 0, moves / np.maximum(total, 1), 0.25)
    np.testing.assert_allclose(plan(mdp_players.greedy(SMALL), seen), backward(rewards, averages, 5), rtol=1e-5)
    np.testing.assert_allclose(
        plan(mdp_players.greedy(SMALL, prior_mean=1.0), seen), backward(prior_rewards, prior_moves, 5), rtol=1e-5
    )
    bonus = 2.5 / (1 + (1 + moves).sum(-1))
    np.testing.assert_allclose(
        plan(mdp_players.beb(SMALL, 2.5), seen), backward(prior_rewards + bonus, prior_moves, 5), rtol=1e-5
    )
    # Optimism of radius zero is none, and more of it is worth more.
    none, some, more = (plan(mdp_players.ucrl2(SMALL, scale), seen) for scale in (0.0, 0.1, 1.0))
    np.testing.assert_allclose(none, backward(rewards, averages, 5), rtol=1e-5)
    assert (some > none).all()
    assert (more > some).all()
    # The last step's values are the rewards and their slack alone.
    slack = 0.1 * np.sqrt(3.5 * np.log(2 * 12 * visits.sum() / 0.05) / np.maximum(visits, 1))
    np.testing.assert_allclose(some[-1], rewards + slack, rtol=1e-5)


def test_posterior_samplers_draw_from_the_posterior_and_settle_on_the_truth():
    seen = known(SMALL)
    keys = jax.random.split(jax.random.key(0), 500)

    def last(player):
        """The last step's Q-values are the drawn rewards."""
        return np.asarray(jax.jit(jax.vmap(lambda key: player.plan(seen, key, 0)[-1]))(keys))

    drawn = last(mdp_players.psrl(SMALL))
    spread = 1 / np.sqrt(1 + np.asarray(seen.visits))
    mean = (1 + np.asarray(seen.paid)) / (1 + np.asarray(seen.visits))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=5 / np.sqrt(500))
    np.testing.assert_allclose(drawn.std(0), spread, rtol=0.15)
    # The largest of four normal draws lies 1.029 standard deviations above the mean.
    np.testing.assert_allclose(last(mdp_players.opsrl(SMALL, 4)).mean(0), mean + 1.029 * spread, atol=0.15)
    task = SMALL.sample_task(jax.random.key(1))
    much = Known(jnp.full((4, 3), 1e7), 1e7 * task.rewards, 1e7 * task.transitions)
    truth = q_values(task.rewards, task.transitions, 5)
    for player in (mdp_players.psrl(SMALL), mdp_players.opsrl(SMALL, 3), mdp_players.greedy(SMALL)):
        np.testing.assert_allclose(plan(player, much), truth, atol=0.02)


def test_what_is_known_is_what_was_shown():
    """Every reward, and every move but the last of an episode, whose end hides it."""
    records = []

    def spy(seen, key, episode):
        jax.debug.callback(lambda *parts: records.append(parts), episode, seen, ordered=True)
        return jnp.zeros((5, 4, 3))

    task = SMALL.sample_task(jax.random.key(0))
    rewards = np.asarray(play(SMALL, Player(spy), task, jax.random.key(1), 4))
    jax.effects_barrier()
    assert [int(episode) for episode, _ in records] == [0, 1, 2, 3]
    for episode, seen in records:
        e = int(episode)
        assert float(seen.visits.sum()) == 5 * e
        assert float(seen.moves.sum()) == 4 * e
        assert float(seen.paid.sum()) == pytest.approx(rewards[:e].sum(), abs=1e-4)
        assert (np.asarray(seen.moves).sum(-1) <= np.asarray(seen.visits)).all()
    # Episodes start in state 0: it is left once per episode at least.
    assert float(records[-1][1].visits[0].sum()) >= 3


ENV = TabularMDP()


def returns(name, **settings):
    """Ten episodes of 1,000 tasks, in one compiled call."""
    player = getattr(mdp_players, name)(ENV, **settings)

    def one(key):
        key_task, key_play = jax.random.split(key)
        return play(ENV, player, ENV.sample_task(key_task), key_play, 10).sum()

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 1000)))


# Duan et al. (2016), Table 2, n = 10, over 1,000 tasks of their own.
PUBLISHED = [("greedy", {}, 134.8), ("psrl", {"prior_mean": 0.0}, 138.1)]


@pytest.mark.parametrize(("name", "settings", "published"), PUBLISHED)
def test_mean_returns_are_the_published_ones(name, settings, published):
    """Within three standard errors of a difference of two samples of 1,000 tasks."""
    earned = returns(name, **settings)
    assert abs(earned.mean() - published) < 3 * np.sqrt(2) * earned.std() / np.sqrt(1000) + 0.05


def test_bad_input_is_refused():
    task = SMALL.sample_task(jax.random.key(0))
    for call, message in (
        (lambda: mdp_players.opsrl(SMALL, 0), "samples"),
        (lambda: mdp_players.ucrl2(SMALL, failure=0.0), "failure in"),
        (lambda: play(SMALL, mdp_players.random(SMALL), task, jax.random.key(0), 0), "episodes"),
        (lambda: play(ENV, mdp_players.random(ENV), task, jax.random.key(0), 1), "a task of shapes"),
    ):
        with pytest.raises(UserError, match=message):
            call()
