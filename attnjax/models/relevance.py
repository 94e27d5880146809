"""Relevance: what a unit of a user's attention to an item is worth, learned from ratings.

    rating(u, i) ~ mu + b_u + b_i + <p_u, q_i>

User and item terms, and a few factors for what is personal beyond them: biased matrix factorisation (Koren, Bell and
Volinsky 2009, Matrix factorization techniques for recommender systems). It supplies the satisfaction s_ui of
*Metaverse* §4.2, which the document takes as given.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

STARS = (1.0, 5.0)
"""The scale of the ratings."""


class BiasedFactors(nn.Module):
    """Biased matrix factorisation.

    Attributes:
        num_users: how many users there are.
        num_items: how many items there are.
        num_factors: the length of p_u and q_i; 0 leaves the two bias terms.
        mean: mu, the mean of the training ratings, a constant of the model.
    """

    num_users: int
    num_items: int
    num_factors: int
    mean: float

    def setup(self) -> None:
        """Biases start at 0; factors small and random, for at 0 they would have no gradient."""
        small = nn.initializers.normal(0.1)
        self.user_bias = self.param("user_bias", nn.initializers.zeros_init(), (self.num_users,))
        self.item_bias = self.param("item_bias", nn.initializers.zeros_init(), (self.num_items,))
        self.user_factors = self.param("user_factors", small, (self.num_users, self.num_factors))
        self.item_factors = self.param("item_factors", small, (self.num_items, self.num_factors))

    def __call__(self, user: Int[Array, " b"], item: Int[Array, " b"]) -> Float[Array, " b"]:
        """Predicted ratings, in stars and unclipped, of b (user, item) pairs."""
        personal = jnp.sum(self.user_factors[user] * self.item_factors[item], axis=-1)
        return self.mean + self.user_bias[user] + self.item_bias[item] + personal

    def penalty(self, user: Int[Array, " b"], item: Int[Array, " b"]) -> Float[Array, " b"]:
        """The squared norm of the terms that each pair uses, so that the frequent are not shrunk more per rating."""
        biases = self.user_bias[user] ** 2 + self.item_bias[item] ** 2
        factors = jnp.sum(self.user_factors[user] ** 2 + self.item_factors[item] ** 2, axis=-1)
        return biases + factors

    def all_pairs(self) -> Float[Array, "u n"]:
        """Predicted ratings of every item for every user, (num_users, num_items), in stars and unclipped."""
        personal = self.user_factors @ self.item_factors.T
        return self.mean + self.user_bias[:, None] + self.item_bias[None, :] + personal


def _apply(model: BiasedFactors, params: Any, *inputs: Array, method: Any = None) -> Array:
    """The model as a function of its parameters, with the type that linen's `apply` leaves open."""
    output: Any = model.apply({"params": params}, *inputs, method=method)
    return output


def rating_loss(model: BiasedFactors, l2: float) -> Callable[[Any, Any], Float[Array, ""]]:
    """The training loss of a model: mean squared error in stars, plus `l2` times the penalty.

    Returns:
        `loss(params, batch)` with batch a dict of (b,) arrays user, item, rating.
    """

    def loss(params: Any, batch: Any) -> Float[Array, ""]:
        predicted = _apply(model, params, batch["user"], batch["item"])
        size = _apply(model, params, batch["user"], batch["item"], method=model.penalty)
        return jnp.mean((predicted - batch["rating"]) ** 2 + l2 * size)

    return loss


def rating_error(model: BiasedFactors) -> Callable[[Any, Any], Float[Array, ""]]:
    """The validation measure: root mean squared error in stars, predictions clipped to the scale.

    Returns:
        `error(params, batch)` with batch as for `rating_loss`.
    """

    def error(params: Any, batch: Any) -> Float[Array, ""]:
        predicted = jnp.clip(_apply(model, params, batch["user"], batch["item"]), *STARS)
        return jnp.sqrt(jnp.mean((predicted - batch["rating"]) ** 2))

    return error


def relevance(model: BiasedFactors, params: Any) -> Float[Array, "u n"]:
    """Satisfaction per unit of attention, (num_users, num_items) in [0, 1]: the clipped rating, rescaled.

    0 stands for the lowest rating of the scale and 1 for the highest. Where a prediction is clipped its gradient is 0.
    """
    low, high = STARS
    stars = _apply(model, params, method=model.all_pairs)
    return (jnp.clip(stars, low, high) - low) / (high - low)
