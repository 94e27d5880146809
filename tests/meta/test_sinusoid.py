"""Few-shot regression of sinusoids, for seconds instead of minutes: what adaptation gains, and what first-order loses.

The tasks of Finn, Abbeel and Levine (2017), section 5.1: a ReLU network of 40-40, ten points, one inner step of rate
0.01.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from attnjax.envs import SinusoidTasks
from attnjax.meta import Tasks, first_order_maml, maml, meta_iterations, meta_start

WIDTH, SHOTS, INNER_RATE = 40, 10, 0.01


def initial(key):
    sizes = [(1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
    keys = jax.random.split(key, len(sizes))
    kernels = [jax.random.normal(k, s) * (2 / s[0]) ** 0.5 for k, s in zip(keys, sizes, strict=True)]
    return [(kernel, jnp.zeros(kernel.shape[1])) for kernel in kernels]


def loss(params, batch):
    x, y = batch
    for i, (kernel, bias) in enumerate(params):
        x = x @ kernel + bias[None]
        x = jax.nn.relu(x) if i < len(params) - 1 else x
    return jnp.mean((x - y) ** 2)


def sample(key, count=25):
    drawn = jax.vmap(lambda one: SinusoidTasks().few_shot(one, SHOTS, SHOTS))(jax.random.split(key, count))
    return Tasks(drawn.support, drawn.query)


@functools.cache
def trained(algorithm, iterations=2000):
    key_init, key_train = jax.random.split(jax.random.key(0))
    learner = algorithm(loss, optax.sgd(INNER_RATE), 1)
    optimizer = optax.adam(3e-3)
    run = meta_iterations(learner, optimizer, sample, 500)
    state = meta_start(learner, optimizer, initial(key_init))
    for _ in range(iterations // 500):
        state, progress = run(state, key_train)
        assert bool(progress.finite.all())
    return state.meta


def error(meta, steps):
    """Median of the squared errors of 400 new tasks after so many steps: a few steep tasks diverge at rate 0.01."""
    learner = maml(loss, optax.sgd(INNER_RATE), steps)
    outcome = jax.jit(lambda meta, tasks: learner.gradient(meta, tasks)[0][1])(meta, sample(jax.random.key(9), 400))
    assert int(outcome.divergences) <= 2
    return float(outcome.median)


def test_maml_learns_to_adapt_and_first_order_less_so():
    """Without adaptation nothing does much better than the mean of all curves; one step of MAML's start does."""
    exact, first_order = trained(maml), trained(first_order_maml)
    errors = {"none": error(exact, 0), "maml": error(exact, 1), "first order": error(first_order, 1)}
    assert errors["maml"] < 0.65 * errors["none"]
    assert errors["maml"] < 0.9 * errors["first order"]
    assert error(exact, 5) < errors["maml"]
