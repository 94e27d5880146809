"""What an aggregator is: a pair of pure functions that make one direction of the gradients of m objectives.

    direction = sum_i w_i g_i,      w a function of the gradients' geometry alone (for all but `graddrop`)

Objectives are minimised, so the direction is one to go against: it takes the place of the gradient in any optimiser.
It does not conflict with an objective if <g_i, direction> >= 0.

What all aggregators make of odd input. All gradients zero: the direction is zero. An entry that is NaN or infinite: the
direction has NaN, in all its entries where weights depend on the gradients; never a finite direction that hides it
(`optax.apply_if_finite` around what follows in the chain then skips the step). Lengths from 1e-15 to 1e15, also within
one stack, are no difficulty.

Aggregators are not meant to be differentiated: a direction counts as a constant, as a gradient does in an optimiser.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.pareto.gradients import Geometry, combination, count_of, geometry_of

Tree = Any
State = Any


class Weighed(NamedTuple):
    """The weights of m gradients.

    Attributes:
        weights: (m,).
        residual: how far the weights are from the conditions that define them, relative; 0 for a formula.
    """

    weights: Float[Array, " m"]
    residual: Float[Array, ""]


class Combined(NamedTuple):
    """One direction made of m gradients.

    Attributes:
        direction: a tree like one gradient.
        weights: (m,), with direction = sum_i w_i g_i; None where an aggregator decides entry by entry.
        residual: see `Weighed`: the certificate of whatever was solved; NaN where a program's gradients hold one.
    """

    direction: Tree
    weights: Float[Array, " m"] | None
    residual: Float[Array, ""]


class Aggregator(NamedTuple):
    """A pair of pure functions, as in optax, and what lies between them where there is such a thing.

    Attributes:
        init: the number of objectives to the first state (keys, moving averages; often empty).
        combine: stacked gradients and state to `Combined` and the next state.
        weigh: `Geometry` and state to `Weighed` and the next state, or None where the geometry is not enough. With
            `streamed_geometry` it aggregates gradients that don't fit side by side.
    """

    init: Callable[[int], State]
    combine: Callable[[Tree, State], tuple[Combined, State]]
    weigh: Callable[[Geometry, State], tuple[Weighed, State]] | None


def by_geometry(
    name: str,
    weigh: Callable[[Geometry, State], tuple[Weighed, State]],
    init: Callable[[int], State] = lambda count: (),
    preference: Any = None,
) -> Aggregator:
    """An aggregator from its rule for weights.

    Args:
        name: of the aggregator, for messages.
        weigh: the rule.
        init: its first state; none by default.
        preference: the weights the rule was made with, whose number must be that of the objectives.
    """

    def combine(gradients: Tree, state: State) -> tuple[Combined, State]:
        check_count(name, preference, count_of(name, gradients))
        geometry = geometry_of(gradients)
        (weights, residual), state = weigh(geometry, state)
        broken = jnp.isnan(geometry.norms).any()
        weights, residual = (jnp.where(broken, jnp.nan, x) for x in (weights, residual))
        return Combined(combination(weights, gradients), weights, residual), state

    def start(count: int) -> State:
        check_count(name, preference, count)
        return init(count)

    return Aggregator(start, combine, weigh)


def without_geometry(
    name: str,
    choose: Callable[[int, State], tuple[Float[Array, " m"], State]],
    init: Callable[[int], State] = lambda count: (),
    preference: Any = None,
) -> Aggregator:
    """An aggregator whose weights don't depend on the gradients, so that nothing of them is computed.

    Args:
        name: of the aggregator, for messages.
        choose: the number of objectives and the state to the weights and the next state.
        init: its first state; none by default.
        preference: as in `by_geometry`.
    """

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        weights, state = choose(geometry.norms.size, state)
        return Weighed(weights.astype(geometry.norms.dtype), jnp.zeros((), geometry.norms.dtype)), state

    def combine(gradients: Tree, state: State) -> tuple[Combined, State]:
        count = count_of(name, gradients)
        check_count(name, preference, count)
        weights, state = choose(count, state)
        return Combined(combination(weights, gradients), weights, jnp.zeros((), weights.dtype)), state

    def start(count: int) -> State:
        check_count(name, preference, count)
        return init(count)

    return Aggregator(start, combine, weigh)


def checked_preference(name: str, preference: Any) -> Float[Array, " m"] | None:
    """Weights on the simplex, as an array; None stays None. Values are looked at only where they are concrete.

    Raises:
        UserError: if they are not a vector, not finite, negative, or don't sum to 1 (to 1e-4).

    >>> checked_preference("upgrad", [0.5, 0.6])
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: upgrad: expected weights on the simplex (at least 0, summing to 1), got [0.5, 0.6]. \
Divide them by their sum.
    """
    if preference is None:
        return None
    shape = np.shape(preference)
    if len(shape) != 1 or shape == (0,):
        fail(name, expected="a vector of weights (m,)", got=f"shape {shape}", advice="Give one weight per objective.")
    if not isinstance(preference, jax.core.Tracer):
        values = np.asarray(preference, float)
        if not ((values >= 0).all() and abs(values.sum() - 1) <= 1e-4):
            fail(
                name,
                expected="weights on the simplex (at least 0, summing to 1)",
                got=str(values.tolist()),
                advice="Divide them by their sum.",
            )
    return jnp.asarray(preference, float)


def check_count(name: str, preference: Any, count: int) -> None:
    """Raises `UserError` unless there are as many preferences as objectives."""
    if preference is not None and preference.shape != (count,):
        fail(
            name,
            expected=f"one weight for each of the {preference.shape[0]} objectives it was made for",
            got=f"{count} gradients",
            advice="Stack as many gradients as there are weights.",
        )


def preference_or_equal(preference: Float[Array, " m"] | None, like: Float[Array, " m"]) -> Float[Array, " m"]:
    """The preference, or 1 / m each, in the type of another vector."""
    if preference is None:
        return jnp.full_like(like, 1 / like.size)
    return preference.astype(like.dtype)


def as_transformation(aggregator: Aggregator, objectives: int) -> optax.GradientTransformation:
    """The aggregator as a link of `optax.chain`: its updates are stacked gradients, what it hands on is a direction.

        optimizer = optax.chain(as_transformation(upgrad(), 3), optax.adam(1e-3))
        updates, state = optimizer.update(stacked_gradients(losses, params)[1], optimizer.init(params), params)

    Args:
        aggregator: any.
        objectives: m, since `init` sees parameters, which don't say.

    Raises:
        UserError: for fewer objectives than 1; in `update`, for another number of gradients.

    >>> from attnjax.pareto import mgda
    >>> link = as_transformation(mgda(), 2)
    >>> link.update(jnp.array([[1.0, 0.0], [0.0, 1.0]]), link.init(jnp.zeros(2)))[0].round(4).tolist()
    [0.5, 0.5]
    """
    if objectives < 1:
        fail(
            "as_transformation", expected="at least 1 objective", got=str(objectives), advice="Say how many there are."
        )

    def update(gradients: Tree, state: State, params: Tree | None = None) -> tuple[Tree, State]:
        found = count_of("as_transformation", gradients)
        if found != objectives:
            fail(
                "as_transformation",
                expected=f"{objectives} stacked gradients",
                got=str(found),
                advice="Stack one gradient per objective; leaves are (m, ...).",
            )
        combined, state = aggregator.combine(gradients, state)
        return combined.direction, state

    return optax.GradientTransformation(lambda params: aggregator.init(objectives), update)
