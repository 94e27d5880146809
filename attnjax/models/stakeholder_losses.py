"""What the three attention models are trained on: attention that was seen, and what each party gets out.

    seen              Fenchel-Young losses of users, creators and platform: predict attention, then solve the market
    decision-focused  the parties' losses at the solution of the predicted market: the solver is inside the loss

Both solve the same market under the same constraints, so they can be compared (*Metaverse* §3.2 steps 3 and 4;
Mandi et al. 2024, Decision-focused learning). All are pure functions, to be minimised.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation import Market, exposure_of, solve, welfare_of
from attnjax.errors import fail
from attnjax.models.stakeholders import Drawn, Steering
from attnjax.objectives import fenchel_young_loss


class Losses(NamedTuple):
    """One loss per party, scalars.

    Attributes:
        users: of the users.
        creators: of the creators.
        platform: of the platform.
    """

    users: Float[Array, ""]
    creators: Float[Array, ""]
    platform: Float[Array, ""]

    def weighted(self, weights: "Losses | tuple[Any, Any, Any]" = (1.0, 1.0, 1.0)) -> Float[Array, ""]:
        """Their sum with weights."""
        return sum((w * loss for w, loss in zip(weights, self, strict=True)), start=jnp.zeros_like(self.users))


class Seen(NamedTuple):
    """Attention that was observed.

    Attributes:
        users: (u, n), of each user over items; each row sums to the user's budget.
        creators: (c,), the shares of it that creators drew; sums to 1.
        platform: (c,), the shares of what the platform promoted that creators had; sums to 1. None where no log says.
    """

    users: Float[Array, "u n"]
    creators: Float[Array, " c"]
    platform: Float[Array, " c"] | None = None


def seen_losses(market: Market, drawn: Drawn, steering: Steering, seen: Seen) -> Losses:
    """How far each party's predicted attention is from what was seen: Fenchel-Young losses, 0 where it is that.

    Users choose at the scores with what creators draw and what the platform pays, as in `best_response`; creators are
    chosen among by `log_demand`; what the platform promotes by its prices. Floors and slots have no part in it: they
    bind attention, they don't predict it.

    Args:
        market: from `join`, with temperature above 0.
        drawn: from `CreatorAttention`.
        steering: from `PlatformAttention`.
        seen: the observations.

    Returns:
        Losses: of users the mean, in units of the scores times attention.

    Raises:
        UserError: for a market of slates, whose users have no attention to predict but the extreme.

    The gradient in the users' scores is predicted less observed attention, over u.
    """
    if market.position_bias is not None:
        fail(
            "seen_losses",
            expected="a market without slates",
            got=f"one with {market.position_bias.shape[0]} slots",
            advice="Join with slot_weights=None to learn from attention, with slots to decide.",
        )
    offered = market.scores + market.creators.on_items(market.platform_rates)[None, :]

    def user_loss(scores: Array, attention: Array, budget: Array) -> Array:
        return fenchel_young_loss(
            scores, attention, budget, regularizer=market.regularizer, temperature=market.temperature
        )

    users = jnp.mean(jax.vmap(user_loss)(offered, seen.users, market.budgets))
    platform = jnp.zeros_like(users)
    if seen.platform is not None:
        platform = fenchel_young_loss(steering.prices, seen.platform)
    return Losses(users, fenchel_young_loss(drawn.log_demand, seen.creators), platform)


def stakeholder_losses(market: Market, attention: Float[Array, "u n"]) -> Losses:
    """What each party loses under an allocation, per unit of all attention.

    Users: satisfaction and variety, negative. Creators: exposure missing from their floors if they have any, else the
    negative of what exposure is worth to them. Platform: its income, negative.

    Args:
        market: the parties' true interests.
        attention: (u, n).

    Returns:
        Losses; differentiable in the attention and in the market's numbers.
    """
    parts = welfare_of(market, attention)
    total = jnp.sum(market.attention_budgets)
    floors = getattr(market.creator_value, "floors", None)
    missing = 0 if floors is None else jnp.maximum(floors - exposure_of(market, attention), 0)
    creators = -parts.creators if floors is None else jnp.sum(missing)
    return Losses(-(parts.satisfaction + parts.variety) / total, creators / total, -parts.platform / total)


def decide(market: Market, tol: float = 1e-4) -> Float[Array, "u n"]:
    """The exact solution's attention (u, n), by Newton's method, whose derivative is the implicit function theorem's.

    Under jit and vmap too. What is not certified to `tol` is returned all the same: where that matters, call
    `attnjax.allocation.solve` and look at `converged`.
    """
    attention = solve(market, tol, method="newton").attention
    assert attention is not None
    return attention


def two_stage_loss(
    market: Market, drawn: Drawn, steering: Steering, seen: Seen, *, weights: Any = (1.0, 1.0, 1.0)
) -> Float[Array, ""]:
    """The first of two stages: `seen_losses`, weighted. The second is `decide` on what was learned, once."""
    return seen_losses(market, drawn, steering, seen).weighted(weights)


def decision_focused_loss(
    predicted: Market, truth: Market, *, weights: Any = (1.0, 1.0, 1.0), tol: float = 1e-4
) -> Float[Array, ""]:
    """What the parties lose, by their true interests, when the predicted market is decided: one number to train on.

        loss(prediction) = weighted losses of the truth at a*(prediction),    a* = the market's exact solution

    The gradient passes through a* by implicit differentiation; its error is that of the solution, so ask for a `tol`
    well below the differences that matter. Where users have no preference for variety a* jumps and the gradient is that
    of the smoothed problem (see `solve`). With the truth in place of the prediction the loss is as small as it can be,
    where weights are 1 and floors are the predicted ones.

    Args:
        predicted: from `join`; the constraints under which it is decided are its own.
        truth: the same users, items and creators with true scores, rates and creator values.
        weights: of users, creators and platform.
        tol: the relative gap to which the market is solved.

    Returns:
        A scalar, per unit of all attention.

    Raises:
        UserError: if the markets differ in shape, and as `solve` does.
    """
    if predicted.scores.shape != truth.scores.shape:
        fail(
            "decision_focused_loss",
            expected=f"a predicted market of the true one's shape {truth.scores.shape}",
            got=f"{predicted.scores.shape}",
            advice="Use the same users and items in both.",
        )
    return stakeholder_losses(truth, decide(predicted, tol)).weighted(weights)
