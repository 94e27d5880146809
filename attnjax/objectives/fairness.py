"""Fairness between users and between groups: envy, dominance over uniform exposure, and parity.

Each measure is 0 where it is fair and grows with what is missing, and so is a loss to add. Amounts are `exposure`,
satisfaction or value of one user, creator or pair.

Source: envy: Foley (1967); Saito and Joachims (2022), Fair ranking as fair division. Exposure parity: Singh and
Joachims (2018), Fairness of exposure in rankings. Equal opportunity: Hardt, Price and Srebro (2016).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail

Pairs = Float[Array, "u c"]


def creator_envy(value: Pairs, exposure: Pairs) -> Float[Array, "c c"]:
    """How much more creator j would gain from creator k's exposure than from its own.

        envy_jk = max(0, sum_u r_uj (e_uk - e_uj))

    No creator envies another where the allocation maximises Nash welfare over doubly stochastic rankings. The mean or
    the maximum of it is the loss.

    Args:
        value: (u, c), r_uj >= 0: what a unit of exposure to user u is worth to creator j.
        exposure: (u, c), e_uj, as from `exposure_to`.

    Returns:
        (c, c), in units of value, 0 on the diagonal.

    Raises:
        UserError: if the shapes differ.

    The gradient is that of the hinge: it pushes exposure from the envied to who envies, and is 0 where no one does.

    >>> creator_envy(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 1.0]])).tolist()
    [[0.0, 0.0], [4.0, 0.0]]
    """
    if value.shape != exposure.shape or value.ndim != 2:
        fail(
            "creator_envy",
            expected="value and exposure (users, creators)",
            got=f"shapes {value.shape} and {exposure.shape}",
            advice="One row per user in both.",
        )
    would_gain = jnp.einsum("uj,uk->jk", value, exposure)
    own = jnp.diagonal(would_gain)
    return jnp.maximum(would_gain - own[:, None], 0)


def user_envy(scores: Float[Array, "u n"], attention: Float[Array, "u n"]) -> Float[Array, "u u"]:
    """How much more user u would gain from user v's attention than from their own.

        envy_uv = max(0, sum_i s_ui (a_vi - a_ui))

    Where every user has the same budget and items are not scarce, the own best allocation leaves no envy; creators'
    floors and fairness to creators can bring it about. It is `creator_envy` with the sides exchanged.

    Args:
        scores: (u, n), satisfaction per unit of attention.
        attention: (u, n).

    Returns:
        (u, u), in units of the scores times attention.

    >>> user_envy(jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([[0.0, 1.0], [0.0, 1.0]])).max().tolist()
    0.0
    """
    return creator_envy(scores.T, attention.T)


def below_uniform(value: Pairs, exposure: Pairs, budgets: Float[Array, " u"]) -> Float[Array, " c"]:
    """What each creator misses of what uniform attention would give it; 0 for all is dominance over uniform.

        max(0, sum_u r_uj (R_u / c - e_uj))

    Args:
        value: (u, c), r_uj.
        exposure: (u, c).
        budgets: (u,), the attention each user spends, of which uniform attention gives every creator R_u / c.

    Returns:
        (c,), in units of value.

    Raises:
        UserError: if the shapes don't fit.

    The gradient in e_uj is -r_uj for creators below, 0 for the others.

    Source: Saito and Joachims (2022), dominance over uniform ranking.

    >>> below_uniform(jnp.ones((1, 2)), jnp.array([[3.0, 1.0]]), jnp.array([4.0])).tolist()
    [0.0, 1.0]
    """
    if value.shape != exposure.shape or budgets.shape != value.shape[:1]:
        fail(
            "below_uniform",
            expected="value and exposure (users, creators), and a budget per user",
            got=f"shapes {value.shape}, {exposure.shape} and {budgets.shape}",
            advice="One row per user in all three.",
        )
    even = jnp.einsum("uj,u->j", value, budgets / value.shape[1])
    return jnp.maximum(even - jnp.sum(value * exposure, axis=0), 0)


def group_means(amounts: Float[Array, " n"], group: Int[Array, " n"], groups: int, counted: Any = None) -> Array:
    """The mean amount of each group's members that count: (groups,), NaN for a group of whom none does.

    Args:
        amounts: (n,).
        group: (n,), the group of each, from 0.
        groups: how many there are.
        counted: (n,), which members count, or how much, or None for all alike.

    Raises:
        UserError: if the shapes differ.

    >>> group_means(jnp.array([1.0, 3.0, 5.0]), jnp.array([0, 0, 1]), 2).tolist()
    [2.0, 5.0]
    """
    counted = jnp.ones_like(amounts) if counted is None else jnp.asarray(counted).astype(amounts.dtype)
    if not amounts.shape == group.shape == counted.shape:
        fail(
            "group_means",
            expected="one group (and count) per amount",
            got=f"shapes {amounts.shape}, {group.shape} and {counted.shape}",
            advice="Use jax.vmap for a batch.",
        )
    return jax.ops.segment_sum(amounts * counted, group, groups) / jax.ops.segment_sum(counted, group, groups)


def _spread(means: Float[Array, " g"]) -> Float[Array, ""]:
    """The largest difference between two groups; groups without members are left out."""
    there = ~jnp.isnan(means)
    clean = jnp.where(there, means, 0)
    gap = jnp.max(jnp.where(there, clean, -jnp.inf)) - jnp.min(jnp.where(there, clean, jnp.inf))
    return jnp.where(there.any(), gap, 0)


def exposure_disparity(
    exposure: Float[Array, " c"], merit: Float[Array, " c"], group: Int[Array, " c"], groups: int
) -> Float[Array, ""]:
    """How far groups of creators are from exposure in proportion to their merit.

        max over groups - min over groups of (sum e / sum m), relative to (sum e / sum m) of all

    Args:
        exposure: (c,), non-negative.
        merit: (c,), non-negative: relevance, or 1 for parity of the mean exposure.
        group: (c,), from 0.
        groups: how many.

    Returns:
        A scalar, at least 0, without unit; groups without merit are left out.

    Raises:
        UserError: if the shapes differ.

    The gradient concerns the groups at the two ends only.

    >>> float(exposure_disparity(jnp.array([1.0, 1.0, 4.0]), jnp.ones(3), jnp.array([0, 0, 1]), 2))
    1.5
    """
    safe = jnp.where(merit > 0, merit, 1)
    means = group_means(jnp.where(merit > 0, exposure / safe, 0), group, groups, merit)
    some = jnp.any(merit > 0)
    overall = jnp.sum(jnp.where(merit > 0, exposure, 0)) / jnp.where(some, jnp.sum(merit), 1)
    return jnp.where(overall > 0, _spread(means) / jnp.where(overall > 0, overall, 1), 0)


def demographic_disparity(satisfaction: Float[Array, " u"], group: Int[Array, " u"], groups: int) -> Float[Array, ""]:
    """The largest difference between groups' mean satisfaction: 0 is demographic parity.

    Args:
        satisfaction: (u,), e.g. `user_satisfaction`.
        group: (u,), from 0.
        groups: how many; those without members are left out.

    Returns:
        A scalar, at least 0, in the unit of satisfaction.

    Raises:
        UserError: if the shapes differ.

    The gradient raises the worst group's members and lowers the best's, each by 1 over the group's size.

    >>> float(demographic_disparity(jnp.array([1.0, 3.0, 5.0]), jnp.array([0, 0, 1]), 2))
    3.0
    """
    return _spread(group_means(satisfaction, group, groups))


def opportunity_disparity(
    satisfaction: Float[Array, " u"], group: Int[Array, " u"], groups: int, eligible: Bool[Array, " u"]
) -> Float[Array, ""]:
    """The same among those who can be satisfied: 0 is equal opportunity.

    Args:
        satisfaction: (u,).
        group: (u,), from 0.
        groups: how many; those without eligible members are left out.
        eligible: (u,), e.g. users for whom there is something relevant.

    Returns:
        A scalar, at least 0, in the unit of satisfaction.

    Raises:
        UserError: if the shapes differ.

    The gradient is that of `demographic_disparity` for the eligible, 0 for the others.

    >>> sees = jnp.array([True, False, True])
    >>> float(opportunity_disparity(jnp.array([1.0, 3.0, 5.0]), jnp.array([0, 0, 1]), 2, sees))
    4.0
    """
    return _spread(group_means(satisfaction, group, groups, eligible))
