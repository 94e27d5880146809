"""The adapter keeps Gymnasium's promises, and plays the same episodes as the environment itself."""

import builtins
import importlib
import sys
import warnings

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from attnjax.envs import BernoulliBandit, BernoulliTask, PointMass, PointMassTask, TabularMDP, Trial
from attnjax.envs.gymnasium_vector import GymnasiumVectorEnv
from attnjax.errors import UserError

ENVIRONMENTS = {
    "bandit": BernoulliBandit(3, 4),
    "process": TabularMDP(4, 3, 5),
    "point": PointMass(horizon=6),
    "trial": Trial(TabularMDP(4, 3, 5), 2),
}
by_environment = pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


class Single(gymnasium.Env):
    """One copy, as Gymnasium's checker of single environments wants it."""

    def __init__(self, env):
        self.envs = GymnasiumVectorEnv(env, 1)
        self.observation_space = self.envs.single_observation_space
        self.action_space = self.envs.single_action_space

    def _one(self, observations):
        row = observations[0]
        return row if isinstance(self.observation_space, gymnasium.spaces.Box) else int(row)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        observations, infos = self.envs.reset(seed=seed, options=options)
        return self._one(observations), infos

    def step(self, action):
        observations, rewards, terminations, truncations, infos = self.envs.step(np.asarray(action)[None])
        observations = infos.get("final_obs", observations)
        return self._one(observations), float(rewards[0]), bool(terminations[0]), bool(truncations[0]), {}


@by_environment
def test_gymnasiums_own_checker_has_nothing_to_say(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Unbounded boxes are what some observations are; of that alone it warns.
        warnings.filterwarnings("ignore", message=".*(infinity|not registered|env.spec).*")
        check_env(Single(env), skip_render_check=True)


@by_environment
def test_it_returns_what_gymnasiums_own_vector_environment_returns(env):
    """Names, types, shapes and infos, over ends of episodes, next to SyncVectorEnv in the same mode."""
    ours = GymnasiumVectorEnv(env, 2)
    theirs = SyncVectorEnv([lambda: Single(env)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
    for name in ("observation_space", "action_space", "single_observation_space", "single_action_space", "num_envs"):
        assert getattr(ours, name) == getattr(theirs, name)
    theirs.reset(seed=0)
    ours.reset(seed=0)
    ours.action_space.seed(0)
    ended = 0
    for _ in range(2 * env.max_steps + 1):
        actions = ours.action_space.sample()
        one, two = ours.step(actions), theirs.step(actions)
        for mine, other in zip(one[:4], two[:4], strict=True):
            assert (type(mine), mine.shape, mine.dtype) == (type(other), other.shape, other.dtype)
            assert mine.flags.writeable
        assert one[0] in ours.observation_space
        assert set(one[4]) == set(two[4])
        if "final_obs" in one[4]:
            ended += 1
            np.testing.assert_array_equal(one[4]["_final_obs"], one[2] | one[3])
            for mine in one[4]["final_obs"][one[4]["_final_obs"]]:
                assert mine in ours.single_observation_space
    assert ended == 2
    assert gymnasium.vector.VectorEnv in type(ours).__mro__
    ours.close()


def test_it_plays_the_environments_own_episodes():
    tasks = PointMassTask(jnp.array([[0.2, 0.0], [0.0, -0.3]]))
    envs = GymnasiumVectorEnv(PointMass(horizon=3), 2, tasks)
    observations, infos = envs.reset(seed=1)
    assert infos == {}
    np.testing.assert_array_equal(observations, np.zeros((2, 2)))
    right = np.array([[0.1, 0.0], [0.1, 0.0]], np.float32)
    _, rewards, *_ = envs.step(right)
    np.testing.assert_allclose(rewards, [-0.01, -0.1], atol=1e-6)
    observations, rewards, terminations, truncations, infos = envs.step(right)
    # The first reached its goal and stands at the origin again; the second goes on.
    assert (terminations.tolist(), truncations.tolist()) == ([True, False], [False, False])
    np.testing.assert_allclose(observations, [[0, 0], [0.2, 0]], atol=1e-6)
    np.testing.assert_allclose(infos["final_obs"][0], [0.2, 0], atol=1e-6)
    assert infos["final_obs"][1] is None
    assert infos["_final_obs"].tolist() == [True, False]
    _, _, terminations, truncations, _ = envs.step(right)
    assert (terminations.tolist(), truncations.tolist()) == ([False, False], [False, True])


def test_seeds_decide_tasks_and_rewards():
    def play(seed):
        envs = GymnasiumVectorEnv(BernoulliBandit(2, 30), 8)
        envs.reset(seed=seed)
        return np.stack([envs.step(np.zeros(8, int))[1] for _ in range(30)])

    np.testing.assert_array_equal(play(3), play(3))
    assert not np.array_equal(play(3), play(4))
    # Copies have tasks of their own, and another reset draws new ones; given ones stay.
    assert len(set(play(3).sum(0))) > 2
    envs = GymnasiumVectorEnv(BernoulliBandit(2, 30), 8)
    envs.reset(seed=3)
    first = np.stack([envs.step(np.zeros(8, int))[1] for _ in range(30)])
    envs.reset()
    again = np.stack([envs.step(np.zeros(8, int))[1] for _ in range(30)])
    assert not np.array_equal(first, again)
    sure = GymnasiumVectorEnv(BernoulliBandit(2, 3), 2, BernoulliTask(jnp.array([[1.0, 0.0], [0.0, 1.0]])))
    for _ in range(2):
        sure.reset()
        for _ in range(7):
            assert sure.step(np.array([0, 0]))[1].tolist() == [1.0, 0.0]


def test_gymnasiums_wrappers_work_on_it():
    envs = RecordEpisodeStatistics(GymnasiumVectorEnv(TabularMDP(4, 3, 5), 3))
    envs.reset(seed=0)
    total = np.zeros(3)
    for step in range(5):
        _, rewards, _, truncations, infos = envs.step(envs.action_space.sample())
        total += rewards
        assert truncations.all() == (step == 4)
    np.testing.assert_allclose(infos["episode"]["r"], total, rtol=1e-5)
    assert infos["episode"]["l"].tolist() == [5, 5, 5]


def test_bad_use_is_refused():
    envs = GymnasiumVectorEnv(BernoulliBandit(3, 4), 2)
    with pytest.raises(UserError, match="expected a reset before"):
        envs.step(np.array([0, 1]))
    envs.reset(seed=0)
    for actions in (np.array([0, 3]), np.array([-1, 0]), np.array([0]), np.array([0.0, 1.0])):
        with pytest.raises(UserError, match=r"expected actions of MultiDiscrete"):
            envs.step(actions)
    with pytest.raises(UserError, match="expected no options, got \\['tasks'\\]"):
        envs.reset(options={"tasks": 1})
    with pytest.raises(UserError, match="num_envs"):
        GymnasiumVectorEnv(BernoulliBandit(3, 4), 0)
    with pytest.raises(UserError, match="tasks with 2 rows"):
        GymnasiumVectorEnv(BernoulliBandit(3, 4), 2, BernoulliTask(jnp.zeros((3, 3))))


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "gymnasium":
            raise ModuleNotFoundError("No module named 'gymnasium'", name="gymnasium")
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "attnjax.envs.gymnasium_vector")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'attnjax\[experiments\]'"):
        importlib.import_module("attnjax.envs.gymnasium_vector")


def test_all_steps_run_one_compiled_program():
    envs = GymnasiumVectorEnv(BernoulliBandit(3, 4), 2)
    envs.reset(seed=0)
    for actions in ([0, 1], [2, 1], [0, 0]):
        envs.step(np.array(actions))
    assert envs._step._cache_size() == 1
