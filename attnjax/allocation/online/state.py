"""The state of an online market: prices, what was spent so far, and how it is saved.

Sums over users are compensated (Kahan 1965), so that a million arrivals in float32 don't swallow the last ones.
"""

import io
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attnjax.atomic import write_bytes
from attnjax.errors import fail

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]


class Sums(NamedTuple):
    """What is added up over arrivals.

    Attributes:
        arrived: scalar, attention that arrived: the budgets of all users so far.
        unspent: scalar, what of it was left because all of a user's items were closed.
        exposure: (c,), what creators got.
        satisfaction: scalar, sum of <s, a>.
        variety: scalar, -T sum of a log a.
        platform: scalar, sum of pi_j e_j.
        intended: (c,), exposure had no creator been closed.
        intended_value: scalar, satisfaction, variety and platform income had no creator been closed.
        moments: (c,), the sum of squares that step sizes are measured against, in units of exposure squared.
        scale: scalar, each user's scale of prices times budget.
        weight: scalar, attention in the units in which `scatter` counts it.
        scatter: scalar, weighted sum of squared distances of the prices used from their mean.
    """

    arrived: Scalar
    unspent: Scalar
    exposure: Prices
    satisfaction: Scalar
    variety: Scalar
    platform: Scalar
    intended: Prices
    intended_value: Scalar
    moments: Prices
    scale: Scalar
    weight: Scalar
    scatter: Scalar

    @classmethod
    def zero(cls, creators: int, dtype: Any) -> "Sums":
        """Nothing so far."""
        vectors = ("exposure", "intended", "moments")
        return cls(**{name: jnp.zeros((creators,) if name in vectors else (), dtype) for name in cls._fields})


class State(NamedTuple):
    """The state of an online market, a pytree of arrays.

    Attributes:
        prices: (c,), at which the next batch is allocated, in welfare per unit of exposure.
        mean_prices: (c,), the mean of the prices used, which the certificate is taken at.
        sums: what was added up so far.
        lost: what rounding has lost of it.
        confidence: scalar, the attention that the first prices were worth; see `OnlineMarket.init`.
        arrivals: how many batches there were.
    """

    prices: Prices
    mean_prices: Prices
    sums: Sums
    lost: Sums
    confidence: Scalar
    arrivals: Int[Array, ""]


def save_state(path: str | os.PathLike[str], state: State) -> None:
    """Saves a state, whole or not at all.

    Args:
        path: the file's name, usually ending in `.npz`; its folder is made where needed.
        state: of one market, or a batch of states.

    Raises:
        UserError: for a state that is being traced.
        OSError: where the folder can't be written; a file that stood there before still does.

    >>> import tempfile
    >>> from attnjax.allocation.creators import Creators
    >>> from attnjax.allocation.creator_values import Nash
    >>> from attnjax.allocation.online import OnlineMarket
    >>> market = OnlineMarket.of(Creators.one_per_item(2), Nash(jnp.ones(2)), horizon=8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(f"{folder}/state.npz", market.init())
    ...     restore_state(f"{folder}/state.npz", market.init()).prices.tolist()
    [0.25, 0.25]
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(state)):
        fail(
            "save_state", expected="a state with values", got="a traced one", advice="Save it outside of jit and scan."
        )
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in _named(state).items()}
    np.savez(buffer, **arrays)
    write_bytes(Path(path), buffer.getvalue())


def restore_state(path: str | os.PathLike[str], like: State) -> State:
    """Restores a saved state, bit for bit.

    Args:
        path: what `save_state` was given.
        like: any state of the market that goes on with it, e.g. `market.init()`: it says which shapes and types fit.

    Returns:
        The state; a run that goes on from it ends at the same bits as one that was never interrupted.

    Raises:
        UserError: for a missing file, one that is not a saved state, or the state of a market of another size or
            precision.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except FileNotFoundError:
        fail("restore_state", expected=f"a saved state at {path}", got="no file", advice="Check the path.")
    except Exception as error:  # a damaged archive fails in many ways
        fail(
            "restore_state",
            expected=f"a saved state at {path}",
            got=f"a file that can't be read ({type(error).__name__})",
            advice="Only `save_state` writes such files; restore an older one.",
        )
    expected = _named(like)
    if set(found) != set(expected):
        fail(
            "restore_state",
            expected="the fields of a state",
            got=f"a file with {', '.join(sorted(found)[:4]) or 'nothing'}",
            advice="Only `save_state` writes such files, and only this version's can be read.",
        )
    for name, leaf in expected.items():
        if found[name].shape != leaf.shape or found[name].dtype != leaf.dtype:
            fail(
                "restore_state",
                expected=f"{name} of shape {leaf.shape} and type {leaf.dtype}, as in this market",
                got=f"shape {found[name].shape} and type {found[name].dtype}",
                advice="Go on with a market of the same creators and precision as the one that was saved.",
            )
    leaves = [jnp.asarray(found[name]) for name in expected]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _named(state: State) -> dict[str, Any]:
    """The leaves by name, in the order of the tree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}
