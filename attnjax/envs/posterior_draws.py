"""Draws from Beta and Dirichlet posteriors over flat priors, for whole arrays at once.

Gamma variables of shape a >= 1 by rejection (Marsaglia and Tsang 2000): with d = a - 1/3, x normal, u uniform and
v = (1 + x / sqrt(9 d))^3, the value d v is accepted if

    log u < x^2 / 2 + d (1 - v + log v),

which more than 95 % of proposals are. `jax.random.gamma` runs a loop with a key of its own for every entry; here one
loop proposes for all entries that are still open. Gamma variables over their sum are a Beta or Dirichlet draw.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gamma(key: Array, shape: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Independent draws from Gamma(a, 1), with no derivative in a.

    Args:
        key: all that is random.
        shape: a, each entry at least 1 (not checked: values can't be seen under `jit`).

    Returns:
        The draws, of the same shape and dtype.

    Source: Marsaglia and Tsang (2000), A simple method for generating gamma variables.

    >>> bool(jnp.all(gamma(jax.random.key(0), jnp.array([1.0, 50.0])) > 0))
    True
    """
    d = shape - 1 / 3
    tiny = jnp.finfo(shape.dtype).tiny

    def propose(carry: tuple) -> tuple:
        key, value, still_open = carry
        key, key_normal, key_uniform = jax.random.split(key, 3)
        x = jax.random.normal(key_normal, shape.shape, shape.dtype)
        v = (1 + x / jnp.sqrt(9 * d)) ** 3
        log_u = jnp.log(jax.random.uniform(key_uniform, shape.shape, shape.dtype, minval=tiny))
        fits = (v > 0) & (log_u < x * x / 2 + d * (1 - v + jnp.log(jnp.maximum(v, tiny))))
        return key, jnp.where(still_open & fits, d * v, value), still_open & ~fits

    start = (key, jnp.zeros_like(shape), jnp.ones(shape.shape, bool))
    return jax.lax.while_loop(lambda carry: jnp.any(carry[2]), propose, start)[1]


def beta(key: Array, a: Float[Array, "*n"], b: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Independent draws from Beta(a, b), for a and b of at least 1."""
    key_a, key_b = jax.random.split(key)
    up, down = gamma(key_a, a), gamma(key_b, b)
    return up / (up + down)


def dirichlet(key: Array, concentration: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Independent draws from Dirichlet distributions along the last axis, for concentrations of at least 1."""
    draws = gamma(key, concentration)
    return draws / jnp.sum(draws, axis=-1, keepdims=True)
