"""Encodings of order and of elapsed time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.models import LSTMEncoder, TransformerEncoder
from attnjax.models.time_encodings import (
    LearnedPositions,
    RelativeBias,
    TimeGapBias,
    gaps_before,
    interpolate,
    log_gaps,
    ranks,
    sinusoidal,
)

VALID = jnp.array([[True, True, False, True], [False, True, True, True]])


def test_sinusoidal_products_depend_on_the_distance_only_and_frequencies_span_four_decades():
    code = np.asarray(sinusoidal(jnp.arange(20.0), 16), np.float64)
    products = code @ code.T
    for lag in range(1, 5):
        np.testing.assert_allclose(np.diag(products, lag), products[0, lag], rtol=1e-4)
    np.testing.assert_allclose(np.diag(products), 8, rtol=1e-5)
    angle = np.arctan2(code[1, :8], code[1, 8:])
    np.testing.assert_allclose(angle, 10.0 ** np.linspace(0, -4, 8), rtol=1e-3)
    with pytest.raises(UserError, match="sinusoidal: expected an even number of features, got 3"):
        sinusoidal(jnp.arange(2), 3)


def test_ranks_and_gaps_pass_over_padding():
    np.testing.assert_array_equal(ranks(VALID), [[0, 1, 1, 2], [0, 0, 1, 2]])
    times = jnp.array([[10.0, 13.0, jnp.nan, 20.0], [jnp.nan, 1.0, 1.0, 3.0]])
    found = gaps_before(times, VALID, unit=1.0)
    np.testing.assert_allclose(found, np.log1p([[0, 3, 0, 7], [0, 0, 0, 2]]), rtol=1e-6)


def test_gaps_of_seconds_since_1970_keep_their_digits_as_integers():
    later, earlier = jnp.array([878_542_961, 878_549_000]), jnp.array([878_542_960, 878_542_960])
    np.testing.assert_allclose(log_gaps(later, earlier, 60.0), np.log1p(np.array([1, 6040]) / 60), rtol=1e-5)


def test_interpolation_is_numpys():
    table = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    place = np.array([-1.0, 0.0, 0.1, 0.25, 0.6, 0.99, 1.0, 3.0], np.float32)
    expected = np.stack([np.interp(place, np.linspace(0, 1, 5), column) for column in table.T], axis=1)
    np.testing.assert_allclose(interpolate(table, place), expected, rtol=1e-4, atol=1e-6)


def test_relative_bias_is_one_number_per_head_and_clipped_signed_distance():
    bias = RelativeBias(2, max_distance=2)
    place = jnp.arange(5)
    params = bias.init(jax.random.key(0), place)
    np.testing.assert_array_equal(bias.apply(params, place), np.zeros((2, 5, 5)))
    table = np.arange(10.0).reshape(5, 2)
    found = bias.apply({"params": {"table": table}}, place)
    for q in range(5):
        for k in range(5):
            np.testing.assert_array_equal(found[:, q, k], table[np.clip(q - k, -2, 2) + 2])


def test_time_gap_bias_is_symmetric_learned_in_the_logarithm_and_blind_to_padding():
    bias = TimeGapBias(1, unit=10.0, longest=1000.0, num_knots=3)
    times = jnp.array([0.0, 5.0, jnp.nan, 1e6])
    valid = jnp.array([True, True, False, True])
    found = bias.apply({"params": {"table": jnp.array([[1.0], [2.0], [3.0]])}}, times, valid)[0]
    expected = 1 + 2 * np.log1p(0.5) / np.log1p(100)  # knots at equal steps of the logarithm, slope 1 per step
    np.testing.assert_allclose(found[0, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(found[0, 3], 3, rtol=1e-6)  # beyond the longest
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(found[2], 0)


def test_positions_from_the_last_on_share_one_encoding():
    table = jnp.arange(6.0).reshape(3, 2)
    found = LearnedPositions(3, 2).apply({"params": {"table": table}}, jnp.array([0, 2, 9]))
    np.testing.assert_array_equal(found, table[jnp.array([0, 2, 2])])


@pytest.mark.parametrize("encoder", [TransformerEncoder(4), LSTMEncoder(4)], ids=["transformer", "lstm"])
def test_what_encoders_refuse(encoder):
    sequence, valid = jnp.ones((5, 3)), jnp.ones(5, bool)
    name = type(encoder).__name__
    for wrong, message in (
        ((sequence, valid[:4]), r"expected a sequence.*got shapes \(5, 3\) and \(4,\)"),
        ((sequence, valid, jnp.ones((2, 5))), r"expected a sequence.*got shapes \(5, 3\) and \(2, 5\)"),
        ((sequence, valid.astype(int)), "expected valid as booleans"),
    ):
        with pytest.raises(UserError, match=f"{name}: {message}"):
            jax.eval_shape(encoder.init, jax.random.key(0), *wrong)


def test_an_unknown_kind_of_positions_is_refused():
    with pytest.raises(UserError, match=r"TransformerEncoder: expected positions to be one of none, sin.*'rotary'"):
        TransformerEncoder(4, positions="rotary").init(jax.random.key(0), jnp.ones((5, 3)), jnp.ones(5, bool))
