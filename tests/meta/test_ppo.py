"""PPO's loss and its passes, against formulas written out; rows with ends of every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.envs import AutoReset, PointMass, PointMassTask, Policy, rollout
from attnjax.errors import UserError
from attnjax.meta.rl import (
    PPO,
    Categorical,
    Decision,
    Normal,
    Rows,
    acting,
    feed_forward,
    ppo_epochs,
    ppo_loss,
    recurrent,
    rows_of,
)
from attnjax.meta.rl.ppo import normalised

ROWS, STEPS, ACTIONS = 4, 5, 3
SETTINGS = PPO(clip=0.2, value_clip=0.3, value_weight=0.7, epochs=1, minibatches=1, normalise=False)


def agent():
    """Logits and value linear in the observation."""
    return feed_forward(lambda params, seen: Decision(Categorical(seen @ params["w"]), seen @ params["v"]))


def parameters(seed=0):
    draw = np.random.default_rng(seed)
    return {"w": jnp.asarray(draw.normal(size=(2, ACTIONS))), "v": jnp.asarray(draw.normal(size=2))}


def experience(seed=1):
    draw = np.random.default_rng(seed)
    alive = np.arange(STEPS) < draw.integers(2, STEPS + 1, size=(ROWS, 1))
    numbers = draw.normal(size=(4, ROWS, STEPS))
    return Rows(
        draw.normal(size=(ROWS, STEPS, 2)),
        draw.integers(0, ACTIONS, size=(ROWS, STEPS)),
        np.log(draw.uniform(0.1, 0.6, size=(ROWS, STEPS))),
        *numbers[:3],
        np.arange(STEPS)[None] + np.zeros((ROWS, 1)) == 0,
        alive,
    )


def written_out(params, rows, settings, entropy_weight):
    total, count = np.zeros(5), 0
    for i in range(ROWS):
        for t in range(STEPS):
            if not rows.alive[i, t]:
                continue
            count += 1
            logits, value = rows.observation[i, t] @ params["w"], rows.observation[i, t] @ params["v"]
            p = np.exp(logits) / np.exp(logits).sum()
            ratio = p[rows.action[i, t]] / np.exp(rows.log_prob[i, t])
            bounded = min(max(ratio, 1 - settings.clip), 1 + settings.clip)
            gain = min(ratio * rows.advantage[i, t], bounded * rows.advantage[i, t])
            moved = value - rows.value[i, t]
            kept = rows.value[i, t] + min(max(moved, -settings.value_clip), settings.value_clip)
            error = max((value - rows.target[i, t]) ** 2, (kept - rows.target[i, t]) ** 2) / 2
            entropy = -(p * np.log(p)).sum()
            total += [-gain, error, entropy, ratio - 1 - np.log(ratio), abs(ratio - 1) > settings.clip]
    parts = total / count
    return parts[0] + settings.value_weight * parts[1] - entropy_weight * parts[2], parts


def test_the_loss_is_what_is_written_and_padding_is_not_in_it(x64):
    params, rows = parameters(), experience()
    expected, parts = written_out(jax.tree.map(np.asarray, params), rows, SETTINGS, 0.05)
    spoilt = rows._replace(
        **{
            name: np.where(rows.alive, getattr(rows, name), np.nan)
            for name in ("log_prob", "value", "advantage", "target")
        }
    )

    def loss(params, rows):
        decision = jax.vmap(agent().replay, in_axes=(None, 0, 0))(params, rows.observation, rows.start)
        return ppo_loss(decision, rows, SETTINGS, 0.05)

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, stats), gradient = run(params, rows)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(jnp.stack(stats), parts, rtol=1e-12)
    # What is not alive may be anything at all, derivatives included.
    (again, _), same = run(params, spoilt)
    assert float(again) == pytest.approx(float(value), rel=1e-12)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(same), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_one_pass_from_where_it_was_played_is_a_policy_gradient_step(x64):
    params, rows = parameters(), experience()

    def log_prob(params):
        return Categorical(rows.observation @ params["w"]).log_prob(rows.action)

    rows = rows._replace(log_prob=np.asarray(log_prob(params)))
    settings = PPO(value_weight=0, entropy_weight=0, epochs=1, minibatches=1, normalise=True)
    step = jax.jit(ppo_epochs(agent(), optax.sgd(1.0), settings))
    after, _, stats = step(params, optax.sgd(1.0).init(params), rows, jax.random.key(0), 0.0)
    advantage = np.where(rows.alive, rows.advantage, 0)
    advantage = advantage - advantage.sum() / rows.alive.sum()
    advantage = np.where(rows.alive, advantage, 0)
    advantage /= np.sqrt((advantage**2).sum() / rows.alive.sum())
    reinforce = jax.jit(jax.grad(lambda params: jnp.sum(log_prob(params) * advantage) / rows.alive.sum()))(params)
    np.testing.assert_allclose(after["w"] - params["w"], reinforce["w"], rtol=1e-6)
    np.testing.assert_array_equal(after["v"], params["v"])
    assert float(stats.divergence) == pytest.approx(0, abs=1e-14)


def test_each_epoch_sees_each_row_once_in_an_order_of_its_own(x64):
    """With a rate of 0 the mean of a statistic over minibatches of equal rows is that of all."""
    params, rows = parameters(), experience()._replace(alive=np.ones((ROWS, STEPS), bool))
    settings = PPO(epochs=3, minibatches=2, normalise=False)
    still = optax.sgd(0.0)
    step = jax.jit(ppo_epochs(agent(), still, settings))
    _, _, stats = step(params, still.init(params), rows, jax.random.key(0), 0.0)
    _, parts = written_out(jax.tree.map(np.asarray, params), rows, SETTINGS, 0.0)
    assert float(stats.entropy) == pytest.approx(parts[2], rel=1e-12)
    np.testing.assert_allclose(stats.clipped, parts[4], rtol=1e-12)


def test_normalised_advantages_have_mean_0_and_variance_1_among_what_counts(x64):
    rows = experience()
    scaled = np.asarray(normalised(rows.advantage, rows.alive))
    assert scaled[rows.alive].mean() == pytest.approx(0, abs=1e-12)
    assert scaled[rows.alive].std() == pytest.approx(1, abs=1e-6)
    assert (scaled[~rows.alive] == 0).all()


def counter():
    """Remembers how many steps it has seen; that is its value, and it goes right."""

    def step(params, memory, observation):
        return memory + 1, Decision(Normal(jnp.array([0.1, 0.0]), jnp.full(2, -9.0)), (memory + 1) * params)

    return recurrent(step, jnp.zeros(()))


def played(env, task, steps):
    one = counter()
    play = Policy(acting(one, jnp.ones(()), greedy=True), one.memory)
    row = jax.jit(lambda task: rollout(env, play, task, jax.random.key(0), steps))(task)
    return jax.tree.map(lambda leaf: leaf[None], row)


@pytest.mark.parametrize("ending", ["terminated", "truncated", "row"])
def test_a_cut_asks_for_the_value_of_what_followed_and_an_end_does_not(ending):
    """The value of the successor is that of one more step of the same memory, not that of the next episode."""
    env, task, steps = {
        "terminated": (PointMass(horizon=50), PointMassTask(jnp.array([0.3, 0.0])), 5),
        "truncated": (PointMass(horizon=3), PointMassTask(jnp.array([0.3, 0.4])), 5),
        "row": (PointMass(horizon=50), PointMassTask(jnp.array([0.3, 0.4])), 3),
    }[ending]
    settings = PPO(discount=0.5, decay=1.0)
    for auto in (False, True):
        row = played(AutoReset(env) if auto else env, task, steps)
        rows = jax.jit(lambda row: rows_of(counter(), jnp.ones(()), row, settings))(row)
        beyond = 0.0 if ending == "terminated" else 4.0
        reward = np.asarray(row.reward[0, :3])
        returns = [reward[2] + 0.5 * beyond]
        returns = [reward[1] + 0.5 * returns[0], *returns]
        returns = [reward[0] + 0.5 * returns[0], *returns]
        np.testing.assert_allclose(rows.target[0, :3], returns, atol=1e-6)
        np.testing.assert_allclose(rows.value[0, :3], [1, 2, 3])
        if steps == 5:
            # Without automatic resets the rest is padding; with them a new episode, and a new memory.
            assert rows.alive[0].tolist() == [True] * 3 + [auto] * 2
            assert rows.start[0].tolist() == [True, False, False, True, False] or not auto
            np.testing.assert_allclose(rows.value[0, 3:], [1, 2] if auto else [4, 5])
            assert auto or (rows.advantage[0, 3:] == 0).all()


def test_settings_and_rows_that_can_not_be_are_refused():
    for wrong in (
        {"discount": 1.1}, {"decay": -0.1}, {"clip": 0.0}, {"value_clip": 0.0}, {"value_weight": -1.0},
        {"entropy_weight": -0.1}, {"epochs": 0}, {"minibatches": 0},
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"PPO: expected .* got {next(iter(wrong))} = "):
            PPO(**wrong)
    step = ppo_epochs(agent(), optax.sgd(0.1), PPO(minibatches=3))
    with pytest.raises(UserError, match="rows that 3 minibatches divide, got 4 rows"):
        step(parameters(), (), experience(), jax.random.key(0), 0.0)
