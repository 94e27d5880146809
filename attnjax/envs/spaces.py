"""What an environment shows and what it lets do: two small descriptions, `Discrete` and `Box`.

They hold shapes and bounds, never arrays, so an environment stays hashable. Floats are of JAX's default precision,
float32, or float64 inside `jax.enable_x64`.

An action that does not fit is refused where that can be seen (its shape, its kind of number, and, outside of
`jit` and `vmap`, its value). Where it can't, `Discrete` clips it into 0, ..., n - 1; a `Box` clips always, since being
clipped is part of what its actions mean. NaN stays NaN in a `Box`, so that a policy that diverged is seen.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from attnjax.errors import fail


def float_dtype() -> Any:
    """float32, or float64 inside `jax.enable_x64`: the dtype of observations, rewards and sampled tasks."""
    return jnp.result_type(float)


def check_size(where: str, name: str, value: Any, least: int = 1) -> None:
    """Raises unless a size is a Python integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        fail(
            where,
            expected=f"{name} to be an integer of at least {least}",
            got=repr(value),
            advice="Sizes are part of the compiled program, so they are plain Python integers.",
        )


def _traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The integers 0, ..., n - 1, as int32 scalars.

    Args:
        n: how many; at least 1.

    Raises:
        UserError: for a size below 1.

    >>> Discrete(3).features(jnp.int32(1)).tolist()
    [0.0, 1.0, 0.0]
    >>> Discrete(3).action(7, "step")
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: step: expected an action in 0, ..., 2, got 7. Inside jit or vmap, where values can't be
    seen, it would be clipped.
    """

    n: int

    def __post_init__(self) -> None:
        check_size("Discrete", "n", self.n)

    @property
    def shape(self) -> tuple[int, ...]:
        """(), a scalar."""
        return ()

    @property
    def dtype(self) -> Any:
        """int32, in either precision."""
        return jnp.int32

    @property
    def num_features(self) -> int:
        """n."""
        return self.n

    def features(self, value: Array) -> Array:
        """The value as a one-hot vector (n,)."""
        return jax.nn.one_hot(value, self.n, dtype=float_dtype())

    def sample(self, key: Array) -> Array:
        """A uniform draw."""
        return jax.random.randint(key, (), 0, self.n, self.dtype)

    def contains(self, value: Any) -> bool:
        """Whether a concrete value has this shape, this dtype and lies in range."""
        value = np.asarray(value)
        return value.shape == () and value.dtype == np.int32 and 0 <= value < self.n

    def action(self, value: Any, where: str) -> Array:
        """The value as an action: checked as far as it can be, clipped where its value can't be seen.

        Args:
            value: a Python, NumPy or JAX integer.
            where: the function that the error names.

        Returns:
            An int32 in 0, ..., n - 1.

        Raises:
            UserError: for another shape, a dtype that is not an integer, or a visible value out of range.
        """
        if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.integer):
            fail(
                where,
                expected="an integer scalar as the action",
                got=f"{jnp.result_type(value)}{list(jnp.shape(value))}",
                advice="Batches go through jax.vmap; choose with argmax or jax.random.categorical.",
            )
        if not _traced(value) and not 0 <= int(value) < self.n:
            fail(
                where,
                expected=f"an action in 0, ..., {self.n - 1}",
                got=str(int(value)),
                advice="Inside jit or vmap, where values can't be seen, it would be clipped.",
            )
        return jnp.clip(jnp.asarray(value), 0, self.n - 1).astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of floats of one shape between two bounds, which are the same for all entries.

    Args:
        shape: of the array.
        low: the lower bound; may be -inf.
        high: the upper bound, above `low`; may be inf.

    Raises:
        UserError: for a negative length or bounds in the wrong order.

    >>> Box((2,), -0.1, 0.1).action(jnp.array([0.05, 3.0]), "step").tolist() == [np.float32(0.05), np.float32(0.1)]
    True
    """

    shape: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        for length in self.shape:
            check_size("Box", "each length of the shape", length, least=0)
        if not self.low < self.high:
            fail(
                "Box",
                expected="low below high",
                got=f"low = {self.low}, high = {self.high}",
                advice="Leave them out where there is no bound.",
            )

    @property
    def dtype(self) -> Any:
        """JAX's default float."""
        return float_dtype()

    @property
    def num_features(self) -> int:
        """How many numbers an array of this shape holds."""
        return math.prod(self.shape)

    def features(self, value: Array) -> Array:
        """The value as a vector."""
        return jnp.ravel(value).astype(self.dtype)

    def sample(self, key: Array) -> Array:
        """A uniform draw; standard normal, clipped, where a bound is infinite."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)
        return jnp.clip(jax.random.normal(key, self.shape, self.dtype), self.low, self.high)

    def contains(self, value: Any) -> bool:
        """Whether a concrete value has this shape, this dtype and lies within the bounds."""
        value = np.asarray(value)
        fits = value.shape == self.shape and value.dtype == self.dtype
        return bool(fits and (value >= self.low).all() and (value <= self.high).all())

    def action(self, value: Any, where: str) -> Array:
        """The value as an action, clipped into the bounds.

        Args:
            value: an array of this shape of integers or floats.
            where: the function that the error names.

        Returns:
            The clipped array, of the space's dtype.

        Raises:
            UserError: for another shape, or numbers that are not real.
        """
        kind = jnp.result_type(value)
        real = jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)
        if jnp.shape(value) != self.shape or not real:
            fail(
                where,
                expected=f"real numbers of shape {list(self.shape)} as the action",
                got=f"{kind}{list(jnp.shape(value))}",
                advice="Batches go through jax.vmap.",
            )
        return jnp.clip(jnp.asarray(value, self.dtype), self.low, self.high)


Space = Discrete | Box
"""Either description."""
