"""Tests of explanations find planted causes, and see through explanations that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from attnjax.errors import UserError
from attnjax.evaluation.explanation import attention_map, integrated_gradients, occlusion
from attnjax.evaluation.faithfulness import covering, faithfulness, randomised_model_check, rank_correlation
from attnjax.models import PAD, History, UserAttention

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)


def test_curves_of_an_additive_output_are_sums(x64):
    """Inserting unit by unit, amount c at place k counts for (n - k - 1/2) / n of the area; the mean order for 1/2."""
    amounts, attribution = RNG.normal(size=(2, 4)), RNG.normal(size=(2, 4))
    found = jax.jit(
        lambda: faithfulness(lambda kept: jnp.sum(jnp.where(kept, amounts, 0)), attribution, key=KEY, orders=400)
    )()
    falling = amounts.ravel()[np.argsort(-attribution.ravel())]
    np.testing.assert_allclose(found.insertion, [falling[:k].sum() for k in range(9)], atol=1e-12)
    np.testing.assert_allclose(found.deletion, [falling[k:].sum() for k in range(9)], atol=1e-12)
    place = np.arange(8)
    assert float(found.insertion_area) == pytest.approx((falling * (8 - place - 0.5) / 8).sum())
    assert float(found.deletion_area) == pytest.approx((falling * (place + 0.5) / 8).sum())
    error = float(found.random_areas.std()) / 20
    assert abs(float(found.random_areas.mean()) - amounts.sum() / 2) < 4 * error
    np.testing.assert_allclose([found.random[0], found.random[-1]], [0, amounts.sum()], atol=1e-12)


def test_no_order_beats_that_of_the_true_amounts_and_chances_say_so():
    amounts = jnp.arange(1.0, 9.0)

    def value(kept):
        return jnp.sum(jnp.where(kept, amounts, 0))

    judge = jax.jit(lambda attribution: faithfulness(value, attribution, key=KEY))
    true, false = judge(amounts), judge(-amounts)
    assert float(true.deletion_chance) == float(true.insertion_chance) == pytest.approx(1 / 101)
    assert float(true.deletion_area) < float(true.random_areas.min())
    assert float(true.insertion_area) > float(true.random_areas.max())
    assert float(false.deletion_chance) == float(false.insertion_chance) == 1


def test_coarse_curves_delete_several_units_at_a_time_and_jit_changes_nothing():
    amounts, attribution = jnp.asarray(RNG.normal(size=(2, 12)))

    def explain(attribution, steps):
        def value(kept):
            return jnp.sum(jnp.where(kept, amounts, 0)) ** 2

        return faithfulness(value, attribution, key=KEY, orders=10, steps=steps)

    compiled = jax.jit(explain, static_argnums=1)
    coarse = compiled(attribution, 4)
    falling = np.asarray(amounts)[np.argsort(-attribution)]
    np.testing.assert_allclose(coarse.deletion, [falling[k:].sum() ** 2 for k in range(0, 13, 3)], atol=1e-5)
    np.testing.assert_allclose(coarse.insertion, [falling[:k].sum() ** 2 for k in range(0, 13, 3)], atol=1e-5)
    np.testing.assert_array_equal(coarse.share, [0, 0.25, 0.5, 0.75, 1])
    for eager, same in zip(explain(attribution, 4), coarse, strict=True):
        np.testing.assert_allclose(same, eager, rtol=1e-5, atol=1e-6)


def test_ties_come_in_random_order():
    """A unit that decides everything, among 10 that an explanation ranks alike, comes first once in ten."""

    def first(key):
        return faithfulness(lambda kept: 1.0 * kept[0], jnp.zeros(10), key=key, orders=1).insertion[1]

    share = float(jnp.mean(jax.lax.map(first, jax.random.split(KEY, 400))))
    assert abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 400)


def test_a_planted_cause_is_deleted_first_and_random_orders_miss_it():
    """Of twelve units of three numbers the model reads unit 7; all others hold noise of the same size."""
    inputs = jnp.asarray(RNG.normal(size=(12, 3)), jnp.float32)
    reads, noise = jnp.zeros((12, 3)).at[7].set(2 * jnp.sign(inputs[7])), 0.01 * RNG.normal(size=(12, 3))

    def model(x):
        return jnp.tanh(jnp.sum((reads + noise) * x))

    @jax.jit
    def judged():
        attribution = integrated_gradients(model, inputs).values.sum(1)
        return attribution, faithfulness(covering(model, inputs), attribution, key=KEY)

    attribution, found = judged()
    assert int(jnp.argmax(attribution)) == 7
    assert abs(float(found.deletion[1])) < 0.1 < 0.9 < float(found.insertion[1])
    assert float(found.deletion_chance) < 0.12  # one order in twelve starts with the cause
    assert float(found.random[-2]) > 0.75


def test_attention_is_no_explanation_where_the_model_decides_by_something_else():
    """An untrained user model ranks by its links alone: item 3 leads to item 7, whatever was attended to."""
    model = UserAttention(9, 4, (), window=8)
    history = History(
        items=jnp.array([1, 2, 3, 4, 5, 6, 8, 0]),
        ratings=jnp.full(8, jnp.nan),
        times=jnp.arange(8) * 5000,
        categories=jnp.zeros(0, int),
        features=jnp.zeros(0),
    )
    params = jax.jit(model.init)(KEY, history)["params"]
    params = {**params, "links": params["links"].at[3, 7].set(1.0)}

    def spent(kept):
        return model.apply({"params": params}, history._replace(items=jnp.where(kept, history.items, PAD)))

    number = 2 ** jnp.arange(8)
    found = jax.jit(jax.vmap(spent))((jnp.arange(256)[:, None] // number[None]) % 2 == 1)  # every set of events

    def value(kept):
        return found.scores[jnp.sum(kept * number), 7]

    read = attention_map(found.weights[-1])[-1, 1:]  # by the last event, without the start token
    assert float(read.max()) > float(read.min()) > 0
    true = occlusion(value, 8)
    assert int(jnp.argmax(true)) == 2
    judge = jax.jit(lambda attribution: faithfulness(value, attribution, key=KEY))
    by_occlusion, by_attention = judge(true), judge(read)
    assert abs(float(by_occlusion.deletion[1])) < 1e-6 < float(by_attention.deletion[1])
    assert float(by_occlusion.deletion_chance) < 0.2 < float(by_attention.deletion_chance)


def test_rank_correlation_is_spearmans():
    for ties in (3, 1000):
        first, second = RNG.integers(0, ties, (2, 4, 5)).astype(np.float32)
        expected = spearmanr(first.ravel(), second.ravel()).statistic
        assert float(rank_correlation(first, second)) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(float(rank_correlation(jnp.ones(3), jnp.arange(3.0))))


def test_an_explanation_of_the_input_alone_survives_any_model_and_that_of_the_model_does_not():
    x = jnp.asarray(RNG.normal(size=40), jnp.float32)

    def draw(key):
        inner, outer = jax.random.split(key)
        return {
            "inner": {"kernel": jax.random.normal(inner, (40, 16)) / 6},
            "outer": {"kernel": jax.random.normal(outer, (16,))},
        }

    def explain(params):
        return x * jax.grad(lambda x: jnp.tanh(x @ params["inner"]["kernel"]) @ params["outer"]["kernel"])(x)

    def check(explain):
        layers = ["outer", "inner/kernel"]
        return jax.jit(lambda params: randomised_model_check(explain, params, draw, layers, key=KEY, draws=24))(params)

    params = draw(jax.random.key(1))
    own = check(explain)
    assert own.correlation.shape == own.magnitude.shape == (2, 24)
    assert abs(float(own.correlation[1].mean())) < 4 / np.sqrt(39 * 24)
    edges = check(lambda params: jnp.abs(x) + 0 * params["outer"]["kernel"][0])
    np.testing.assert_allclose(edges.correlation, 1, atol=1e-6)
    first = check(lambda params: params["inner"]["kernel"][:, 0])
    np.testing.assert_allclose(first.correlation[0], 1, atol=1e-6)  # its layer is drawn anew only in the second row
    assert float(jnp.abs(first.correlation[1]).max()) < 0.7


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UserError, match=r"faithfulness: expected .*divides the units, got 6 units, 100 orders and 4"):
        faithfulness(jnp.sum, jnp.ones(6), key=KEY, steps=4)
    with pytest.raises(UserError, match="got 0 units"):
        faithfulness(jnp.sum, jnp.ones(0), key=KEY)
    with pytest.raises(UserError, match=r"covering: expected a mask over the first axes.*\(3, 2\), got shape \(2,\)"):
        covering(jnp.sum, jnp.ones((3, 2)))(jnp.ones(2, bool))
    with pytest.raises(UserError, match=r"rank_correlation: expected two arrays of one shape, got \(2,\) and \(3,\)"):
        rank_correlation(jnp.ones(2), jnp.ones(3))
    for layers, got in ((["w", "b"], "got 8 and b"), ([], "got 8 and no layers")):
        with pytest.raises(UserError, match=f"randomised_model_check: expected .*layers out of w, {got}"):
            randomised_model_check(lambda p: p["w"], {"w": jnp.ones(3)}, lambda k: {"w": jnp.ones(3)}, layers, key=KEY)
    with pytest.raises(UserError, match=r"randomised_model_check: expected fresh parameters.*structure.*got .*'v'"):
        randomised_model_check(lambda p: p["w"], {"w": jnp.ones(3)}, lambda k: {"v": jnp.ones(3)}, ["w"], key=KEY)
