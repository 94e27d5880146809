import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.models import BiasedFactors, rating_error, rating_loss, relevance


@pytest.fixture(scope="module")
def fitted():
    model = BiasedFactors(num_users=4, num_items=5, num_factors=3, mean=3.0)
    index = jnp.zeros(1, jnp.int32)
    params = model.init(jax.random.key(0), index, index)["params"]
    noise = jax.random.split(jax.random.key(1), 4)
    return model, {
        name: value + jax.random.normal(key, value.shape)
        for key, (name, value) in zip(noise, sorted(params.items()), strict=True)
    }


def test_a_new_model_predicts_about_the_mean():
    model = BiasedFactors(4, 5, 0, 3.5)
    index = jnp.arange(4)
    params = model.init(jax.random.key(0), index, index).get("params")
    np.testing.assert_allclose(model.apply({"params": params}, index, index), 3.5)


def test_all_pairs_is_the_table_of_single_predictions(fitted):
    model, params = fitted
    table = model.apply({"params": params}, method=model.all_pairs)
    user, item = jnp.meshgrid(jnp.arange(4), jnp.arange(5), indexing="ij")
    single = model.apply({"params": params}, user.ravel(), item.ravel())
    np.testing.assert_allclose(table.ravel(), single, rtol=1e-5)


def test_relevance_is_the_clipped_rating_on_a_unit_scale(fitted):
    model, params = fitted
    table = np.asarray(model.apply({"params": params}, method=model.all_pairs))
    found = np.asarray(relevance(model, params))
    assert table.min() < 1 or table.max() > 5, "the case should exercise the clip"
    np.testing.assert_allclose(found, (np.clip(table, 1, 5) - 1) / 4, rtol=1e-6)


def test_loss_is_squared_error_plus_the_penalty_of_the_terms_in_use(fitted):
    model, params = fitted
    batch = {"user": jnp.array([0, 1]), "item": jnp.array([4, 2]), "rating": jnp.array([1.0, 5.0])}
    plain = rating_loss(model, 0.0)(params, batch)
    by_hand = 0.0
    for u, i in ((0, 4), (1, 2)):
        by_hand += float(
            params["user_bias"][u] ** 2
            + params["item_bias"][i] ** 2
            + (params["user_factors"][u] ** 2).sum()
            + (params["item_factors"][i] ** 2).sum()
        )
    assert float(rating_loss(model, 0.5)(params, batch) - plain) == pytest.approx(0.5 * by_hand / 2, rel=1e-5)
    unused = jax.grad(rating_loss(model, 0.5))(params, batch)["item_bias"]
    np.testing.assert_array_equal(unused[jnp.array([0, 1, 3])], 0)


def test_error_clips_predictions_to_the_scale():
    model = BiasedFactors(1, 1, 0, 9.0)
    index = jnp.zeros(1, jnp.int32)
    params = model.init(jax.random.key(0), index, index)["params"]
    assert float(rating_error(model)(params, {"user": index, "item": index, "rating": jnp.array([4.0])})) == 1.0
