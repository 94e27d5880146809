"""Surrogates of a policy gradient: one first derivative, and three second ones.

With l_t = log pi(a_t | s_t), L_t = l_1 + ... + l_t, an advantage A_t, and box(x) = exp(x - stop_gradient(x)), each is
a sum over steps whose gradient is that of REINFORCE, sum_t A_t grad l_t. A step of adaptation is that gradient, so a
meta-gradient differentiates it again, and there they differ:

| | term | second derivative, with g = grad l and H = grad^2 l |
|---|---|---|
| `naive` | l_t A_t | H_t A_t |
| `lvc` | box(l_t) A_t | (H_t + g_t g_t') A_t |
| `dice` | (box(L_t) - box(L_{t-1})) A_t | (H_t + g_t g_t' + g_t G' + G g_t') A_t,  G = grad L_{t-1} |

The expectation of the last is the Hessian of the expected return: the draw of the trajectory moves with the parameters,
and DiCE has the terms of that. `lvc` leaves out those across steps, for less variance; `naive` leaves out all, which is
what differentiating a REINFORCE loss twice does, and is zero where log-probabilities are linear in the parameters. Any
baseline in A_t that does not depend on a_t changes no expectation, of either order.

Source: Foerster et al. (2018), DiCE; Farquhar, Whiteson and Foerster (2019), Loaded DiCE, for advantages; Rothfuss,
Lee, Clavera, Asfour and Abbeel (2019), ProMP, for the low-variance curvature.
"""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail

Surrogate = Literal["dice", "lvc", "naive"]
SURROGATES: tuple[str, ...] = get_args(Surrogate)
"""The three."""

Episodes = Float[Array, "n t"]
Terms = Callable[[Episodes, Episodes], Episodes]


def box(x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The magic box of DiCE: 1 everywhere, with the derivatives of exp, to any order.

    >>> float(box(jnp.array(-3.0))), float(jax.grad(box)(-3.0)), float(jax.grad(jax.grad(box))(-3.0))
    (1.0, 1.0, 1.0)
    """
    return jnp.exp(x - jax.lax.stop_gradient(x))


def _naive(log_prob: Episodes, advantage: Episodes) -> Episodes:
    return log_prob * advantage


def _lvc(log_prob: Episodes, advantage: Episodes) -> Episodes:
    return box(log_prob) * advantage


def _dice(log_prob: Episodes, advantage: Episodes) -> Episodes:
    through = jnp.cumsum(log_prob, axis=1)
    return (box(through) - box(through - log_prob)) * advantage


_TERMS: dict[str, Terms] = {"dice": _dice, "lvc": _lvc, "naive": _naive}


def policy_gradient_loss(
    log_prob: Episodes, advantage: Episodes, alive: Bool[Array, "n t"], surrogate: Surrogate = "dice"
) -> Float[Array, ""]:
    """Minus the surrogate, summed over the steps of an episode and averaged over episodes.

    Its gradient is an estimate of minus that of the expected return, and so a rate means the same whatever the horizon;
    where a paper averages over steps, its rate is the horizon times larger. Its *value* means nothing.

    Args:
        log_prob: (n, t), l of the present parameters, one episode a row.
        advantage: (n, t), A; no derivative passes through it. To be exact for a discounted return from the start, A_t
            needs a factor d^t, which practice leaves out.
        alive: (n, t), false for padding.
        surrogate: which.

    Raises:
        UserError: for another surrogate, or shapes that differ.

    >>> advantage, alive = jnp.array([[2.0, 1.0]]), jnp.ones((1, 2), bool)
    >>> def loss(theta, surrogate):  # l_t = theta at both steps
    ...     return policy_gradient_loss(jnp.full((1, 2), theta), advantage, alive, surrogate)
    >>> [float(jax.grad(loss)(0.5, name)) for name in SURROGATES]
    [-3.0, -3.0, -3.0]
    >>> [float(jax.grad(jax.grad(loss))(0.5, name)) for name in SURROGATES]
    [-5.0, -3.0, 0.0]
    """
    if surrogate not in SURROGATES:
        fail(
            "policy_gradient_loss",
            expected=f"surrogate to be one of {', '.join(SURROGATES)}",
            got=repr(surrogate),
            advice="'dice' is the unbiased one.",
        )
    shapes = [jnp.shape(part) for part in (log_prob, advantage, alive)]
    if len(shapes[0]) != 2 or len(set(shapes)) != 1:
        fail(
            "policy_gradient_loss",
            expected="log_prob, advantage and alive of one shape (episodes, steps)",
            got=f"shapes {shapes}",
            advice="One episode a row; many tasks go through jax.vmap.",
        )
    log_prob = jnp.where(alive, log_prob, 0)
    advantage = jnp.where(alive, jax.lax.stop_gradient(advantage), 0)
    return -jnp.sum(_TERMS[surrogate](log_prob, advantage)) / shapes[0][0]


def linear_baseline(
    observation: Float[Array, "n t o"], returns: Episodes, alive: Bool[Array, "n t"], *, ridge: float = 1e-5
) -> Episodes:
    """Returns as a linear function of what was seen and of the time, fitted to the same episodes by least squares.

    Features are the observation, its squares (both clipped to 10), s, s^2, s^3 with s = t / 100, and 1. Being fitted
    to the episodes that it is subtracted from, it biases the gradient by the order of features / steps.

    Args:
        observation: (n, t, o).
        returns: (n, t), what it predicts.
        alive: (n, t), false for padding.
        ridge: added to the diagonal of the normal equations.

    Returns:
        (n, t), 0 for padding.

    Source: Duan et al. (2016), Benchmarking deep reinforcement learning; used by Finn et al. (2017).

    >>> returns = jnp.array([[3.0, 2.0, 1.0]])
    >>> linear_baseline(jnp.zeros((1, 3, 1)), returns, jnp.ones((1, 3), bool)).round(1).tolist()
    [[3.0, 2.0, 1.0]]
    """
    rows, steps = returns.shape
    seen = jnp.clip(observation.reshape(rows, steps, -1), -10, 10)
    time = jnp.arange(steps, dtype=seen.dtype)[:, None] / 100
    clock = jnp.concatenate([time, time**2, time**3, jnp.ones_like(time)], axis=1)
    features = jnp.concatenate([seen, seen**2, jnp.broadcast_to(clock, (rows, *clock.shape))], axis=2)
    features = jnp.where(alive[..., None], features, 0).reshape(rows * steps, -1)
    gram = features.T @ features + ridge * jnp.eye(features.shape[1], dtype=features.dtype)
    weights = jnp.linalg.solve(gram, features.T @ jnp.where(alive, returns, 0).reshape(-1))
    return (features @ weights).reshape(rows, steps)
