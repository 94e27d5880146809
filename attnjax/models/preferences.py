"""One network for all weightings of the stakeholders: the weights are an input, the allocation's scores come out.

    score_ui(w) = <user tower(x_u, w), item tower(y_i, w)> / sqrt(d) + b_i(w)

In each tower the weighting scales and shifts the hidden layer (feature-wise modulation). Trained once on weightings
drawn at random (`attnjax.pareto.preference_loss`), it answers for any: `attnjax.allocation.allocate` makes attention of
the scores.

Sources: *Metaverse* §3.2 step 3 (several objectives) and §9; modulation: Perez et al. (2018), FiLM; weights as input:
Dosovitskiy and Djolonga (2020), You only train once.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail


class PreferenceScores(nn.Module):
    """Users, items and a weighting of m parties -> the scores (u, n) to allocate attention by.

    Untrained, all weightings give the same scores. Permuting users or items permutes rows or columns.

    Attributes:
        features: d, the width of the towers.

    >>> import jax
    >>> model = PreferenceScores(features=4)
    >>> users, items, weights = jnp.ones((3, 2)), jnp.ones((5, 6)), jnp.array([0.2, 0.3, 0.5])
    >>> scores = model.apply(model.init(jax.random.key(0), users, items, weights), users, items, weights)
    >>> scores.shape
    (3, 5)
    """

    features: int = 32

    @nn.compact
    def __call__(
        self, users: Float[Array, "u f"], items: Float[Array, "n g"], weights: Float[Array, " m"]
    ) -> Float[Array, "u n"]:
        """The scores for one weighting; `jax.vmap` for many.

        Args:
            users: (u, f), finite numbers about each user, of order 1.
            items: (n, g), about each item.
            weights: (m,), of the parties, on the simplex.

        Raises:
            UserError: for users or items that are not a matrix, or weights that are not a vector.
        """
        if users.ndim != 2 or items.ndim != 2 or weights.ndim != 1:
            fail(
                "PreferenceScores",
                expected="users (u, f), items (n, g) and weights (m,)",
                got=f"shapes {users.shape}, {items.shape} and {weights.shape}",
                advice="Use jax.vmap for many weightings.",
            )
        context = nn.gelu(nn.Dense(self.features, name="context")(weights))

        def tower(inputs: Array, name: str) -> Array:
            hidden = nn.Dense(self.features, name=f"{name}_hidden")(inputs)
            zeros = nn.initializers.zeros_init()
            change = nn.Dense(2 * self.features, kernel_init=zeros, name=f"{name}_change")(context)
            scale, shift = jnp.split(change, 2)
            return nn.gelu(hidden * (1 + scale)[None] + shift[None])

        user = nn.Dense(self.features, name="users")(tower(users, "user"))
        item = tower(items, "item")
        bias = nn.Dense(1, name="bias")(item)[:, 0]
        personal = user @ nn.Dense(self.features, name="items")(item).T
        return personal / jnp.sqrt(self.features).astype(personal.dtype) + bias[None]
