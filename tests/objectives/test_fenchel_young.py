import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import REGULARIZERS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnjax.allocation import Entropy, SquaredNorm, allocate
from attnjax.errors import UserError
from attnjax.objectives import fenchel_young_loss

N = 5
SCORES = np.array([1.0, 0.3, -0.2, 0.8, -2.5])
OBSERVED = np.array([0.3, 0.0, 0.5, 0.2, 0.0])
by_case = pytest.mark.parametrize("case", REGULARIZERS.values(), ids=REGULARIZERS)
pytestmark = pytest.mark.usefixtures("x64")


def losses(name):
    terms = {"cap": 0.6, "regularizer": REGULARIZERS[name].make(N), "temperature": 0.7}
    return lambda s: fenchel_young_loss(s, OBSERVED, 1.0, **terms), lambda s: allocate(s, 1.0, **terms).weights


@pytest.mark.parametrize("name", REGULARIZERS)
def test_its_gradient_is_the_allocation_less_the_observed(name):
    """Whatever cap and temperature."""
    loss, weights = losses(name)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(SCORES), weights(SCORES) - OBSERVED, atol=1e-14)


@pytest.mark.parametrize("name", ["entropy", "tsallis_1.5"])
def test_its_hessian_is_the_operators_jacobian(name):
    loss, weights = losses(name)
    hessian, jacobian = jax.jit(lambda s: (jax.hessian(loss)(s), jax.jacfwd(weights)(s)))(SCORES)
    np.testing.assert_allclose(hessian, jacobian, atol=1e-12)


@by_case
@given(
    scores=arrays(np.float64, N, elements=st.floats(-5, 5)),
    other=arrays(np.float64, N, elements=st.floats(-5, 5)),
    draw=arrays(np.float64, N, elements=st.floats(0.01, 1)),
    share=st.floats(0, 1),
)
def test_it_is_convex_in_the_scores_and_never_negative(case, scores, other, draw, share):
    observed, regularizer = draw / draw.sum(), case.make(N)
    loss = lambda s: float(fenchel_young_loss(s, observed, regularizer=regularizer))  # noqa: E731
    here, there = loss(scores), loss(other)
    assert min(here, there) >= -1e-13
    assert loss(share * scores + (1 - share) * other) <= share * here + (1 - share) * there + 1e-13
    assert loss(scores + 3.0) == pytest.approx(here, abs=1e-12)


@by_case
def test_it_is_zero_exactly_at_its_own_allocation(case):
    terms = {"budget": 2.0, "cap": 1.1, "regularizer": case.make(N), "temperature": 0.4}
    own = allocate(SCORES, **terms).weights
    assert abs(float(fenchel_young_loss(SCORES, own, **terms))) < 1e-13
    other = own + jnp.array([-0.01, 0.01, 0, 0, 0])
    assert float(fenchel_young_loss(SCORES, other, **terms)) > 1e-6


def test_with_entropy_it_is_the_cross_entropy_less_the_entropy():
    seen = OBSERVED[OBSERVED > 0]
    entropy = -(seen * np.log(seen)).sum()
    expected = -(OBSERVED @ jax.nn.log_softmax(jnp.asarray(SCORES))) - entropy
    assert float(fenchel_young_loss(SCORES, OBSERVED)) == pytest.approx(float(expected), abs=1e-14)


def test_with_the_squared_norm_it_is_the_sparsemax_loss():
    """Martins and Astudillo (2016), equation 17, for a single label."""
    label = np.eye(N)[3]
    result = allocate(SCORES, regularizer=SquaredNorm())
    support = np.asarray(result.weights) > 0
    sums = (SCORES[support] ** 2 - float(result.threshold) ** 2).sum()
    loss = fenchel_young_loss(SCORES, label, regularizer=SquaredNorm())
    assert float(loss) == pytest.approx(-SCORES[3] + sums / 2 + 0.5, abs=1e-14)


def test_at_most_prices_the_unspent_too():
    terms = {"budget": 5.0, "regularizer": SquaredNorm(), "at_most": True}
    # max of <s, a> - |a|^2 / 2 is |s+|^2 / 2 where the budget does not bind.
    best = (np.maximum(SCORES, 0) ** 2).sum() / 2
    expected = best + (OBSERVED**2).sum() / 2 - SCORES @ OBSERVED
    assert float(fenchel_young_loss(SCORES, OBSERVED, **terms)) == pytest.approx(expected, abs=1e-14)


def test_an_excluded_entry_costs_nothing_unseen_and_infinity_seen():
    scores = jnp.array([0.0, 1.0, -jnp.inf])
    unseen = jnp.array([0.5, 0.5, 0.0])
    assert np.isfinite(fenchel_young_loss(scores, unseen))
    assert float(fenchel_young_loss(scores, jnp.array([0.5, 0.25, 0.25]))) == np.inf
    in_scores, in_seen = jax.grad(fenchel_young_loss, (0, 1))(scores, unseen)
    np.testing.assert_allclose(in_scores, allocate(scores).weights - unseen, atol=1e-15)
    assert np.isfinite(in_seen).all()


def test_a_wrong_shape_is_refused():
    with pytest.raises(UserError, match=r"fenchel_young_loss: expected observed.*\(5,\), got shape \(4,\).*jax.vmap"):
        fenchel_young_loss(SCORES, OBSERVED[:4])
    with pytest.raises(UserError, match="allocate: expected a finite budget"):
        fenchel_young_loss(SCORES, OBSERVED, -1.0)


def test_it_batches():
    scores, seen = np.stack([SCORES, -SCORES]), np.stack([OBSERVED, OBSERVED[::-1]])
    batched = jax.vmap(fenchel_young_loss)(scores, seen)
    alone = [float(fenchel_young_loss(s, y, regularizer=Entropy())) for s, y in zip(scores, seen, strict=True)]
    np.testing.assert_allclose(batched, alone, atol=1e-14)
