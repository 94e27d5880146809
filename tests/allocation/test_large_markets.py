"""What serves large markets: streaming, tiles, sampled Hessians, conjugate gradients, many problems at once."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import (
    AlphaFair,
    Box,
    Creators,
    Floors,
    Market,
    MaxMin,
    Nash,
    attention_for,
    solve,
    stream_attention,
    sweeps,
    tiles,
)
from attnjax.allocation.solvers import _newton
from attnjax.errors import UserError

U, N, K = 60, 8, 4
ONE = Creators.one_per_item(N)
RANDOM = np.random.default_rng(0)
SCORES = RANDOM.random((U, N))
CANDIDATES = np.argsort(RANDOM.random((U, N)), axis=1)[:, :K]
SPARSE = np.take_along_axis(SCORES, CANDIDATES, 1)
BIAS = np.array([1.0, 0.6, 0.3])
EVEN = U / N


def markets():
    box = Box(0.6 * EVEN, 1.2 * EVEN)
    return {
        "box": Market.of(SCORES, ONE, box, temperature=0.0),
        "sparse box": Market.of(SPARSE, ONE, box, temperature=0.0, candidates=CANDIDATES),
        "max-min": Market.of(SCORES, ONE, MaxMin(1.0), temperature=0.0),
        "slates": Market.of(0.0, ONE, Nash(1.0), impact=SCORES + 0.01, position_bias=BIAS),
        "slates with floors": Market.of(SCORES, ONE, Floors(0.8 * BIAS.sum() * EVEN), position_bias=BIAS),
        "capped entries": Market.of(SCORES, ONE, box, temperature=0.0, caps=0.4),
    }


def run(market, tol=1e-5, **options):
    return jax.jit(lambda m: solve(m, tol, method="newton", **options))(market)


@functools.cache
def whole(kind):
    """In double precision, as the tests of what changes nothing are."""
    return run(markets()[kind])


def assert_same_value(one, other):
    """Each lower bound below the other's upper bound, and both closed."""
    assert bool(one.converged)
    assert bool(other.converged)
    assert float(one.lower) <= float(other.upper) * (1 + 1e-9)
    assert float(other.lower) <= float(one.upper) * (1 + 1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", markets())
def test_tiles_samples_and_streams_change_nothing_that_is_certified(setting, kind):
    """In tiles of a few users, with the Hessian from every so many of them, and attention given later in blocks."""
    market, undivided = markets()[kind], whole(kind)
    positions = 1 if market.position_bias is None else market.position_bias.size
    setting(tiles, "TILE_BYTES", 3 * 8 * positions * market.scores.shape[1])
    setting(sweeps, "SAMPLED", 1)
    setting(sweeps, "SAMPLED_SHARP", 0.05)
    assert int(sweeps.sample_stride(market, jnp.asarray(0.3))) > 1
    tiled = run(market, materialise=False)
    assert tiled.attention is None
    assert_same_value(undivided, tiled)
    blocks = dict(stream_attention(market, tiled, rows=17))
    assert list(blocks) == [0, 17, 34, 51]
    attention = np.concatenate(list(blocks.values()))
    np.testing.assert_allclose(attention.sum(axis=1), market.attention_budgets, rtol=1e-9)
    index = np.broadcast_to(np.arange(N), SCORES.shape) if market.candidates is None else CANDIDATES
    moved = attention if market.impact is None else attention * np.asarray(market.impact)
    np.testing.assert_allclose(tiled.exposure, np.bincount(index.ravel(), moved.ravel(), N), rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["box", "sparse box", "slates", "capped entries"])
def test_a_sampled_hessian_has_the_diagonal_of_all_users(monkeypatch, kind):
    """A creator whose users are missing from the sample, the last ones here, would get a step without measure."""
    market = markets()[kind]
    scores = np.array(market.scores)
    if market.candidates is None:
        scores[: len(scores) // 2, -1] = -np.inf
    market = dataclasses.replace(market, scores=jnp.asarray(scores))
    positions = 1 if market.position_bias is None else market.position_bias.size
    monkeypatch.setattr(tiles, "TILE_BYTES", 3 * 8 * positions * market.scores.shape[1])
    bonus, temperature = jnp.linspace(0.0, 0.3, N), jnp.full(len(scores), 0.2)
    exact, sampled = (sweeps.linearise(market, bonus, temperature, stride) for stride in (1, 10))
    np.testing.assert_allclose(sampled.exposure, exact.exposure, rtol=1e-12)
    np.testing.assert_allclose(np.diag(sampled.hessian), np.diag(exact.hessian), rtol=1e-9)
    assert np.linalg.eigvalsh(sampled.hessian).min() > -1e-9 * np.diag(exact.hessian).max()
    assert abs(np.asarray(sampled.hessian - exact.hessian)).max() > 1e-3 * np.diag(exact.hessian).max()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["box", "sparse box", "max-min", "slates"])
def test_conjugate_gradients_solve_what_the_matrix_solves(setting, kind):
    market, dense = markets()[kind], whole(kind)
    setting(sweeps, "DENSE", 2)
    assert not sweeps.is_dense(market)
    assert_same_value(dense, run(market, 1e-4))


@pytest.mark.usefixtures("x64")
def test_conjugate_gradients_differentiate_as_the_matrix_does(setting):
    market = Market.of(SCORES, ONE, AlphaFair(1.0, 2.0, EVEN), temperature=0.2)

    def slope(market):
        found = jax.grad(lambda s: solve(dataclasses.replace(market, scores=s), 1e-9, method="newton").prices[0])
        return jax.jit(found)(market.scores)

    dense = slope(market)
    setting(sweeps, "DENSE", 2)
    np.testing.assert_allclose(slope(market), dense, rtol=1e-4, atol=1e-8)


@pytest.mark.compiled_in_full
def test_more_than_three_thousand_creators_need_no_matrix():
    """3,500 creators, 12 candidates each: a matrix of all pairs would take 49 MB; the program takes less in all."""
    random = np.random.default_rng(1)
    users, creators = 4000, 3500
    candidates = random.integers(0, creators // 12, (users, 12)) + np.arange(12) * (creators // 12)
    scores = random.random((users, 12), np.float32)
    one = Creators.one_per_item(12 * (creators // 12))
    market = Market.of(scores, one, Box(0.0, 4.0), temperature=0.0, candidates=candidates, at_most=True)
    program = _newton.lower(market, market.platform_rates, *NUMBERS, False).compile()
    assert program.memory_analysis().temp_size_in_bytes < 20e6
    found = solve(market, 1e-2, materialise=False)
    assert bool(found.converged)


NUMBERS = (jnp.float32(1e-4), jnp.asarray(500), jnp.float32(0.3))


@pytest.mark.compiled_in_full
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_besides_the_scores_a_fifth_of_them_is_enough(kind):
    """Peak memory of the compiled program, in bytes, from the compiler itself."""
    users, items = 100_000, 100
    scores = jnp.zeros((users, items), jnp.float32)
    if kind == "dense":
        market = Market.of(scores, Creators.one_per_item(items), Box(0.0, 2.0 * users / items), temperature=0.0)
        size = scores.nbytes
    else:
        candidates = np.broadcast_to(np.arange(items, dtype=np.int32) * 2, scores.shape)
        one = Creators.one_per_item(2 * items)
        market = Market.of(scores, one, Box(0.0, 2.0 * users / items), temperature=0.0, candidates=candidates)
        size = 2 * scores.nbytes
    program = _newton.lower(market, market.platform_rates, *NUMBERS, False).compile().memory_analysis()
    assert program.temp_size_in_bytes + program.output_size_in_bytes < 0.2 * size


@pytest.mark.usefixtures("x64")
def test_a_front_by_weights_is_one_compiled_call():
    market = Market.of(SCORES, ONE, Nash(1.0), temperature=0.0)
    weights = jnp.array([0.1, 1.0, 10.0])

    def at(weight):
        return solve(dataclasses.replace(market, creator_value=Nash(jnp.full(N, weight))), 1e-4, method="newton")

    front = jax.jit(jax.vmap(at))(weights)
    assert front.converged.all()
    satisfaction = np.einsum("wui,ui->w", front.attention, SCORES)
    assert (np.diff(satisfaction) < 0).all()  # the more creators count, the less users get
    for row, weight in enumerate(weights):
        alone = at(weight)
        np.testing.assert_allclose(front.lower[row], alone.lower, rtol=1e-4)


REFUSALS = {
    "no users": (lambda m, s: attention_for(m, s, 3, 3), r"users from 0 to 60, at least one, got 3 to 3"),
    "users beyond the last": (lambda m, s: attention_for(m, s, 0, 61), r"got 0 to 61"),
    "another market": (
        lambda m, s: attention_for(Market.of(SCORES[:9], ONE), s, 0, 9),
        r"the solution of this market of 9 users and 8 items, got one of 60 users",
    ),
}


@pytest.fixture(scope="module")
def solved():
    market = Market.of(SCORES, ONE, Nash(1.0), temperature=0.0)
    return market, solve(market, 1e-3)


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_attention_of_users_that_are_not_there_is_refused(solved, call, message):
    with pytest.raises(UserError, match="attention_for: expected .*" + message):
        call(*solved)


def test_reference_solutions_stream_too():
    market = Market.of(SCORES, ONE, Nash(1.0), temperature=0.2)
    found = solve(market, 1e-3, method="dual_gradient")
    np.testing.assert_array_equal(attention_for(market, found, 5, 9), found.attention[5:9])
