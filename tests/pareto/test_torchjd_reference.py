"""The aggregators against TorchJD on recorded gradients; see reproducibility/references/torchjd_reference.py."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax import pareto
from attnjax.pareto.surgery import graddrop_direction, gradvac_weights, pcgrad_weights

REFERENCE = json.loads((pathlib.Path(__file__).parents[1] / "references" / "torchjd.json").read_text())
CASES = REFERENCE["cases"]
NAMES = list(CASES[0]["answers"])
pytestmark = pytest.mark.usefixtures("x64")


PREFERRING = ("weighted", "upgrad", "dualproj", "config", "aligned_mtl")


@functools.cache
def compiled(method, setting):
    """An aggregator for a batch of gradients and preferences."""

    def one(gradients, preference):
        settings = [preference] if method in PREFERRING else [float(setting)] if setting else []
        return pareto.AGGREGATORS[method](*settings).combine(gradients, ())[0]

    return jax.jit(jax.vmap(one))


def program(name):
    """The aggregator of that name; without a preference all objectives are preferred alike."""
    method, _, setting = name.partition(" ")
    if method not in PREFERRING:
        return compiled(method, setting)
    if method == "weighted" or setting:
        return compiled(method, "")
    return lambda gradients, preferences: compiled(method, "")(
        gradients, jnp.full_like(preferences, 1 / preferences.shape[1])
    )


def batches():
    """The cases, those of one shape together."""
    for count in sorted({len(case["gradients"]) for case in CASES}):
        alike = [case for case in CASES if len(case["gradients"]) == count]
        yield alike, np.array([case["gradients"] for case in alike]), np.array([case["preference"] for case in alike])


@pytest.mark.parametrize("name", NAMES)
def test_torchjd_agrees(name):
    """To 1e-4 of the longest entry; most to 1e-8: what limits is the tolerance of the reference's own solvers."""
    for alike, gradients, preferences in batches():
        combined = program(name)(jnp.array(gradients), jnp.array(preferences))
        assert float(combined.residual.max()) < 1e-10
        for case, direction in zip(alike, combined.direction, strict=True):
            stack, answer = np.array(case["gradients"]), np.array(case["answers"][name])
            reach = 1e-4 * np.abs(answer).max()
            if name == "mgda":
                # The reference's steps end before the shortest vector d: ours is it by its optimality conditions,
                # <g_i, d> >= |d|^2, and the distance to it of any x of the hull is at most this.
                assert (stack @ direction).min() >= direction @ direction * (1 - 1e-9)
                reach = max(reach, np.sqrt(answer @ answer - (stack @ answer).min()))
            np.testing.assert_allclose(direction, answer, rtol=0, atol=reach)


def test_pcgrad_in_the_same_order():
    pcgrad = jax.jit(pcgrad_weights)
    for case in CASES:
        gradients = jnp.array(case["gradients"])
        drawn = case["drawn"]["pcgrad"]
        weights = pcgrad(pareto.geometry_of(gradients), jnp.array(drawn["orders"]))
        np.testing.assert_allclose(weights @ gradients, drawn["direction"], atol=1e-8)


def test_gradvac_in_the_same_order_two_steps_on():
    gradvac = jax.jit(gradvac_weights)
    for case in CASES:
        gradients = jnp.array(case["gradients"])
        count = gradients.shape[0]
        wanted = jnp.zeros((count, count))
        flipped = gradients * (-1.0) ** jnp.arange(count)[:, None]
        for step in case["drawn"]["gradvac"]:
            order = jnp.concatenate([jnp.array(step["orders"]), jnp.arange(count)[:, None]], axis=1)
            weights, wanted = gradvac(pareto.geometry_of(flipped), wanted, order, 0.5)
            np.testing.assert_allclose(weights @ flipped, step["direction"], atol=1e-7)


def test_graddrop_with_the_same_lots():
    for case in CASES:
        drawn = case["drawn"]["graddrop"]
        direction = graddrop_direction(jnp.array(case["gradients"]), jnp.array(drawn["uniform"]))
        np.testing.assert_allclose(direction, drawn["direction"], atol=1e-9)


def test_the_reference_covers_the_registry_and_says_what_made_it():
    methods = {name.partition(" ")[0] for name in NAMES} | set(CASES[0]["drawn"])
    # Random weights are normal numbers of another generator: nothing to compare.
    assert methods == set(pareto.AGGREGATORS) - {"random_weights"}
    assert REFERENCE["versions"]["torchjd"]
    conflicts = [np.min(np.array(case["gradients"]) @ np.array(case["gradients"]).T) < 0 for case in CASES]
    assert sum(conflicts) > 5


@pytest.mark.compiled_in_full
@pytest.mark.parametrize("name", ["mgda", "upgrad", "cagrad 0.5", "nash_mtl"])
def test_in_float32_the_answers_are_the_same_to_its_precision(name):
    for _, gradients, preferences in batches():
        exact = np.asarray(program(name)(jnp.array(gradients), jnp.array(preferences)).direction)
        with jax.enable_x64(False):
            single = program(name)(jnp.array(gradients, jnp.float32), jnp.array(preferences, jnp.float32))
        assert single.direction.dtype == jnp.float32
        np.testing.assert_allclose(single.direction, exact, rtol=0, atol=2e-4 * np.abs(exact).max())
