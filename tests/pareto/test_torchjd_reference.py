"""The aggregators against TorchJD on recorded gradients; see reproducibility/references/torchjd_reference.py."""

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


def direction_of(name, gradients, preference):
    method, _, setting = name.partition(" ")
    make = pareto.AGGREGATORS[method]
    if setting == "preference" or method == "weighted":
        aggregator = make(preference)
    else:
        aggregator = make(float(setting)) if setting else make()
    return aggregator.combine(gradients, ())[0]


@pytest.mark.parametrize("name", NAMES)
def test_torchjd_agrees(name):
    """To 1e-4 of the longest entry, as promised; most to 1e-6 and better, what limits is the reference's tolerance."""
    compared = 0
    for case in CASES:
        answer = case["answers"][name]
        gradients = jnp.array(case["gradients"])
        if name == "nash_mtl":
            # TorchJD solves with the Gramian over its norm and leaves the weights so.
            answer = np.array(answer) / np.sqrt(np.linalg.norm(gradients @ gradients.T))
        combined = direction_of(name, gradients, jnp.array(case["preference"]))
        np.testing.assert_allclose(combined.direction, answer, rtol=0, atol=1e-4 * np.abs(answer).max())
        assert float(combined.residual) < 1e-10
        compared += 1
    assert compared == len(CASES)


def test_pcgrad_in_the_same_order():
    for case in CASES:
        gradients = jnp.array(case["gradients"])
        drawn = case["drawn"]["pcgrad"]
        weights = pcgrad_weights(pareto.geometry_of(gradients), jnp.array(drawn["orders"]))
        np.testing.assert_allclose(weights @ gradients, drawn["direction"], atol=1e-8)


def test_gradvac_in_the_same_order_two_steps_on():
    for case in CASES:
        gradients = jnp.array(case["gradients"])
        count = gradients.shape[0]
        wanted = jnp.zeros((count, count))
        for step, sign in zip(case["drawn"]["gradvac"], (1, 1), strict=True):
            flipped = gradients * sign * (-1.0) ** jnp.arange(count)[:, None]
            order = jnp.concatenate([jnp.array(step["orders"]), jnp.arange(count)[:, None]], axis=1)
            weights, wanted = gradvac_weights(pareto.geometry_of(flipped), wanted, order, 0.5)
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
    assert 5 < sum(conflicts)


def test_in_float32_the_answers_are_the_same_to_its_precision():
    for name in ("mgda", "upgrad", "dualproj", "cagrad 0.5", "config", "nash_mtl", "fairgrad 2"):
        for case in CASES[::4]:
            with jax.enable_x64(True):
                exact = direction_of(name, jnp.array(case["gradients"]), None).direction
            with jax.enable_x64(False):
                single = direction_of(name, jnp.array(case["gradients"], jnp.float32), None).direction
            np.testing.assert_allclose(single, exact, rtol=0, atol=2e-4 * np.abs(exact).max())
