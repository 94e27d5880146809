"""What every environment owes: pure steps of declared shapes, a task that is a pytree, and clear ends."""

import dataclasses
import functools
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from environment_cases import ENVIRONMENTS

import attnjax.envs
from attnjax.envs import Box, Discrete, Environment
from attnjax.errors import UserError

by_name = pytest.mark.parametrize("name", ENVIRONMENTS)
by_precision = pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])


@functools.cache
def compiled(name):
    """An environment with its reset and step, compiled for one copy and for several."""
    env = ENVIRONMENTS[name].make()
    return env, jax.jit(env.reset), jax.jit(env.step), jax.jit(jax.vmap(env.step))


def keys(seed, count):
    return jax.random.split(jax.random.key(seed), count)


def played(name, seed=0, steps=None):
    """A task, and the (key, state, action, step) of random play from a reset."""
    env, reset, step, _ = compiled(name)
    task = env.sample_task(jax.random.key(seed))
    obs, state = reset(jax.random.key(seed + 1), task)
    happened = []
    for key in keys(seed + 2, env.max_steps if steps is None else steps):
        key_act, key_step = jax.random.split(key)
        action = env.action_space.sample(key_act)
        after = step(key_step, state, action, task)
        happened.append((key_step, state, action, after))
        state = after.state
    return task, obs, happened


def same(one, other, rtol=0.0):
    """Asserts that two trees have the same leaves."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=rtol, atol=rtol)


# --- the registry ------------------------------------------------------------------------------------------------


def public_environments():
    """Every public class of the package that is an environment, exported or not."""
    found = set()
    for module in pkgutil.walk_packages(attnjax.envs.__path__, "attnjax.envs."):
        for name, one in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(one) and issubclass(one, Environment) and not name.startswith("_"):
                found.add(one)
    return found - {Environment}


def test_every_environment_is_registered():
    assert public_environments() == {type(case.make()) for case in ENVIRONMENTS.values()}
    assert public_environments() <= {getattr(attnjax.envs, name) for name in attnjax.envs.__all__}


def test_an_unregistered_environment_would_be_noticed(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Maze(attnjax.envs.PointMass):
        pass

    monkeypatch.setattr(importlib.import_module("attnjax.envs.point_mass"), "Maze", Maze, raising=False)
    with pytest.raises(AssertionError):
        test_every_environment_is_registered()


# --- the object --------------------------------------------------------------------------------------------------


@by_name
def test_it_is_frozen_and_equal_by_value(name):
    case = ENVIRONMENTS[name]
    one, two, other = case.make(), case.make(), case.other()
    assert one == two
    assert hash(one) == hash(two)
    assert one != other
    field = dataclasses.fields(one)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, field, getattr(one, field))
    assert not [value for value in vars(one).values() if isinstance(value, jax.Array | np.ndarray | list | dict)]


# --- shapes, dtypes, values --------------------------------------------------------------------------------------


@by_name
@by_precision
def test_shapes_and_dtypes_are_as_declared_and_rewards_finite(name, x64):
    with jax.enable_x64(x64):
        float_dtype = jnp.float64 if x64 else jnp.float32
        env = compiled(name)[0]
        task, obs, happened = played(name)
        assert {leaf.dtype for leaf in jax.tree.leaves(task)} == {jnp.dtype(float_dtype)}
        assert env.observation_space.contains(obs)
        for _, state, action, after in happened:
            assert env.action_space.contains(action)
            assert env.observation_space.contains(after.obs)
            assert (after.reward.shape, after.reward.dtype) == ((), float_dtype)
            assert np.isfinite(after.reward)
            for flag in (after.terminated, after.truncated):
                assert (flag.shape, flag.dtype) == ((), bool)
            # A state of one form, so that it can be carried through a scan.
            assert jax.tree.structure(after.state) == jax.tree.structure(state)
            for new, old in zip(jax.tree.leaves(after.state), jax.tree.leaves(state), strict=True):
                assert (new.shape, new.dtype) == (old.shape, old.dtype)
        features = env.observation_space.features(obs)
        assert (features.shape, features.dtype) == ((env.observation_space.num_features,), float_dtype)


@by_name
def test_eager_compiled_and_batched_agree(name):
    env, reset, _, batched = compiled(name)
    task, _, happened = played(name, seed=5)
    same(env.reset(jax.random.key(6), task), reset(jax.random.key(6), task))
    rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[moment[:3] for moment in happened])
    many = batched(*rows, jax.tree.map(lambda leaf: jnp.stack([leaf] * len(happened)), task))
    for row, (key, state, action, after) in enumerate(happened):
        same(jax.tree.map(lambda leaf, row=row: leaf[row], many), after, rtol=1e-6)
        if row < 2:
            same(env.step(key, state, action, task), after, rtol=1e-6)


@by_name
def test_a_key_decides_everything_and_another_key_something_else(name):
    case = ENVIRONMENTS[name]
    env, _, step, batched = compiled(name)
    task, _, happened = played(name, seed=9)
    same(env.sample_task(jax.random.key(9)), task)
    key, state, action, after = happened[0]
    same(step(key, state, action, task), after)
    others = jax.vmap(env.sample_task)(keys(10, 8))
    for leaf in jax.tree.leaves(others):
        assert len({row.tobytes() for row in np.asarray(leaf)}) == 8
    repeat = functools.partial(jax.tree.map, lambda leaf: jnp.stack([leaf] * 64))
    outcomes = batched(keys(11, 64), repeat(state), repeat(action), repeat(task))
    kinds = {(row.tobytes(), float(pay)) for row, pay in zip(np.asarray(outcomes.obs), outcomes.reward, strict=True)}
    assert (len(kinds) > 1) == case.noisy


@by_name
def test_nothing_recompiles_for_another_task_key_or_action(name):
    env = ENVIRONMENTS[name].make()
    traces = 0

    @jax.jit
    def run(key, params):
        nonlocal traces
        traces += 1
        _, state = env.reset(key, params)
        return env.step(key, state, env.action_space.sample(key), params).obs

    for key in keys(1, 3):
        run(key, env.sample_task(key))
    assert traces == 1


@by_name
def test_the_task_is_a_tree_that_can_be_vmapped(name):
    env, _, step, _ = compiled(name)
    tasks = jax.vmap(env.sample_task)(keys(2, 3))
    action = env.action_space.sample(jax.random.key(3))

    def first(key, task):
        _, state = env.reset(key, task)
        return step(key, state, action, task)

    many = jax.vmap(first)(keys(4, 3), tasks)
    for row, key in enumerate(keys(4, 3)):
        one = first(key, jax.tree.map(lambda leaf, row=row: leaf[row], tasks))
        same(jax.tree.map(lambda leaf, row=row: leaf[row], many), one, rtol=1e-6)


# --- ends --------------------------------------------------------------------------------------------------------


@by_name
def test_random_play_ends_at_the_last_step_and_as_declared(name):
    _, _, happened = played(name)
    ended = [(bool(after.terminated), bool(after.truncated)) for *_, after in happened]
    assert set(ended[:-1]) <= {(False, False)}
    assert ended[-1] == (ENVIRONMENTS[name].ends == "terminated", ENVIRONMENTS[name].ends == "truncated")


@by_name
def test_what_resets_by_itself_shows_the_final_observation(name):
    """And what does not, does not: `info` has the entry exactly where `auto_resets` says so."""
    env, reset, _, _ = compiled(name)
    task, _, happened = played(name)
    assert all(("final_observation" in after.info) == env.auto_resets for *_, after in happened)
    if not env.auto_resets:
        return
    *before, (key, state, action, last) = happened
    for *_, after in before:
        same(after.info["final_observation"], after.obs)
    inner = env.env.step(jax.random.split(key)[0], state, action, task)
    same(last.info["final_observation"], inner.obs, rtol=1e-6)
    # The resets of these environments are not random, so any key's will do.
    same((last.obs, last.state), reset(jax.random.key(99), task))


# --- what is refused ---------------------------------------------------------------------------------------------


@by_name
def test_bad_actions_are_refused_or_clipped(name):
    env, reset, step, _ = compiled(name)
    task = env.sample_task(jax.random.key(0))
    key = jax.random.key(2)
    _, state = reset(jax.random.key(1), task)
    space = env.action_space
    with pytest.raises(UserError, match=r"step: expected .* as the action"):
        env.step(key, state, jnp.zeros((2, *space.shape), space.dtype), task)
    with pytest.raises(UserError, match=r"step: expected .* as the action"):
        env.step(key, state, jnp.zeros(space.shape, bool), task)
    if isinstance(space, Discrete):
        with pytest.raises(UserError, match="an integer scalar as the action, got float32"):
            env.step(key, state, jnp.float32(0), task)
        for outside in (-1, space.n, np.int64(space.n), jnp.int32(-1)):
            with pytest.raises(UserError, match=rf"step: expected an action in 0, \.\.\., {space.n - 1}, got"):
                env.step(key, state, outside, task)
        same(step(key, state, jnp.int32(space.n + 3), task), step(key, state, jnp.int32(space.n - 1), task))
        same(step(key, state, jnp.int32(-3), task), step(key, state, jnp.int32(0), task))
    else:
        assert isinstance(space, Box)
        far, edge = jnp.full(space.shape, 9 * space.high), jnp.full(space.shape, space.high)
        same(step(key, state, far, task), step(key, state, edge, task))


@by_name
def test_a_task_of_other_sizes_is_refused(name):
    env = ENVIRONMENTS[name].make()
    task = env.sample_task(jax.random.key(0))
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), task)
    with pytest.raises(UserError, match="expected a task of shapes"):
        env.reset(jax.random.key(1), batch)
    with pytest.raises(UserError, match="expected a task of class"):
        env.reset(jax.random.key(1), {"probabilities": jnp.zeros(4)})
