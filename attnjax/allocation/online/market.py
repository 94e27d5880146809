"""The online market: users arrive in batches and are served at once, at prices that learn from them.

The market is that of `attnjax.allocation.market`, but users come one batch after the other and what they were given
can't be taken back. Prices p per unit of exposure are the state. A batch responds to them as if it were alone,

    a_u = argmax over a in C_u of <s_u + M (p + pi), a> - T sum_i a_i log a_i,

and prices then take one step of mirror descent on the dual: up where creators got less than they ask for, down where
they got more. With exposure e and attention m of this batch, what creators ask for per unit of attention is

    Nash:   w / (p H)                          H the horizon: all attention that is expected
    Floors: (floor - so far)^+ / (H - spent)   pacing: what is left to give, over the attention that is left
    Box:    likewise, and at most (cap - so far)^+ / (H - spent)

and the step for the excess g = e - m * asked is p_j -= eta_j g_j (Euclidean; the kink that a box has at price 0 is
stepped over exactly, Duchi et al. 2010), or p_j *= exp(-eta_j g_j) (entropic, for Nash, whose prices are positive).
Step sizes eta_j = step * scale_j / sqrt(moments_j) come from the data (Duchi, Hazan and Singer 2011): `moments_j` adds
up max(g_j^2, v_j) over batches, with v_j the variance that exposure would have if users were drawn at random, so eta
falls as 1 / sqrt(arrivals), whatever the size of batches; the scale is 1 for multiplicative prices, else the users'
own: temperature plus the standard deviation of their scores.

With users drawn at random, the regret of dual mirror descent grows as the square root of their number (Balseiro, Lu and
Mirrokni 2023, "The Best of Many Worlds"; 2021, "Regularized Online Allocation Problems", for concave values). Their
proofs are for steps fixed in advance and values of bounded slope; with the steps above, pacing and Nash's logarithm it
is a measurement, `experiments/online_regret`. In the worst order regret is linear, as no online method can avoid.

**Caps are hard.** Where a batch would exceed what is left of a cap, all of its users are cut down alike to what fits,
the creator is closed, and what that frees goes to the users' best response among what is still open, in rounds. A
user all of whose items are closed keeps the attention: it is `unspent`. **Floors are not:** prices steer towards them,
and what is missing at the end is the certificate's `shortfall`, which was found to grow no faster than the square root
of the number of users. Pacing shakes prices near the end: the mean price is the better estimate of hindsight's.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.allocation import compensated
from attnjax.allocation.creator_values import CreatorValue, Linear, Nash
from attnjax.allocation.creators import Creators
from attnjax.allocation.guarantees import Box, Floors
from attnjax.allocation.market import Market
from attnjax.allocation.online.certificate import Certificate, certify, hindsight_bound
from attnjax.allocation.online.checks import check_numbers, check_start, known, refuse, shaped
from attnjax.allocation.online.state import State, Sums, restore_state, save_state
from attnjax.allocation.online.steps import (
    CLOSED,
    asked,
    excess,
    leverage,
    margin,
    moments,
    moved,
    multiplied,
    price_scale,
    respond,
    satisfaction,
    shifted,
    step_sizes,
    variety,
    within_caps,
    worth,
)
from attnjax.allocation.regularizers import Entropy
from attnjax.pytrees import register

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]
Attention = Float[Array, "b n"]
__all__ = [
    "Certificate",
    "OnlineMarket",
    "Served",
    "State",
    "hindsight_bound",
    "restore_state",
    "save_state",
]

MIRRORS = ("auto", "entropy", "euclidean")


class Served(NamedTuple):
    """What a batch of users was given.

    Attributes:
        attention: (b, n); a row sums to the user's budget less what is unspent.
        exposure: (c,), what creators got from it.
        prices: (c,), at which users responded.
        unspent: (b,), attention for which every item was closed.
        closed: (c,), creators whose caps are used up after this batch.
    """

    attention: Attention
    exposure: Prices
    prices: Prices
    unspent: Float[Array, " b"]
    closed: Bool[Array, " c"]


@dataclasses.dataclass(frozen=True)
class OnlineMarket:
    """What is known of a market before its users arrive, a pytree. Build it with `OnlineMarket.of`.

    Attributes:
        creators: the map from items to creators.
        creator_value: `Linear`, `Nash`, `Floors` or `Box`, of exposure over the whole horizon.
        horizon: scalar, all attention that is expected to arrive.
        platform_rates: (c,), platform income per unit of exposure.
        temperature: T >= 0, how much users value variety; at 0 they take the best item, the first of equals.
        step: scalar, the step size relative to its scale.
        multiplicative: whether prices move by factors.
    """

    creators: Creators
    creator_value: CreatorValue
    horizon: Scalar
    platform_rates: Prices
    temperature: Scalar
    step: Scalar
    multiplicative: bool

    @classmethod
    def of(
        cls,
        creators: Creators,
        creator_value: CreatorValue,
        *,
        horizon: Any,
        temperature: Any = 1.0,
        platform_rates: Any = 0.0,
        step: Any = 0.5,
        mirror: str = "auto",
    ) -> "OnlineMarket":
        """Checks and builds an online market; scalars are broadcast.

        Args:
            creators: the map from items to creators.
            creator_value: over the whole horizon: floors and caps in units of exposure, Nash weights in welfare. Its
                type decides the precision of everything.
            horizon: all attention expected, in units of budgets, above 0. An estimate can be mended under way, see
                `expecting`. Attention beyond it is served as well, and what is left of floors is then asked for at
                once.
            temperature: at least 0, in units of scores.
            platform_rates: scalar or (c,), in units of scores.
            step: above 0; larger learns faster and wavers more. See the head of this module.
            mirror: "entropy" (Nash only), "euclidean", or "auto": the first of these that the creator value admits.

        Raises:
            UserError: for a creator value of another kind, a mirror that does not fit it, shapes that don't fit, and,
                where values are known, numbers out of their range.

        >>> OnlineMarket.of(Creators.one_per_item(2), Nash(1.0), horizon=8).init().prices.tolist()
        [0.25, 0.25]
        """
        if not isinstance(creator_value, Linear | Nash | Floors | Box):
            refuse(
                "of",
                "Linear, Nash, Floors or Box as creator value",
                type(creator_value).__name__,
                "Only for these it is known what creators ask for per unit of attention.",
            )
        if mirror not in MIRRORS or (mirror == "entropy" and not isinstance(creator_value, Nash)):
            refuse(
                "of",
                f"a mirror out of {MIRRORS}, and 'entropy' for Nash only",
                f"{mirror!r} for {type(creator_value).__name__}",
                "Prices of floors and caps start at 0, where factors can't move them: leave the mirror out.",
            )
        shape = (creators.num_creators,)
        dtype = jnp.result_type(float, *(jnp.asarray(leaf).dtype for leaf in jax.tree.leaves(creator_value)))
        dtype = dtype if dtype in (jnp.float32, jnp.float64) else jnp.dtype(jnp.float32)
        value = jax.tree_util.tree_map_with_path(
            lambda path, leaf: shaped("of", path[-1].name, leaf, shape, dtype, infinite=path[-1].name == "caps"),
            creator_value,
        )
        market = cls(
            creators,
            value,
            shaped("of", "horizon", horizon, (), dtype),
            shaped("of", "platform_rates", platform_rates, shape, dtype),
            shaped("of", "temperature", temperature, (), dtype, least=0),
            shaped("of", "step", step, (), dtype),
            isinstance(creator_value, Nash) and mirror != "euclidean",
        )
        check_numbers(value, horizon=market.horizon, step=market.step)
        return market

    def init(self, prices: Any = None, *, confidence: Any = 0.0) -> State:
        """The state before anyone has arrived.

        Args:
            prices: (c,), a warm start such as `solve(market.offline(scores, budgets, share=...)).prices` of a sample
                of users. The default is Linear's rates, the prices that support an even spread under Nash, else 0.
            confidence: how much attention the prices are worth, at least 0, e.g. that of the sample: steps are then
                as small as if so much had arrived already. At 0 the first steps are large, and prices soon forgotten.

        Raises:
            UserError: for prices of another shape, or which the creator value does not admit, or less confidence
                than 0.
        """
        value, dtype = self.creator_value, self.horizon.dtype
        even = self.creators.exposure(jnp.full(self.creators.num_items, 1 / self.creators.num_items, dtype))
        default = value.start(even * self.horizon)
        start = default if prices is None else shaped("init", "prices", prices, default.shape, dtype)
        confidence = shaped("init", "confidence", confidence, (), dtype, least=0)
        check_start(value, start)
        sums = Sums.zero(self.creators.num_creators, dtype)
        return State(start, start, sums, sums, confidence, jnp.zeros((), jnp.int32))

    def arrive(self, state: State, scores: Any, budgets: Any = 1.0, impact: Any = None) -> tuple[State, Served]:
        """Serves a batch of users at the state's prices, then moves prices. Jitted; it can be scanned and batched.

        Derivatives are those of the steps as they were taken (forward mode only, under caps), not of any optimum.

        Args:
            state: from `init`, a step before, or `restore_state`.
            scores: (b, n), satisfaction per unit of attention; -inf excludes an item.
            budgets: scalar or (b,), attention that each user spends, at least 0. Rows of 0 are padding.
            impact: None or (b, n), exposure per unit of attention, at least 0.

        Returns:
            The next state, and what the batch was given. Users without any admissible item keep their attention.

        Raises:
            UserError: for shapes that don't fit and, where values are known, NaN or +inf scores, or negative or
                infinite budgets or impact.

        >>> market = OnlineMarket.of(Creators.one_per_item(2), Nash(jnp.ones(2)), horizon=4)
        >>> state, served = market.arrive(market.init(), jnp.array([[1.0, 0.0]]))
        >>> bool(served.exposure[0] > 0.7), bool(state.prices[0] < state.prices[1])
        (True, True)
        """
        dtype, items = self.horizon.dtype, self.creators.num_items
        scores = jnp.asarray(scores, dtype)
        if scores.ndim != 2 or scores.shape[1] != items:
            refuse("arrive", f"scores of shape (users, {items})", f"shape {scores.shape}", "Give one row per user.")
        rates = self.platform_rates
        if (state.prices.shape, state.prices.dtype) != (rates.shape, dtype):
            refuse(
                "arrive",
                f"a state with prices of shape {rates.shape} and type {dtype}",
                f"shape {state.prices.shape} and type {state.prices.dtype}",
                "Use the state of this market; `jax.vmap` over several markets.",
            )
        budgets = shaped("arrive", "budgets", budgets, scores.shape[:1], dtype, least=0)
        if impact is not None:
            impact = shaped("arrive", "impact", impact, scores.shape, dtype, least=0)
        if known(scores) and bool((jnp.isnan(scores) | (scores == jnp.inf)).any()):
            refuse("arrive", "scores that are finite, or -inf to exclude an item", "NaN or inf", "Mend the scores.")
        return _arrive(self, state, scores, budgets, impact)

    def expecting(self, horizon: Any) -> "OnlineMarket":
        """The same market with another horizon; states go on with it, and Nash prices move to the new level by steps.

        Raises:
            UserError: for a horizon that is not above 0.
        """
        horizon = shaped("expecting", "horizon", horizon, (), self.horizon.dtype)
        check_numbers(self.creator_value, horizon=horizon)
        return dataclasses.replace(self, horizon=horizon)

    def offline(self, scores: Any, budgets: Any = 1.0, impact: Any = None, *, share: Any = 1.0) -> Market:
        """The same market with all of its users known: for `solve`, be it a sample or hindsight.

        Args:
            scores: (u, n).
            budgets: scalar or (u,).
            impact: None or (u, n).
            share: what part of the horizon these users are. Creators' weights, floors and caps are scaled by it, so
                that a sample has the prices of the whole. Leave it at 1 for hindsight.
        """
        value = self.creator_value
        if not isinstance(value, Linear):
            value = jax.tree.map(lambda leaf: leaf * share, value)
        return Market.of(
            jnp.asarray(scores, self.horizon.dtype),
            self.creators,
            value,
            budgets=budgets,
            platform_rates=self.platform_rates,
            temperature=self.temperature,
            regularizer=Entropy(),
            impact=impact,
        )

    def certificate(self, state: State) -> Certificate:
        """What was reached so far, and a bound on what anyone could have reached with the same users in hindsight.

        The bound is sound up to rounding for any order of users and any steps, and takes no second look at users; how
        is said at the head of `attnjax.allocation.online.certificate`. It counts creators' values over the whole
        horizon: before its end it compares with an optimum that meets the same floors from the users so far.
        """
        return certify(self.creator_value, self.temperature, state)


register(OnlineMarket, static=("multiplicative",))


@jax.jit
def _arrive(market: OnlineMarket, state: State, scores: Array, budgets: Array, impact: Any) -> tuple[State, Served]:
    creators, value, prices, so_far = market.creators, market.creator_value, state.prices, state.sums
    temperature, arrived = market.temperature, jnp.sum(budgets)
    z = worth(scores, creators.on_items(prices + market.platform_rates), impact)
    intended = respond(z, budgets, temperature)
    rows = creators.rows(moved(intended, impact))
    intended_exposure = jnp.sum(rows, axis=0)
    attention, unspent = intended, jnp.where((scores > -jnp.inf).any(axis=1), 0, budgets)
    spare = margin(value.caps) if isinstance(value, Box) else jnp.zeros_like(prices)
    if isinstance(value, Box):
        room = value.caps - so_far.exposure
        attention, unspent = within_caps(creators, room, spare, z, budgets, impact, temperature)
    exposure = creators.exposure(jnp.sum(moved(attention, impact), axis=0))

    # Prices learn from what users would have taken: a closed creator's price tells how wanted it still is.
    wanted = asked(value, so_far, prices, intended_exposure, arrived, market.horizon)
    gradient = excess(wanted, prices, intended_exposure)
    weight = leverage(creators, budgets, impact)
    share = weight / jnp.where(so_far.weight + weight > 0, so_far.weight + weight, 1)
    away = prices - state.mean_prices
    parts = Sums(
        arrived=arrived,
        unspent=jnp.sum(unspent),
        exposure=exposure,
        satisfaction=satisfaction(attention, scores),
        variety=variety(attention, temperature),
        platform=jnp.sum(market.platform_rates * exposure),
        intended=intended_exposure,
        intended_value=satisfaction(intended, scores)
        + variety(intended, temperature)
        + jnp.sum(market.platform_rates * intended_exposure),
        moments=moments(rows, wanted, gradient),
        scale=price_scale(scores, budgets, impact, temperature),
        weight=weight,
        scatter=so_far.weight * share * jnp.sum(away**2),
    )
    sums, lost = compensated.add(so_far, state.lost, parts)
    eta = step_sizes(sums, market.step, state.confidence)
    if market.multiplicative:
        following = multiplied(prices, eta, gradient)
    elif isinstance(value, Linear):
        following = prices
    else:
        scale = sums.scale / jnp.where(sums.arrived > 0, sums.arrived, 1)
        eta = eta * jnp.where(scale > 0, scale, 1)
        following = shifted(value, prices, eta, gradient, intended_exposure, wanted)
    closed = value.caps - sums.exposure <= CLOSED * spare if isinstance(value, Box) else jnp.zeros_like(prices, bool)
    mean_prices, arrivals = state.mean_prices + share * away, state.arrivals + 1
    served = Served(attention, exposure, prices, unspent, closed)
    return State(following, mean_prices, sums, lost, state.confidence, arrivals), served
