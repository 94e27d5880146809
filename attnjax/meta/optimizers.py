"""Optimisers for inside an inner loop: learned rates, and Adam with a derivative everywhere.

Both are optax transformations; any other of optax's will do, and any pair of `init` and `update`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from attnjax.errors import fail
from attnjax.meta.leaves import Adapt, chosen, halve

Tree = Any


def adam(rate: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> optax.GradientTransformation:
    """Adam that can be differentiated where a gradient has always been zero.

    Adam divides by sqrt(v) + eps, and the square root has no derivative at v = 0: a unit that is dead, or a feature
    that is zero throughout the support, turns the whole meta-gradient into NaN. Here it is sqrt(v + 1e-30): the
    derivative is finite everywhere, and no update changes by more than 1e-7 of itself (at this eps).

    Args:
        rate: a number or an array, traced or not.
        b1: decay of the mean of gradients.
        b2: decay of the mean of their squares.
        eps: added to the root.

    Source: Kingma and Ba (2015), Adam.

    >>> def after_one_step(optimizer, gradient):
    ...     return optimizer.update(gradient, optimizer.init(gradient))[0]
    >>> float(jax.grad(lambda g: after_one_step(optax.adam(0.1), g))(0.0))
    nan
    >>> bool(jnp.isfinite(jax.grad(lambda g: after_one_step(adam(0.1), g))(0.0)))
    True
    """
    return optax.adam(rate, b1, b2, eps, eps_root=1e-30)


def learned_rates(log_rates: Tree) -> optax.GradientTransformation:
    """Gradient descent with a rate per leaf or per parameter: update = -exp(log_rates) g.

    As `inner_loop`'s optimiser, `learned_rates` itself is the function of eta.

    Args:
        log_rates: a tree with the structure of the leaves that adapt, each a scalar or of its leaf's shape; see
            `log_rates`.

    >>> optimizer = learned_rates({"w": jnp.log(0.5)})
    >>> update, _ = optimizer.update({"w": jnp.array([1.0, 2.0])}, optimizer.init(None))
    >>> update["w"].tolist()
    [-0.5, -1.0]
    """
    return optax.stateless(
        lambda gradient, _: jax.tree.map(lambda g, log_rate: -jnp.exp(log_rate) * g, gradient, log_rates)
    )


def log_rates(theta: Tree, rate: float, *, per: str = "leaf", adapt: Adapt = None) -> Tree:
    """The logarithms of equal rates, to start `learned_rates` from.

    Args:
        theta: the parameters.
        rate: the rate of all, positive.
        per: `"leaf"` for one rate per array, `"parameter"` for one per entry.
        adapt: which leaves adapt, as in `inner_loop`; the others have no rate.

    Returns:
        A tree like theta, with `None` where a leaf does not adapt.

    Raises:
        UserError: for a rate that is not positive, or another `per`.

    >>> log_rates({"body": jnp.ones(3), "head": jnp.ones(2)}, 1.0, adapt="head")
    {'body': None, 'head': Array(0., dtype=float32)}
    """
    if not rate > 0:
        fail("log_rates", expected="a rate above 0", got=str(rate), advice="Rates are learned as logarithms.")
    if per not in ("leaf", "parameter"):
        fail("log_rates", expected="per to be 'leaf' or 'parameter'", got=repr(per), advice="'leaf' is the default.")
    inside, _ = halve(theta, chosen(theta, adapt))
    return jax.tree.map(
        lambda leaf: jnp.log(jnp.full(jnp.shape(leaf) if per == "parameter" else (), rate, jnp.asarray(leaf).dtype)),
        inside,
    )
