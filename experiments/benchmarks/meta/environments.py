"""Steps of our own environments, in a batch on one core, by a policy that acts at random."""

import jax
import jax.numpy as jnp

from attnjax.envs import AutoReset, BernoulliBandit, PointMass, TabularMDP, rollout, stateless
from experiments.benchmarks.meta.setting import Prepared

BATCH, LENGTH = 256, 100

ENVIRONMENTS = {
    "bandit, 10 arms": lambda: BernoulliBandit(arms=10, pulls=10),
    "tabular process, 10 states": lambda: TabularMDP(states=10, actions=5, horizon=10),
    "point mass": lambda: PointMass(),
}
TASKS = tuple(ENVIRONMENTS)


def prepare(task: str) -> Prepared:
    """`BATCH` environments play `LENGTH` steps per call; they reset by themselves, so that every step counts."""
    environment = AutoReset(ENVIRONMENTS[task]())
    policy = stateless(lambda observation, key: environment.action_space.sample(key))
    players = jax.vmap(environment.sample_task)(jax.random.split(jax.random.key(0), BATCH))

    @jax.jit
    def play(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        played = jax.vmap(lambda task, key: rollout(environment, policy, task, key, LENGTH))(
            players, jax.random.split(key, BATCH)
        )
        # Sums need all that was seen and paid, so that the compiler can leave nothing out.
        return jnp.sum(played.reward), jnp.sum(played.observation.astype(jnp.float32))

    calls = 0

    def run(count: int) -> None:
        nonlocal calls
        for _ in range(count // (BATCH * LENGTH)):
            calls += 1
            jax.block_until_ready(play(jax.random.key(calls)))

    return Prepared(run, BATCH * LENGTH)
