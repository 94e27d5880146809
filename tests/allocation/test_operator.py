"""The operator's behaviour at its edges: refusals, kinks, an empty budget, extreme numbers, two precisions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import REGULARIZERS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnjax.allocation import Entropy, Power, SeparableConvex, SquaredNorm, Tsallis, allocate, operator
from attnjax.errors import UserError

S = [1.0, 0.5, -1.0]
MODES = (jax.jacfwd, jax.jacrev)

REFUSALS = {
    "a batch": ({"scores": np.zeros((2, 3))}, r"scores of shape \(n,\).*shape \(2, 3\).*jax.vmap"),
    "no entry": ({"scores": np.zeros(0)}, r"n >= 1, got shape \(0,\)"),
    "a scalar score": ({"scores": 1.0}, r"scores of shape \(n,\)"),
    "a vector of budgets": ({"scores": S, "budget": [1.0, 2.0]}, r"a scalar budget, got shape \(2,\).*jax.vmap"),
    "a vector of temperatures": ({"scores": S, "temperature": [1.0]}, r"a scalar temperature, got shape \(1,\)"),
    "caps of another length": ({"scores": S, "cap": [1.0, 1.0]}, r"scores' shape \(3,\), got shape \(2,\)"),
    "a class for a regulariser": (
        {"scores": S, "regularizer": "entropy"},
        r"a regularizer such as Entropy\(\).*'entropy'",
    ),
    "NaN": ({"scores": [0, np.nan, np.nan]}, r"finite, or -inf.*got nan at entry 1 and 1 more.*division by zero"),
    "infinity": ({"scores": [np.inf, 0]}, r"got inf at entry 0\."),
    "a negative budget": ({"scores": S, "budget": -1.0}, r"a finite budget of at least 0, got -1.0. Attention can't"),
    "an infinite budget": ({"scores": S, "budget": np.inf}, r"a finite budget of at least 0, got inf"),
    "a NaN budget": ({"scores": S, "budget": np.nan}, r"a finite budget of at least 0, got nan"),
    "a temperature of 0": ({"scores": S, "temperature": 0.0}, r"a finite temperature above 0, got 0.0.*1e-6"),
    "a negative temperature": ({"scores": S, "temperature": -1}, r"a finite temperature above 0, got -1.0"),
    "a NaN temperature": ({"scores": S, "temperature": np.nan}, r"a finite temperature above 0, got nan"),
    "a negative cap": ({"scores": S, "cap": [1, 1, -0.5]}, r"caps of at least 0, got -0.5. A cap of 0 excludes"),
    "a NaN cap": ({"scores": S, "cap": [1, 1, np.nan]}, r"caps of at least 0, got NaN"),
    "caps below the budget": ({"scores": S, "cap": 0.25}, r"at least the budget 1.*a sum of 0.75.*at_most=True"),
    "caps of excluded entries": ({"scores": [0, -np.inf], "cap": 0.75}, r"a sum of 0.75"),
    "all excluded": ({"scores": [-np.inf, -np.inf]}, r"at least the budget 1, .*a sum of 0\."),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_has_no_solution_is_refused_in_one_paragraph(call, message):
    with pytest.raises(UserError, match=message) as caught:
        allocate(**call)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("allocate: expected ")


def test_other_number_types_become_float32():
    assert allocate([1, 2]).weights.dtype == jnp.float32
    assert allocate(jnp.array([1, 2])).weights.dtype == jnp.float32
    assert allocate(jnp.array([1, 2], jnp.bfloat16), budget=2).weights.dtype == jnp.float32


@pytest.mark.usefixtures("x64")
def test_float64_stays_float64():
    result = allocate(jnp.array([1.0, 2.0]), cap=np.float32(0.75), temperature=2)
    assert {field.dtype for field in result[:-1]} == {jnp.dtype("float64")}


# --- under jit, infeasible input is reported and never raised -----------------------------------------------------

INFEASIBLE = {
    "negative budget": {"budget": -1.0},
    "infinite budget": {"budget": np.inf},
    "caps below the budget": {"cap": np.array([0.3, 0.2, 0.1])},
    "negative cap": {"cap": np.array([2.0, 2.0, -1.0])},
    "zero temperature": {"temperature": 0.0},
    "negative temperature": {"temperature": -2.0},
    "infinite temperature": {"temperature": np.inf},
    "infinite score": {"scores": np.array([np.inf, 0, 0])},
    "NaN score": {"scores": np.array([np.nan, 0, 0])},
    "NaN budget": {"budget": np.nan},
    "NaN temperature": {"temperature": np.nan},
    "NaN cap": {"cap": np.array([np.nan, 1, 1])},
    "all excluded": {"scores": np.full(3, -np.inf)},
}


@jax.jit
def traced(scores, budget, cap, temperature):
    return allocate(scores, budget, cap, Tsallis(1.5), temperature=temperature)


@pytest.mark.parametrize("change", INFEASIBLE.values(), ids=INFEASIBLE)
def test_under_jit_infeasible_input_is_reported(change):
    call = {"scores": np.array(S), "budget": 1.0, "cap": np.array([2.0, 2.0, 2.0]), "temperature": 1.0} | change
    result = traced(**call)
    assert not bool(result.feasible)
    assert float(result.gap) == float(result.bound) == math.inf
    if any(np.isnan(x).any() for x in change.values()):
        assert np.isnan(result.weights).all()
        assert np.isnan(result.threshold)
        assert np.isnan(result.value)
    if "caps below the budget" in INFEASIBLE and change is INFEASIBLE["caps below the budget"]:
        np.testing.assert_array_equal(result.weights, np.float32([0.3, 0.2, 0.1]))


def test_under_jit_feasible_input_says_so():
    result = traced(np.array(S), 1.0, np.full(3, 1 / 3), 1.0)  # caps that meet the budget up to rounding
    assert bool(result.feasible)
    assert float(result.gap) < 1e-6


# --- an empty budget -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["entropy", "squared_norm", "tsallis_1.5", "cube"])
@pytest.mark.usefixtures("x64")
def test_a_zero_budget_gives_zero_weights_and_the_price_of_the_first_attention(name):
    scores, regularizer = jnp.array([1.0, 3.0, -jnp.inf, 9.0, 0.0]), REGULARIZERS[name].make(5)
    cap, at_most = jnp.array([1.0, 1.0, 1.0, 0.0, 1.0]), name in ("cube", "entropy")

    def probe(budget, temperature):
        result = allocate(scores, budget, cap, regularizer, temperature=temperature, at_most=at_most)
        return result.value, result

    run = jax.jit(jax.grad(probe, has_aux=True))
    first = np.asarray(regularizer.derivative(jnp.full(5, np.finfo(float).tiny)))
    for temperature in (1e-6, 1.0, 1e6):
        slope, result = run(0.0, temperature)
        assert bool(result.feasible)
        np.testing.assert_array_equal(result.weights, np.zeros(5))
        assert float(result.value) == float(result.bound) == float(result.gap) == 0
        price = np.max((scores - temperature * first)[np.array([0, 1, 4])])
        assert float(result.threshold) == pytest.approx(float(price), rel=1e-12)
        assert float(slope) == float(result.threshold)


def test_the_price_at_zero_is_the_limit_of_the_prices_of_small_budgets():
    scores = jnp.array([1.0, 3.0])
    for regularizer in (SquaredNorm(), Power(3), Tsallis(1.5)):
        zero, small = (allocate(scores, r, None, regularizer).threshold for r in (0.0, 1e-10))
        assert float(zero) == pytest.approx(float(small), abs=1e-4)


def test_nothing_to_spend_on_prices_attention_at_zero():
    result = allocate(jnp.full(3, -jnp.inf), 0.0)
    assert float(result.threshold) == float(result.value) == 0
    idle = allocate(jnp.full(3, -jnp.inf), 1.0, at_most=True)
    assert bool(idle.feasible)
    np.testing.assert_array_equal(idle.weights, np.zeros(3))


# --- derivatives at kinks, as documented ---------------------------------------------------------------------------


@pytest.mark.usefixtures("x64")
def test_at_a_kink_the_derivative_is_that_of_the_resting_side():
    """Sparsemax of (1, 0): the second entry is just about to enter, and counts as resting."""
    jacobian = jax.jit(jax.jacfwd(lambda s: allocate(s, regularizer=SquaredNorm()).weights))(jnp.array([1.0, 0.0]))
    np.testing.assert_array_equal(jacobian, np.zeros((2, 2)))


@pytest.mark.usefixtures("x64")
def test_at_a_cap_just_reached_the_derivative_is_one_of_the_two_sides():
    """Rounding decides whether the entry has reached its cap, so either one-sided derivative may come out."""
    run = lambda s: allocate(s, 1.0, jnp.array([0.75, 1.0]), SquaredNorm()).weights  # noqa: E731
    jacobian = jax.jit(jax.jacfwd(run))(jnp.array([0.75, 0.25]))
    sides = (np.zeros((2, 2)), np.array([[0.5, -0.5], [-0.5, 0.5]]))
    assert any(np.allclose(jacobian, side, atol=1e-14) for side in sides)


@pytest.mark.usefixtures("x64")
def test_where_no_entry_is_free_the_thresholds_derivative_is_zero():
    threshold = lambda s, r: allocate(s, r, jnp.array([0.5, 0.5]), SquaredNorm()).threshold  # noqa: E731
    scores = jnp.array([2.0, 1.0])
    in_scores, in_budget = jax.jit(jax.grad(threshold, (0, 1)))(scores, 1.0)
    np.testing.assert_array_equal(in_scores, np.zeros(2))
    assert float(in_budget) == 0


@pytest.mark.parametrize("regularizer", [SquaredNorm(), Tsallis(1.5), Power(3)], ids=str)
@pytest.mark.usefixtures("x64")
def test_a_cap_above_the_budget_changes_no_derivative(regularizer):
    """One entry takes the whole budget: it grows with the budget, whether or not a loose cap is given."""
    run = lambda r: allocate(jnp.array([10.0, 0.0]), r, 5.0, regularizer, temperature=0.1)[:2]  # noqa: E731
    width = 1e-4
    slope = (run(1 + width)[1] - run(1 - width)[1]) / (2 * width)
    weights, threshold = jax.jit(jax.jacfwd(run))(1.0)
    np.testing.assert_allclose(weights, [1, 0], atol=1e-14)
    assert float(threshold) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.usefixtures("x64")
def test_unspent_attention_has_no_price_and_its_weights_depend_on_their_own_score_alone():
    run = lambda s, r: allocate(s, r, None, Power(3), at_most=True)[:3]  # noqa: E731
    weights, threshold, value = jax.jit(jax.jacrev(run, (0, 1)))(jnp.array([3.0, 12.0, -1.0]), 9.0)
    np.testing.assert_allclose(weights[0], np.diag([1 / 6, 1 / 12, 0]), atol=1e-15)
    np.testing.assert_array_equal(weights[1], np.zeros(3))
    np.testing.assert_array_equal(threshold[0], np.zeros(3))
    assert float(threshold[1]) == float(value[1]) == 0


@pytest.mark.usefixtures("x64")
def test_jvp_of_grad_and_grad_of_jvp_agree():
    scores, direction = jnp.array([1.0, 0.4, -0.3]), jnp.array([0.2, -1.0, 0.5])

    def value(s):
        return jnp.sum(jnp.sin(allocate(s, 1.0, 0.8, Tsallis(1.5)).weights))

    forward_over_reverse = jax.jit(lambda s: jax.jvp(jax.grad(value), (s,), (direction,))[1])(scores)
    reverse_over_forward = jax.jit(jax.grad(lambda s: jax.jvp(value, (s,), (direction,))[1]))(scores)
    np.testing.assert_allclose(forward_over_reverse, reverse_over_forward, atol=1e-13)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("regularizer", [Entropy(), SeparableConvex(lambda a: -jnp.sqrt(a))], ids=["entropy", "root"])
def test_excluded_entries_bring_no_nan_into_derivatives_of_either_order_or_mode(regularizer):
    """Also where the marginal cost of the first attention is infinite, as for -sqrt(a)."""

    def run(x):
        result = allocate(jnp.append(x[:2], -jnp.inf), 1.0, None, regularizer, temperature=x[2])
        return result.value + result.threshold + result.weights[0]

    x = jnp.array([1.0, 0.0, 0.7])
    seconds = jax.jit(lambda x: [outer(inner(run))(x) for outer in MODES for inner in MODES])(x)
    for second in seconds:
        assert np.isfinite(second).all()
        np.testing.assert_allclose(second, seconds[0], atol=1e-12)


# --- extreme numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cap"),
    [*((name, 0.4) for name in REGULARIZERS), ("entropy", None), ("squared_norm", None), ("cube", None)],
)
def test_extreme_scores_and_temperatures_give_certified_finite_answers(name, cap):
    """Scores from -1e6 to 1e6 and -inf, temperatures from 1e-6 to 1e6, in float32, derivatives included."""
    regularizer = REGULARIZERS[name].make(5)

    def probe(scores, temperature):
        result = allocate(scores, 1.0, cap, regularizer, temperature=temperature)
        return jnp.sum(result.weights[:2]) + result.value, result

    run = jax.jit(jax.grad(probe, (0, 1), has_aux=True))
    for scores in ([1e6, -1e6, 3.0, -np.inf, 0.0], [1e6, 1e6 - 1, 1e6 - 2, 0.0, -np.inf], [0.0, 1e-6, -1e-6, 0, 0]):
        for temperature in (1e-6, 1.0, 1e6):
            slopes, result = run(np.float32(scores), np.float32(temperature))
            assert bool(result.feasible)
            for leaf in jax.tree.leaves((result, slopes)):
                assert np.isfinite(leaf).all()
            assert float(result.weights.sum()) == pytest.approx(1, abs=1e-6)
            # Relative to the largest number in the sum.
            assert float(result.gap) <= 1e-6 * (np.abs(np.float32(scores)[np.isfinite(scores)]).max() + temperature)
            assert float(result.weights[np.isinf(scores)].sum()) == 0


@pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm(), Tsallis(1.5), Power(3)], ids=str)
def test_the_limits_of_temperature_are_greedy_and_uniform(regularizer):
    scores = jnp.array([0.3, 1.0, 0.9, -2.0])
    np.testing.assert_allclose(allocate(scores, 2.0, None, regularizer, temperature=1e-6).weights, [0, 2, 0, 0])
    np.testing.assert_allclose(allocate(scores, 2.0, None, regularizer, temperature=1e6).weights, [0.5] * 4, atol=1e-5)


@pytest.mark.compiled_in_full
@pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm(), Tsallis(1.5), Power(3)], ids=str)
def test_the_margin_far_below_the_best_entry_keeps_its_digits(regularizer):
    """A capped leader a million above the rest must not cost them the digits of their own comparison."""
    cap = jnp.array([0.5, 1.0, 1.0])
    together = allocate(jnp.array([1e6, 0.125, 0.0]), 1.0, cap, regularizer).weights
    apart = allocate(jnp.array([0.125, 0.0]), 0.5, None, regularizer).weights
    np.testing.assert_allclose(together, [0.5, *apart], rtol=2e-6)


@pytest.mark.compiled_in_full
@given(
    scores=arrays(np.float32, 6, elements=st.floats(-8, 8, width=32)),
    budget=st.floats(0.125, 8, width=32),
    name=st.sampled_from(["entropy", "squared_norm", "tsallis_1.5", "cube"]),
)
def test_single_precision_stays_within_its_condition(scores, budget, name):
    """Rounding moves a score, the threshold and the marginal cost by about eps times their size.

    A weight moves by inverse curvature / T times that. For the cube the curvature vanishes at 0, where a small
    change d of the surplus moves the weight by at most sqrt(d / 3).
    """
    regularizer = REGULARIZERS[name].make(6)
    single = allocate(scores, budget, None, regularizer)
    with jax.enable_x64(True):
        double = allocate(scores.astype(np.float64), float(budget), None, regularizer)
        fast = np.asarray(regularizer.inverse_curvature(np.maximum(double.weights, 1e-3)))
        steep = np.abs(np.asarray(regularizer.derivative(jnp.asarray(float(budget)))))
    moved = 16 * np.finfo(np.float32).eps * (np.ptp(scores) + steep + 1)
    band = moved * (1 + fast.max()) + 4 * np.finfo(np.float32).eps * float(budget)
    if name == "cube":
        band = max(band, math.sqrt(moved / 3))
    np.testing.assert_allclose(single.weights, double.weights, atol=band)
    assert single.weights.dtype == np.float32


# --- the certificate judges any weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [None, 0.6])
@pytest.mark.usefixtures("x64")
def test_weights_that_are_not_optimal_would_get_their_true_gap(monkeypatch, cap):
    """The solver replaced by one that errs: the gap is what its weights fall short of the dual value, to the digit."""
    scores, cap = jnp.array([1.0, 0.3, -0.5]), None if cap is None else jnp.full(3, cap)
    problem = (scores, jnp.array(1.0), cap, jnp.array(0.5), SquaredNorm())
    right = allocate(*problem[:3], SquaredNorm(), temperature=0.5)
    solved = operator._solution(False, *problem)
    wrong = jnp.array([0.2, 0.5, 0.3])
    monkeypatch.setattr(operator, "_solution", lambda *_: solved._replace(weights=wrong))
    gap, feasible = operator._certificate(False, *problem)
    assert bool(feasible)
    short = right.value - (scores @ wrong - 0.5 * jnp.sum(wrong**2) / 2)
    assert float(gap) == pytest.approx(float(short), rel=1e-12)
    assert float(gap) > 0.1


# --- one program ---------------------------------------------------------------------------------------------------


def test_new_values_compile_nothing():
    allocate(jnp.array(S), 1.0, 0.5, Tsallis(1.5))
    before = operator._allocate._cache_size()
    for k in range(3):
        allocate(jnp.array(S) + k, 1.0 + k / 8, 0.9 + k, Tsallis(1.25 + k / 8), temperature=1.0 + k)
    assert operator._allocate._cache_size() == before


def test_eager_jit_and_vmap_row_agree_under_every_input_batched():
    s, r, c, t = (
        jnp.array([S, S[::-1]]),
        jnp.array([1.0, 0.5]),
        jnp.array([[0.8] * 3, [0.4] * 3]),
        jnp.array([1.0, 2.0]),
    )

    def run(s, r, c, t):
        return allocate(s, r, c, Power(3), temperature=t)

    batched = jax.vmap(run)(s, r, c, t)
    for row in range(2):
        eager, jitted = run(s[row], r[row], c[row], t[row]), jax.jit(run)(s[row], r[row], c[row], t[row])
        for one, two, three in zip(eager, jitted, batched, strict=True):
            np.testing.assert_array_equal(one, two)
            np.testing.assert_allclose(three[row], one, rtol=1e-6)
