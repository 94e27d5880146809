import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators
from attnjax.errors import UserError

REFUSALS = {
    "different lengths": ({"item": [0, 1], "creator": [0]}, r"of one length, got shapes \(2,\) and \(1,\)"),
    "a matrix": ({"item": [[0]], "creator": [[0]]}, r"of one length, got shapes \(1, 1\)"),
    "an item too many": ({"item": [0, 2], "creator": [0, 1]}, r"item indices from 0 to 1, got 0 to 2.*num_items"),
    "a negative creator": (
        {"item": [0, 1], "creator": [-1, 1]},
        r"creator indices from 0 to 1, got -1 to 1.*num_creators",
    ),
    "a negative share": ({"item": [0], "creator": [0], "share": [-1.0]}, r"share of at least 0.*smallest -1.0"),
    "a NaN share": ({"item": [0], "creator": [0], "share": [np.nan]}, r"smallest nan. Leave share as None"),
    "shares of another length": ({"item": [0], "creator": [0], "share": [0.5, 0.5]}, r"shape \(2,\)"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_maps_that_do_not_fit_are_refused(call, message):
    with pytest.raises(UserError, match="Creators.of: expected .*" + message):
        Creators.of(**call, num_items=2, num_creators=2)


def test_exposure_is_the_transposed_map_and_on_items_its_adjoint():
    incidence = np.array([[0.3, 0.7, 0], [0, 1, 0], [0, 0, 0], [0, 0.25, 0.5]], np.float32)
    items, creators = np.nonzero(incidence)
    one = Creators.of(items, creators, incidence[items, creators], num_items=4, num_creators=3)
    attention, prices = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([0.5, -1.0, 2.0])
    np.testing.assert_allclose(one.exposure(attention), attention @ incidence, rtol=1e-6)
    np.testing.assert_allclose(one.on_items(prices), incidence @ prices, rtol=1e-6)
    assert float(one.exposure(attention) @ prices) == pytest.approx(float(one.on_items(prices) @ attention), rel=1e-6)


def test_shares_default_to_an_equal_split_that_loses_nothing():
    one = Creators.of([0, 0, 0, 2], [0, 1, 2, 1], num_items=3, num_creators=3)
    exposure = one.exposure(jnp.array([3.0, 5.0, 1.0]))
    np.testing.assert_allclose(exposure, [1, 2, 1], rtol=1e-6)  # item 1 has no creator: its 5 go to nobody


def test_no_entry_at_all_is_a_map_to_nobody():
    one = Creators.of([], [], num_items=2, num_creators=1)
    np.testing.assert_array_equal(one.exposure(jnp.ones(2)), [0])
    np.testing.assert_array_equal(one.on_items(jnp.ones(1)), [0, 0])


def test_it_is_a_pytree_with_static_counts():
    one = Creators.one_per_item(3)
    np.testing.assert_array_equal(one.exposure(jnp.arange(3.0)), np.arange(3))
    traces = 0

    @jax.jit
    def run(creators, attention):
        nonlocal traces
        traces += 1
        return creators.exposure(attention)

    for owner in ([2, 0, 1], [1, 2, 0]):
        run(Creators.of([0, 1, 2], owner, num_items=3, num_creators=3), jnp.ones(3))
    assert traces == 1
