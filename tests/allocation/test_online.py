"""The online market: what it never does, what it learns, and that its state can be saved."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnjax.allocation import Box, Creators, Floors, Linear, Market, Nash, SquaredNorm, solve
from attnjax.allocation.online import OnlineMarket, hindsight_bound, restore_state, save_state
from attnjax.errors import UserError

N = 8
ONE = Creators.one_per_item(N)
SHARED = Creators.of([0, 0, 1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 3, 3, 4, 4], num_items=N, num_creators=5)  # item 7: none


def users(count, seed=0, order=False):
    """Users with three tastes, whose order is random or by the first of them."""
    truth, random = np.random.default_rng(1), np.random.default_rng([2, seed])
    quality, appeal = truth.normal(size=N), truth.normal(size=(N, 3)) / np.sqrt(3)
    taste = random.normal(size=(count, 3))
    scores = quality + taste @ appeal.T + 0.3 * random.normal(size=(count, N))
    return scores[np.argsort(taste[:, 0])] if order else scores


def online(kind, horizon, creators=ONE, **given):
    equal = jnp.full(creators.num_creators, horizon / creators.num_creators)
    value = {
        "nash": lambda: Nash(0.5 * equal),
        "linear": lambda: Linear(jnp.linspace(0.0, 1.0, creators.num_creators, dtype=equal.dtype)),
        "floors": lambda: Floors(0.5 * equal),
        "caps": lambda: Box(0.3 * equal, 1.3 * equal),
    }[kind]()
    return OnlineMarket.of(creators, value, horizon=horizon, **({"temperature": 0.3} | given))


@jax.jit
def follow(market, state, scores, budgets):
    """Batches (t, b, n) one after the other."""
    return jax.lax.scan(lambda state, batch: market.arrive(state, *batch), state, (scores, budgets))


def run(market, scores, batch=1, state=None):
    scores = jnp.asarray(scores).reshape(-1, batch, scores.shape[1])
    return follow(market, market.init() if state is None else state, scores, jnp.ones(scores.shape[:2]))[0]


LARGE = 8000


def solved(market, scores, tol=1e-6, share=1.0):
    """Hindsight; users without budget make all markets one size, which is compiled once."""
    count = len(scores)
    padded = np.zeros((LARGE, N))
    padded[:count] = scores
    return solve(market.offline(padded, 1.0 * (np.arange(LARGE) < count), share=share), tol, method="newton")


@functools.cache
def hindsight(kind, count, seed):
    return solved(online(kind, count), users(count, seed))


def reached(market, state):
    welfare = market.certificate(state).welfare
    return float(
        welfare.total
        if isinstance(market.creator_value, Nash)
        else welfare.satisfaction + welfare.variety + welfare.platform
    )


kinds = pytest.mark.parametrize("kind", ["nash", "linear", "floors", "caps"])


# --- what never happens -----------------------------------------------------------------------------------------------


@st.composite
def crowded(draw):
    """Caps that may be far too low for the budgets, bounds of 0 and inf, users who see little, any impact."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    creators = draw(st.sampled_from([ONE, SHARED]))
    shape = (4, 5)  # arrivals, users
    scores = 3 * random.normal(size=(*shape, N))
    scores[random.random(scores.shape) < draw(st.sampled_from([0, 0.5, 0.9]))] = -np.inf
    budgets = random.random(shape) * 10.0 ** draw(st.integers(-3, 3))
    caps = random.random(creators.num_creators) * budgets.sum() * draw(st.sampled_from([0.02, 0.2, 0.7]))
    caps[random.random(caps.size) < 0.2] = 0
    caps[random.random(caps.size) < 0.2] = np.inf
    impact = 2 * random.random(scores.shape) if draw(st.booleans()) else np.ones(scores.shape)
    return creators, scores, budgets, caps, impact, draw(st.sampled_from([0.0, 0.1, 1.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=12)
@given(crowded())
def test_caps_are_never_exceeded_and_budgets_are_spent_where_anything_is_open(x64, dtype, case):
    creators, scores, budgets, caps, impact, temperature = case
    rounding = 2e-5 if dtype == np.float32 else 1e-13
    value = Box(jnp.zeros(caps.size, dtype), jnp.asarray(caps, dtype))
    market = OnlineMarket.of(creators, value, horizon=budgets.sum(), temperature=temperature)
    state, given_out = market.init(), np.zeros((*scores.shape[:2], N))
    for k in range(scores.shape[0]):
        state, served = market.arrive(state, scores[k], budgets[k], impact[k])
        given_out[k] = served.attention
        assert (given_out[k] >= 0).all()
        assert (given_out[k][scores[k] == -np.inf] == 0).all()
        np.testing.assert_allclose(given_out[k].sum(axis=1) + served.unspent, budgets[k], rtol=rounding)
        # Whoever keeps attention sees closed items only.
        shut = np.zeros(N, bool)
        shut[np.asarray(creators.item)[np.asarray(served.closed)[creators.creator]]] = True
        kept = np.asarray(served.unspent) > rounding * budgets[k]
        assert (shut[None, :] | (scores[k] == -np.inf))[kept].all()
    moved = given_out * impact
    exposure = np.zeros(caps.size)
    np.add.at(exposure, np.asarray(creators.creator), np.asarray(creators.share) * moved.sum((0, 1))[creators.item])
    assert (np.asarray(state.sums.exposure) <= np.asarray(value.caps)).all()
    assert (exposure <= np.asarray(value.caps, np.float64) * (1 + rounding / 20)).all()
    np.testing.assert_allclose(state.sums.exposure, exposure, rtol=rounding, atol=rounding * budgets.sum() / 100)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@kinds
def test_every_budget_is_spent_exactly_and_users_without_items_keep_theirs(x64, kind):
    scores = users(6)
    scores[2] = -np.inf
    budgets = np.array([1.0, 0.0, 2.0, 1e-6, 1e3, 0.5])
    state, served = online(kind, 1e5).arrive(online(kind, 1e5).init(), scores, budgets)
    np.testing.assert_allclose(served.attention.sum(axis=1), np.where(np.arange(6) == 2, 0, budgets), rtol=1e-13)
    np.testing.assert_array_equal(served.unspent, [0, 0, 2, 0, 0, 0])
    assert float(state.sums.arrived) == pytest.approx(budgets.sum(), rel=1e-15)


def test_at_temperature_0_everyone_takes_the_first_of_the_best(x64):
    market = online("linear", 10, temperature=0.0)
    scores = jnp.zeros((1, N)).at[0, jnp.array([2, 5])].set(3.0) - market.creator_value.rates[None, :]
    np.testing.assert_array_equal(market.arrive(market.init(), scores)[1].attention[0], np.arange(N) == 2)


def test_users_of_one_batch_are_cut_down_alike():
    value = Box(jnp.zeros(N), jnp.full(N, jnp.inf).at[0].set(1.0))
    market = OnlineMarket.of(ONE, value, horizon=10, temperature=0.0)
    state, served = market.arrive(market.init(), jnp.zeros((4, N)).at[:, 0].set(1.0))
    np.testing.assert_allclose(served.attention[:, :3], [[0.25, 0.75, 0]] * 4, rtol=1e-5)
    assert served.closed.tolist() == [True] + [False] * (N - 1)
    assert float(state.prices[0]) < 0  # a toll on what is closed and still wanted


# --- what is learnt ---------------------------------------------------------------------------------------------------


@kinds
def test_the_certificate_is_above_the_hindsight_optimum(x64, kind):
    """Whatever the order, the temperature and the steps; and the two-pass bound is the tighter one."""
    cases = [(0.3, True, 2.0), (0.0, False, 0.5), (2.0, False, 5.0)]
    for seed, (temperature, order, step) in enumerate(cases):
        scores = users(500, seed, order)
        for creators in (ONE, SHARED) if seed < 2 else (ONE,):
            market = online(kind, 500, creators, temperature=temperature, step=step)
            found = market.certificate(run(market, scores, batch=5))
            known = market.offline(scores)
            two_pass = float(hindsight_bound(known, found.prices))
            rounding = 1e-9 * abs(two_pass)
            assert float(found.upper) >= two_pass - rounding
            assert float(found.upper - found.slack) <= two_pass + rounding
            if creators is ONE and kind != "linear":
                assert two_pass >= float(solved(market, scores, 1e-3).lower) - rounding


def test_the_certificate_counts_impact(x64):
    """Exposure that one unit of attention may bring many times over moves worth as many times as far."""
    market = online("nash", 400)
    scores, impact = users(100), 5 * np.random.default_rng(0).random((100, N))
    state = market.init()
    for k in range(4):
        rows = slice(25 * k, 25 * k + 25)
        state, _ = market.arrive(state, scores[rows], 4.0, impact[rows])
    found = market.certificate(state)
    two_pass = float(hindsight_bound(market.offline(scores, 4.0, impact), found.prices))
    assert reached(market, state) < float(found.upper - found.slack) <= two_pass <= float(found.upper)


@pytest.mark.parametrize("kind", ["nash", "floors", "caps"])
def test_regret_grows_no_faster_than_the_root_of_the_number_of_users(x64, kind):
    """16 times as many users, at most 4 times as much regret, with a margin of a half for six seeds' noise."""
    regret = {}
    for count in (500, 8000):
        market, each = online(kind, count), []
        for seed in range(3):
            state, best = run(market, users(count, seed)), hindsight(kind, count, seed)
            missing = market.certificate(state).shortfall.sum() * 2 * jnp.abs(best.prices).max()
            each.append(float(best.upper) - reached(market, state) + float(missing))
        regret[count] = np.mean(each)
        assert min(each) > 0  # nobody beats hindsight
    assert regret[8000] < 1.5 * 4 * regret[500]


@pytest.mark.parametrize("kind", ["nash", "floors", "caps"])
def test_mean_prices_converge_to_those_of_hindsight(x64, kind):
    """The last prices do too, but for the noise of a step; and pacing shakes those of bounds near the end."""
    best = hindsight(kind, 8000, 0)
    state = run(online(kind, 8000), users(8000, 0))
    scale = best.prices if kind == "nash" else jnp.abs(best.prices).max()
    np.testing.assert_allclose(state.mean_prices / scale, best.prices / scale, atol=0.05)
    if kind == "nash":
        np.testing.assert_allclose(state.prices, best.prices, rtol=0.1)


def test_an_order_against_it_costs_in_proportion(x64):
    count = 8000
    best, market = hindsight("caps", count, 0), online("caps", count)
    random, ordered = (float(best.upper) - reached(market, run(market, users(count, 0, o))) for o in (False, True))
    assert ordered > 0.005 * abs(float(best.upper))
    assert ordered > 5 * random


def test_a_warm_start_with_confidence_saves_the_beginning(x64):
    count = 300
    market = online("nash", count)
    prices = solved(market, users(500, seed=9), share=500 / count).prices
    cold, warm, forgetful = (
        np.mean([reached(market, run(market, users(count, seed), state=state)) for seed in range(3)])
        for state in (market.init(), market.init(prices, confidence=500), market.init(prices))
    )
    assert warm > forgetful
    assert warm > cold + 0.5


def test_floors_are_met_up_to_a_shortfall_that_grows_no_faster_than_the_root(x64):
    missed = []
    for count in (500, 8000):
        market = online("floors", count)
        scores = jnp.stack([jnp.asarray(users(count, seed))[:, None] for seed in range(8)])
        states, _ = jax.vmap(follow, (None, None, 0, None))(market, market.init(), scores, jnp.ones((count, 1)))
        missed.append(float(jax.vmap(market.certificate)(states).shortfall.sum()) / 8)
    assert missed[1] < 1.5 * 4 * missed[0]
    assert missed[1] < 0.002 * 0.5 * 8000


def test_more_attention_than_expected_is_served_too(x64):
    market = online("caps", 200)
    state = run(market, users(500))
    assert (np.asarray(state.sums.exposure) <= np.asarray(market.creator_value.caps)).all()
    assert float(state.sums.unspent) == pytest.approx(500 - 1.3 * 200, rel=1e-9)
    assert float(market.expecting(500).horizon) == 500


@pytest.mark.parametrize("kind", ["nash", "floors"])
def test_batches_of_any_size_learn_the_same(x64, kind):
    """And the Euclidean mirror serves Nash as well."""
    market, best = online(kind, 8000, mirror="euclidean"), hindsight(kind, 8000, 0)
    state = run(market, users(8000, 0), batch=20)
    assert float(jnp.abs(state.mean_prices - best.prices).max()) < 0.05 * float(jnp.abs(best.prices).max())


# --- one program, however it is run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nash", "caps"])
def test_scan_loop_and_rows_of_a_batch_agree(x64, kind):
    markets = [online(kind, horizon, SHARED) for horizon in (20, 60)]
    scores, budgets = jnp.asarray(users(12).reshape(3, 4, N)), jnp.ones((3, 4))
    looped = markets[0].init()
    for k in range(3):
        looped, served = markets[0].arrive(looped, scores[k], budgets[k])
    scanned, all_served = follow(markets[0], markets[0].init(), scores, budgets)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *markets)
    batched, _ = jax.vmap(lambda m: follow(m, m.init(), scores, budgets))(stacked)
    other, _ = follow(markets[1], markets[1].init(), scores, budgets)

    def same(one, two):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), one, two)

    compared = lambda state: state._replace(lost=None)  # noqa: E731
    same(compared(looped), compared(scanned))
    same(served, jax.tree.map(lambda leaf: leaf[-1], all_served))
    same(compared(other), compared(jax.tree.map(lambda leaf: leaf[1], batched)))


def test_jit_and_eager_agree(x64):
    market = online("caps", 20, SHARED)
    once, served = market.arrive(market.init(), users(4))
    with jax.disable_jit():
        eager, served_eagerly = market.arrive(market.init(), users(4))
    for one, other in zip(jax.tree.leaves((once, served)), jax.tree.leaves((eager, served_eagerly)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_new_values_compile_nothing():
    from attnjax.allocation.online.market import _arrive

    market = online("caps", 100)
    state, _ = market.arrive(market.init(), users(3))
    before = _arrive._cache_size()
    other = online("caps", 50, temperature=0.0, step=0.1)
    other.arrive(other.init(prices=jnp.ones(N), confidence=3.0), users(3, seed=1), 2.0)
    other.expecting(70).arrive(state, users(3, seed=2), np.arange(3))
    assert _arrive._cache_size() == before


def test_padding_changes_nothing(x64):
    market = online("caps", 100)
    one, _ = market.arrive(market.init(), users(3))
    padded, _ = market.arrive(market.init(), np.concatenate([users(3), users(2, 1)]), np.array([1, 1, 1, 0, 0]))
    np.testing.assert_allclose(padded.prices, one.prices, rtol=1e-12)
    np.testing.assert_array_equal(market.arrive(one, users(3), 0.0)[0].prices, one.prices)


@pytest.mark.compiled_in_full
def test_single_precision_counts_to_the_last_user():
    """A million users' worth before, and the next thousand are not lost."""
    market = online("nash", 2.0**24 + 1000)
    state = market.init()
    state = state._replace(sums=state.sums._replace(arrived=jnp.float32(2**24)))
    state = run(market, users(1000).astype(np.float32), state=state)
    assert state.prices.dtype == jnp.float32
    assert float(state.sums.arrived) == 2**24 + 1000
    alone = np.asarray(run(market, users(1000).astype(np.float32)).sums.exposure, np.float64)
    assert alone.sum() == pytest.approx(1000, rel=1e-6)


@pytest.mark.parametrize("kind", ["nash", "caps"])
def test_a_run_that_was_saved_goes_on_bit_for_bit(tmp_path, kind):
    market = online(kind, 40)
    scores, budgets = jnp.asarray(users(40)).reshape(10, 4, N), jnp.ones((10, 4))
    whole, _ = follow(market, market.init(), scores, budgets)
    half, _ = follow(market, market.init(), scores[:5], budgets[:5])
    save_state(tmp_path / "deep" / "state.npz", half)
    restored = restore_state(tmp_path / "deep" / "state.npz", market.init())
    resumed, _ = follow(market, restored, scores[5:], budgets[5:])
    assert jax.tree.structure(resumed) == jax.tree.structure(whole)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["state.npz"]


def test_a_save_that_fails_leaves_the_old_state(tmp_path, monkeypatch):
    market = online("nash", 40)
    path = tmp_path / "state.npz"
    save_state(path, market.init())
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_state(path, market.arrive(market.init(), users(1))[0])
    assert int(restore_state(path, market.init()).arrivals) == 0
    assert list(tmp_path.iterdir()) == [path]


# --- refusals ---------------------------------------------------------------------------------------------------------

NASH = Nash(jnp.ones(N))
REFUSALS = {
    "no horizon": (lambda: OnlineMarket.of(ONE, NASH, horizon=0), r"of: expected a horizon above 0, got 0.0"),
    "a NaN horizon": (lambda: OnlineMarket.of(ONE, NASH, horizon=np.nan), "of: expected horizon to be finite"),
    "no step": (lambda: OnlineMarket.of(ONE, NASH, horizon=1, step=0), "of: expected a step above 0"),
    "a temperature below 0": (
        lambda: OnlineMarket.of(ONE, NASH, horizon=1, temperature=-1),
        "of: expected temperature of at least 0, got -1.0",
    ),
    "factors for floors": (
        lambda: OnlineMarket.of(ONE, Floors(0.0), horizon=1, mirror="entropy"),
        "of: expected a mirror .* for Nash only, got 'entropy' for Floors",
    ),
    "an unknown mirror": (lambda: OnlineMarket.of(ONE, NASH, horizon=1, mirror="l1"), "of: expected a mirror"),
    "a value of another kind": (lambda: OnlineMarket.of(ONE, ONE, horizon=1), "of: expected Linear, Nash, Floors"),
    "weights of another shape": (lambda: OnlineMarket.of(ONE, Nash(jnp.ones(2)), horizon=1), r"of: .*got shape \(2,\)"),
    "a weight of 0": (lambda: OnlineMarket.of(ONE, Nash(0.0), horizon=1), "of: expected Nash weights above 0"),
    "a negative floor": (lambda: OnlineMarket.of(ONE, Floors(-1.0), horizon=1), "of: expected floors of at least 0"),
    "caps below floors": (lambda: OnlineMarket.of(ONE, Box(2.0, 1.0), horizon=1), "floor 2 and cap 1 for creator 0"),
    "prices of another shape": (lambda: online("nash", 9).init(jnp.ones(2)), r"init: expected prices .*\(2,\)"),
    "prices of 0 under Nash": (lambda: online("nash", 9).init(0.0), "init: expected prices that Nash admits"),
    "tolls without caps": (lambda: online("floors", 9).init(-1.0), "init: expected prices that Floors admits"),
    "prices that are not the rates": (lambda: online("linear", 9).init(2.0), "init: .* Linear admits"),
    "negative confidence": (lambda: online("nash", 9).init(confidence=-1.0), "init: expected confidence of at least 0"),
    "scores of another shape": (lambda: arrive(jnp.zeros((2, 3))), r"arrive: expected scores .*got shape \(2, 3\)"),
    "NaN scores": (lambda: arrive(jnp.full((1, N), jnp.nan)), "arrive: expected scores that are finite"),
    "negative budgets": (lambda: arrive(users(2), -1.0), "arrive: expected budgets of at least 0, got -1.0"),
    "negative impact": (lambda: arrive(users(2), 1.0, -1.0), "arrive: expected impact of at least 0"),
    "another market's state": (
        lambda: online("nash", 9).arrive(online("nash", 9, SHARED).init(), users(1)),
        r"arrive: expected a state with prices of shape \(8,\)",
    ),
    "a bound where budgets may stay": (
        lambda: hindsight_bound(Market.of(users(2), ONE, at_most=True), jnp.zeros(N)),
        "hindsight_bound: expected a market .* got budgets as upper bounds",
    ),
    "a bound for another regulariser": (
        lambda: hindsight_bound(Market.of(users(2), ONE, regularizer=SquaredNorm()), jnp.zeros(N)),
        "hindsight_bound: expected a market .* got SquaredNorm",
    ),
    "a horizon of 0 later": (lambda: online("nash", 9).expecting(0), "expected a horizon above 0"),
}


def arrive(*given):
    market = online("nash", 9)
    return market.arrive(market.init(), *given)


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_states_that_do_not_fit_are_refused(tmp_path):
    like = online("nash", 9).init()
    path = tmp_path / "state.npz"
    with pytest.raises(UserError, match=r"restore_state: .* got no file"):
        restore_state(path, like)
    path.write_bytes(b"not an archive")
    with pytest.raises(UserError, match="can't be read"):
        restore_state(path, like)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(UserError, match="the fields of a state, got a file with weights"):
        restore_state(path, like)
    save_state(path, like)
    with pytest.raises(UserError, match=r"expected prices of shape \(5,\) .* got shape \(8,\)"):
        restore_state(path, online("nash", 9, SHARED).init())
    with jax.enable_x64(True):
        double = OnlineMarket.of(ONE, Nash(np.ones(N)), horizon=9).init()
        with pytest.raises(UserError, match=r"type float64, .* type float32"):
            restore_state(path, double)
    with pytest.raises(UserError, match="save_state: expected a state with values"):
        jax.jit(lambda state: save_state(path, state))(like)
