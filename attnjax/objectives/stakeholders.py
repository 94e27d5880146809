"""What users, creators and the platform get out of an allocation, each party by itself (*Metaverse* §3.1, §4.2).

    users       s_u = sum_i s_ui a_ui / R_u           satisfaction per unit of attention
    creators    phi_j(e_j),  e_j = sum_ui a_ui M_ij    revenue of exposure, linear or concave
    platform    sum_j p_j e_j - cost                   income net of what it pays

All are to be maximised; a loss is the negative. Attention is (u, n), users by items, in any unit of attention; exposure
has the same unit. `attnjax.allocation.welfare_of` gives the same parts of a `Market`, summed; here are the vectors
that fairness is about, with no market needed.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation import Creators, CreatorValue, Linear
from attnjax.errors import fail
from attnjax.objectives.virtual_shop import revenue_rate

Attention = Float[Array, "u n"]
Exposure = Float[Array, " c"]


def check_alike(where: str, **arrays: Array) -> None:
    """Raises `UserError` unless all arrays have the shape of the first."""
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        fail(where, expected=f"{' and '.join(shapes)} of one shape", got=str(shapes), advice="One entry for each.")


def user_satisfaction(attention: Attention, scores: Float[Array, "u n"]) -> Float[Array, " u"]:
    """Each user's satisfaction per unit of the attention they spend: the mean score of what they look at.

        s_u = sum_i s_ui a_ui / sum_i a_ui

    Range: that of the user's scores; 0 for a user who spends nothing. An item that a score of -inf excludes counts
    nothing while it has no attention.

    Args:
        attention: (u, n), non-negative.
        scores: (u, n), satisfaction per unit of attention.

    Returns:
        (u,), in the unit of the scores.

    Raises:
        UserError: if the shapes differ.

    The gradient in a_ui is (s_ui - s_u) / R_u: what more attention to i would do to the mean, so it is 0 along changes
    of the budget.

    Source: *Metaverse* §3.1, sum s a, per unit of attention so that users with little of it count as much.

    >>> user_satisfaction(jnp.array([[1.0, 3.0]]), jnp.array([[2.0, 4.0]])).tolist()
    [3.5]
    """
    check_alike("user_satisfaction", attention=attention, scores=scores)
    spent = jnp.sum(attention, axis=1)
    gained = jnp.sum(attention * jnp.where(jnp.isneginf(scores) & (attention == 0), 0, scores), axis=1)
    return jnp.where(spent > 0, gained / jnp.where(spent > 0, spent, 1), 0)


def exposure_to(attention: Attention, creators: Creators) -> Float[Array, "u c"]:
    """Each creator's exposure to each user, e_uj = sum_i a_ui M_ij; its column sums are the creators' exposure.

    The gradient is the creators' share of the item.

    Args:
        attention: (u, n).
        creators: who made what, of n items.

    Returns:
        (u, c), in the unit of the attention.

    Raises:
        UserError: if the creators are of another number of items.

    >>> exposure_to(jnp.array([[1.0, 3.0]]), Creators.one_per_item(2)).tolist()
    [[1.0, 3.0]]
    """
    if attention.shape[-1] != creators.num_items:
        fail(
            "exposure_to",
            expected=f"attention to the creators' {creators.num_items} items",
            got=f"shape {attention.shape}",
            advice="Columns are items; spread candidates out over all items first.",
        )
    return creators.rows(attention)


def creator_revenue(exposure: Exposure, value: CreatorValue) -> Exposure:
    """What each creator earns from exposure, phi_j(e_j).

    Args:
        exposure: (c,), in units of attention.
        value: `Linear(rates)` for b_j e_j as in *Metaverse* §4.2, `Nash` or `AlphaFair` for revenue that grows ever
            slower, or any other creator value but `MaxMin`, whose parts are no one's own.

    Returns:
        (c,), in the value's unit; -inf where it forbids the exposure.

    The gradient is the marginal revenue, which is the price that supports the exposure in a market.

    >>> creator_revenue(jnp.array([1.0, 4.0]), Linear(jnp.array([2.0, 0.5]))).tolist()
    [2.0, 2.0]
    """
    return value.value(exposure)


def shop_revenue(exposure: Exposure, income: Exposure) -> Exposure:
    """The creators' revenue in the virtual shop, b_j e_j at the rate b_j = p_j / (1 + b_j) (*Metaverse* §4.3).

    Args:
        exposure: (c,), e >= 0.
        income: (c,), p >= 0, the platform's income per unit of exposure.

    Returns:
        (c,), in money.

    Raises:
        UserError: if the shapes differ.

    The gradient in the exposure is the rate; in the income it is e / (1 + 2 b), through the fixed point.

    >>> shop_revenue(jnp.array([3.0, 1.0]), jnp.array([2.0, 6.0])).tolist()
    [3.0, 2.0]
    """
    check_alike("shop_revenue", exposure=exposure, income=income)
    return creator_revenue(exposure, Linear(revenue_rate(income)))


def platform_income(
    exposure: Exposure, rates: Exposure, *, paid: Exposure | None = None, serving_cost: Any = 0.0
) -> Float[Array, ""]:
    """The platform's income from exposure, less what it pays for it.

        sum_j p_j e_j - sum_j paid_j - k sum_j e_j

    Args:
        exposure: (c,), e >= 0.
        rates: (c,), p_j, income per unit of exposure.
        paid: (c,), what goes to each creator, e.g. `creator_revenue`; None for nothing.
        serving_cost: k, the cost of serving a unit of exposure.

    Returns:
        A scalar in money, negative where costs exceed income.

    Raises:
        UserError: if the shapes differ.

    The gradient in e_j is p_j - k, the margin, less what more exposure adds to the payment.

    Source: *Metaverse* §4.2, sum p_j b_uj; the document has no costs.

    >>> float(platform_income(jnp.array([2.0, 1.0]), jnp.array([3.0, 1.0]), paid=jnp.array([1.0, 1.0])))
    5.0
    """
    check_alike("platform_income", exposure=exposure, rates=rates, **({} if paid is None else {"paid": paid}))
    spent = 0.0 if paid is None else jnp.sum(paid)
    return jnp.sum((rates - serving_cost) * exposure) - spent


def attention_cost(attention: Attention, regularizer: Any) -> Float[Array, ""]:
    """What a regulariser charges for how attention is spread: the mean over users of Omega(a_u).

        Entropy         sum a log a         least for even attention       gradient log a + 1 (0 at a = 0)
        SquaredNorm     sum a^2 / 2         the L2 penalty                 gradient a
        Power, Tsallis  see there

    An L1 penalty on attention is its budget, and so no penalty at all; on parameters L1 and L2 are
    `attnjax.training.penalised`, and dropout is the models'.

    Args:
        attention: (u, n), non-negative.
        regularizer: of `attnjax.allocation`.

    Returns:
        A scalar, in the regulariser's unit.

    >>> from attnjax.allocation import SquaredNorm
    >>> float(attention_cost(jnp.array([[1.0, 1.0], [2.0, 0.0]]), SquaredNorm()))
    1.5
    """
    return jnp.mean(jnp.sum(jax.vmap(regularizer.value)(attention), axis=-1))
