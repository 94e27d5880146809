"""The boxes of tutorial 04, again without a notebook."""

import numpy as np
import pytest

from attnjax.data import fit_table, load_movielens_100k


def test_in_the_data_half_of_the_users_rated_everything_within_an_hour():
    data = load_movielens_100k()
    minutes = [np.ptp(data.timestamp[data.user == user]) / 60 for user in range(data.num_users)]
    assert np.mean(np.array(minutes) <= 60) > 0.5
    assert np.bincount(data.user).min() == 20


def test_metaverse_what_is_normalised_before_the_split_is_spoilt_by_what_judges():
    prices = np.array([9.0, 10.0, 11.0, 12.0, 1e6])  # the last one is to judge by
    of_all, of_learned = ((prices[:4] - part.mean()) / part.std() for part in (prices, prices[:4]))
    assert np.ptp(of_all) < 1e-5
    assert np.ptp(of_learned) > 2.5


def test_a_table_fitted_on_what_is_learned_does_not_see_the_rest():
    import pandas as pd

    frame = pd.DataFrame({"price": [9.0, 10.0, 11.0, 12.0, 1e6]})
    features = fit_table(frame.iloc[:4], ["price"]).apply(frame)
    assert np.ptp(features.numeric[:4]) > 1
    assert features.numeric[4] == pytest.approx(features.numeric[3], abs=0.05)  # clipped to what was learned


def test_metaverse_8_the_attention_vector_is_absorbed_by_the_layer_before():
    kernel, bias, vector, x = np.ones((128, 10)), np.arange(10.0), np.random.default_rng(0).normal(size=10), np.eye(128)
    as_in_the_document, absorbed = vector * (x @ kernel + bias), x @ (kernel * vector) + bias * vector
    np.testing.assert_allclose(as_in_the_document, absorbed, atol=1e-12)
