"""Checks of what an online market is given, where the values are known."""

from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import CreatorValue, Nash
from attnjax.allocation.guarantees import Box, Floors
from attnjax.errors import fail


def known(*trees: Any) -> bool:
    """Whether all values are known: outside of jit, vmap and scan."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def refuse(where: str, expected: str, got: str, advice: str) -> NoReturn:
    """Raises `UserError` on behalf of a method of `OnlineMarket`."""
    fail(f"OnlineMarket.{where}", expected=expected, got=got, advice=advice)


def shaped(
    where: str,
    name: str,
    numbers: Any,
    shape: tuple[int, ...],
    dtype: Any,
    *,
    infinite: bool = False,
    least: float | None = None,
) -> Array:
    """Numbers as an array of the shape, or a refusal; scalars are broadcast."""
    array = jnp.asarray(numbers, dtype)
    if array.shape not in ((), shape):
        refuse(
            where,
            f"{name} to be a scalar or of shape {shape}",
            f"shape {array.shape}",
            "Check that users, items and creators are counted as in the creator map.",
        )
    if known(array):
        if not bool((~jnp.isnan(array) if infinite else jnp.isfinite(array)).all()):
            refuse(where, f"{name} to be finite", "NaN or inf", "Look for a division by zero where they are made.")
        if least is not None and not bool((array >= least).all()):
            refuse(where, f"{name} of at least {least:g}", str(float(array.min())), "Mend or drop them.")
    return jnp.broadcast_to(array, shape)


def check_numbers(creator_value: CreatorValue, **numbers: Float[Array, ""]) -> None:
    """Refuses bounds and weights out of their range, and numbers that are not above 0."""
    if not known(creator_value, numbers):
        return
    for name, number in numbers.items():
        if not float(number) > 0:
            refuse("of", f"a {name} above 0", str(float(number)), "A rough guess will do; 0 will not.")
    if isinstance(creator_value, Nash) and not bool((creator_value.weights > 0).all()):
        low = str(float(creator_value.weights.min()))
        refuse("of", "Nash weights above 0", low, "Leave creators that don't count out of the creator map.")
    if isinstance(creator_value, Floors | Box) and not bool((creator_value.floors >= 0).all()):
        refuse("of", "floors of at least 0", str(float(creator_value.floors.min())), "Drop negative floors.")
    if isinstance(creator_value, Box) and not bool((creator_value.caps >= creator_value.floors).all()):
        wrong = int(jnp.argmax(~(creator_value.caps >= creator_value.floors)))
        floor, cap = float(creator_value.floors[wrong]), float(creator_value.caps[wrong])
        refuse(
            "of",
            "caps of at least the floors",
            f"floor {floor:g} and cap {cap:g} for creator {wrong}",
            "Mend the bounds; a cap of inf is no cap.",
        )


def check_start(creator_value: CreatorValue, start: Float[Array, " c"]) -> None:
    """Refuses prices to start from that the creator value does not admit."""
    if not known(creator_value, start):
        return
    admitted = jnp.isfinite(creator_value.conjugate(start)) & (creator_value.admissible(start, start) == start)
    if not bool(admitted.all()):
        refuse(
            "init",
            f"prices that {type(creator_value).__name__} admits",
            f"{float(start.min()):g} to {float(start.max()):g}",
            "Nash prices are above 0, those of creators without cap at least 0, Linear's are its rates.",
        )
