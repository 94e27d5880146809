"""What the library costs, from the compiled programs: deterministic, so no clock is asked."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest

from attnjax.meta import Tasks, inner_loop, maml, over_tasks

pytestmark = pytest.mark.compiled_in_full
TASKS, SHOTS, WIDTH, RATE = 25, 10, 40, 0.01


def parameters():
    """The sinusoid network of the MAML paper."""
    keys, sizes = jax.random.split(jax.random.key(0), 3), [(1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
    drawn = [jax.random.normal(key, size) / size[0] ** 0.5 for key, size in zip(keys, sizes, strict=True)]
    return [(kernel, jnp.zeros(kernel.shape[1])) for kernel in drawn]


def loss(params, batch):
    x, y = batch
    for i, (kernel, bias) in enumerate(params):
        x = x @ kernel + bias[None]
        x = jnp.tanh(x) if i < 2 else x
    return jnp.mean((x - y) ** 2)


def tasks():
    x = jax.random.uniform(jax.random.key(1), (2, TASKS, SHOTS, 1), minval=-5.0, maxval=5.0)
    return Tasks((x[0], jnp.sin(x[0])), (x[1], jnp.sin(x[1])))


def costs(function, *arguments):
    program = jax.jit(function).lower(*arguments).compile()
    analysis = program.cost_analysis()
    flops = (analysis[0] if isinstance(analysis, list) else analysis)["flops"]
    return flops, program.memory_analysis().temp_size_in_bytes


def descend(params, batch):
    return jax.tree.map(lambda p, g: p - RATE * g, params, jax.grad(loss)(params, batch))


def by_hand(steps):
    """The meta-gradient as one would write it without a library."""

    def one(params, task):
        support, query = task
        if steps == 1:
            return loss(descend(params, support), query)
        body = jax.checkpoint(lambda params, _: (descend(params, support), None), prevent_cse=False)
        return loss(jax.lax.scan(body, params, None, length=steps)[0], query)

    return jax.value_and_grad(lambda params, tasks: jnp.mean(jax.vmap(one, (None, 0))(params, tasks)))


@pytest.mark.parametrize("steps", [1, 5])
def test_a_meta_gradient_costs_what_it_costs_by_hand(steps):
    """With all that is reported; the compiler counts the body of a loop once, on both sides."""
    learner = maml(loss, optax.sgd(RATE), steps)
    flops, memory = costs(learner.gradient, learner.init(parameters()), tasks())
    flops_by_hand, memory_by_hand = costs(by_hand(steps), parameters(), tasks())
    assert flops <= 1.01 * flops_by_hand
    assert memory <= 1.01 * memory_by_hand


@functools.cache
def memory_of(steps, **options):
    meta_loss = over_tasks(inner_loop(loss, optax.sgd(RATE), steps, **options), loss)
    return costs(jax.grad(lambda theta, tasks: meta_loss(theta, None, tasks)[0]), parameters(), tasks())[1]


def test_a_hundred_steps_need_a_third_of_the_memory_of_a_plain_scan_and_first_order_none_of_it():
    plain = memory_of(100, remat=False)
    assert memory_of(100) <= plain / 3
    assert memory_of(100, grad="forward_over_reverse") <= plain / 3
    assert memory_of(100, grad="first_order") <= plain / 50


def test_implicit_gradients_need_no_more_memory_for_more_steps():
    few, many = (memory_of(steps, grad="implicit", proximal=1.0) for steps in (5, 100))
    assert many <= 1.01 * few


def test_chunks_of_tasks_need_less_memory():
    def memory(chunk):
        learner = maml(loss, optax.sgd(RATE), 5, chunk=chunk)
        return costs(learner.gradient, learner.init(parameters()), tasks())[1]

    assert memory(5) <= 0.35 * memory(None)
