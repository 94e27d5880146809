"""A trained recommender as a file that needs none of its Python: history in, slate out.

    adapt_and_recommend(history) = the items of the largest scores(params, history) that are not in the history

where `scores` adapts to the history and scores all items, whatever the model. It is compiled by `jax.export` for any
number of users and histories of one padded length, under a mask, and run for one user or for `AT_ONCE`: two programs,
whatever the lengths and the number of users. The parameters travel beside the program, as arrays in the same file.
Nothing in it is a pickle: loading runs no code but the program.

    blob = export_recommender(scores, params, num_items=..., length=..., slate=10).to_bytes()
    adapt_and_recommend = load_recommender(blob)                                                # elsewhere, later
    slate = adapt_and_recommend(UserHistory(item=[3, 17], rating=[5.0, 2.0]))
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.extras import need

Scores = Callable[[Any, Int[Array, " t"], Float[Array, " t"], Bool[Array, " t"]], Float[Array, " n"]]
"""`scores(params, item, rating, mask)` of one user, to (n,); padding, False in `mask`, is item 0 with rating 0."""
ABOUT, PROGRAM, LEAF = "about", "program", "leaf_{}"
"""Names in the file."""
AT_ONCE = 100
"""Users of one call of the program: so few that what is computed of them stays in a processor's cache."""


class UserHistory(NamedTuple):
    """What one user did, in its order.

    Attributes:
        item: (t,) integers in [0, n).
        rating: (t,), in the unit of the model, e.g. stars.
    """

    item: ArrayLike
    rating: ArrayLike


class Slate(NamedTuple):
    """What is recommended.

    Attributes:
        item: (..., k) int32, best first; none of the history.
        score: (..., k).
    """

    item: NDArray[np.int32]
    score: NDArray[np.float32]


class AdaptAndRecommend:
    """An exported recommender; made by `export_recommender` and `load_recommender`, and called with a history.

    Args:
        program: the exported program, of the leaves of the parameters and padded histories.
        leaves: the parameters.
        num_items: n.
        length: of histories, at most.

    Attributes:
        num_items: n.
        length: of histories, at most.
    """

    def __init__(self, program: export.Exported, leaves: Sequence[Any], num_items: int, length: int) -> None:
        self.num_items, self.length = num_items, length
        self._program, self._leaves = program, jax.device_put(list(leaves))
        self._run = jax.jit(program.call)

    def __call__(self, history: UserHistory) -> Slate:
        """Adapts to one user and recommends.

        Args:
            history: of at most `length` interactions, perhaps none.

        Returns:
            The slate, (k,).

        Raises:
            UserError: for histories that are longer, items that are none, or ratings that are not numbers.
        """
        found = self.many([history])
        return Slate(found.item[0], found.score[0])

    def many(self, histories: Sequence[UserHistory]) -> Slate:
        """Adapts to many users, all at once but for pieces of `AT_ONCE`.

        Args:
            histories: at least one, each of at most `length` interactions.

        Returns:
            The slates, (users, k).

        Raises:
            UserError: as for one.
        """
        columns = self._padded(histories)
        users, size = len(histories), 1 if len(histories) == 1 else AT_ONCE
        whole = [np.pad(column, ((0, -users % size), (0, 0))) for column in columns]
        # All pieces are handed over before the first answer is fetched, so that no core waits for another's piece.
        pieces = [self._run(self._leaves, *(x[k : k + size] for x in whole)) for k in range(0, users, size)]
        return Slate(*(np.concatenate(part)[:users] for part in zip(*pieces, strict=True)))

    def to_bytes(self) -> bytes:
        """The program and its parameters, for `load_recommender`.

        Raises:
            UserError: if flatbuffers, in which programs are written, is not installed.
        """
        need("flatbuffers", "AdaptAndRecommend.to_bytes")
        about = json.dumps({"num_items": self.num_items, "length": self.length, "leaves": len(self._leaves)})
        parts = {ABOUT: about.encode(), PROGRAM: bytes(self._program.serialize())}
        arrays = {name: np.frombuffer(part, np.uint8) for name, part in parts.items()}
        arrays |= {LEAF.format(k): np.asarray(leaf) for k, leaf in enumerate(self._leaves)}
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()

    def _padded(self, histories: Sequence[UserHistory]) -> tuple[NDArray, NDArray, NDArray]:
        """Histories in one shape, or a refusal."""
        if isinstance(histories, UserHistory) or not len(histories):
            fail(
                "adapt_and_recommend",
                expected="a sequence of at least one UserHistory",
                got=type(histories).__name__,
                advice="Call it with one history, and its `many` with a list of them.",
            )
        items, ratings = ([np.asarray(part) for part in parts] for parts in zip(*histories, strict=True))
        counts = np.array([part.size for part in items])
        shaped = all(a.shape == b.shape == (a.size,) for a, b in zip(items, ratings, strict=True))
        if not shaped or counts.max() > self.length:
            fail(
                "adapt_and_recommend",
                expected=f"items and ratings of one length, at most {self.length}",
                got=f"shapes {items[0].shape} and {ratings[0].shape}" if not shaped else f"length {counts.max()}",
                advice=f"Pass the latest {self.length} interactions.",
            )
        # An empty list is of floats to NumPy.
        item = np.concatenate([part if part.size else part.astype(np.int32) for part in items])
        rating = np.concatenate(ratings)
        whole = np.issubdtype(item.dtype, np.integer)
        if not whole or (item.size and not 0 <= item.min() <= item.max() < self.num_items):
            fail(
                "adapt_and_recommend",
                expected=f"items as integers in 0, ..., {self.num_items - 1}",
                got=f"{item.min()} to {item.max()}" if whole else str(item.dtype),
                advice="Number items as in training.",
            )
        if rating.dtype.kind not in "iufb" or not np.isfinite(rating).all():
            fail("adapt_and_recommend", expected="finite ratings", got="others", advice="Leave out what was not rated.")
        shape = (len(histories), self.length)
        mask = np.arange(self.length)[None, :] < counts[:, None]
        padded = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        padded[0][mask], padded[1][mask] = item, rating
        return *padded, mask


def export_recommender(scores: Scores, params: Any, *, num_items: int, length: int, slate: int) -> AdaptAndRecommend:
    """Exports a model together with its adaptation.

    Args:
        scores: `scores(params, item, rating, mask)` of one user: adapts to the history and scores all items.
        params: any tree of arrays.
        num_items: n.
        length: of histories, at most; padding is computed with, so the shortest that will do.
        slate: k; k + length is at most n, so that something is always left to recommend.

    Returns:
        The exported function; `to_bytes` makes a file of it. It runs on the kind of device that it was made on.

    Raises:
        UserError: for numbers out of range, or scores of another shape.

    >>> def scores(params, item, rating, mask):  # what is like the liked
    ...     return jnp.where(mask, rating - 3, 0) @ params["alike"][item]
    >>> params = {"alike": jnp.array([[1.0, 0.9, 0.1, 0.2], [0.9, 1.0, 0.3, 0.1], [0.1, 0.3, 1.0, 0.8], [0, 0, 1, 1]])}
    >>> adapt_and_recommend = export_recommender(scores, params, num_items=4, length=2, slate=2)
    >>> adapt_and_recommend(UserHistory(item=[0], rating=[5.0])).item.tolist()
    [1, 3]
    >>> adapt_and_recommend.many([UserHistory([0], [1]), UserHistory([0, 2], [4, 2])]).item.tolist()
    [[2, 3], [1, 3]]
    """
    if min(num_items, slate) < 1 or length < 1 or slate + length > num_items:
        fail(
            "export_recommender",
            expected=f"slate >= 1, length >= 1, and together at most the {num_items} items",
            got=f"slate = {slate} and length = {length}",
            advice="Recommend fewer, or let histories be shorter.",
        )
    leaves: list[Any] = [jnp.asarray(leaf) for leaf in jax.tree.leaves(params)]
    structure: Any = jax.tree.structure(params)
    columns = [jax.ShapeDtypeStruct((length,), kind) for kind in (np.int32, np.float32, bool)]
    found = jax.eval_shape(scores, params, *columns)
    if getattr(found, "shape", None) != (num_items,):
        fail(
            "export_recommender",
            expected=f"scores of shape {(num_items,)} for one user",
            got=str(getattr(found, "shape", type(found).__name__)),
            advice="`scores` is of one user; it is mapped over users here.",
        )

    def recommend(leaves: list[Any], item: Array, rating: Array, mask: Array) -> tuple[Array, Array]:
        told = scores(structure.unflatten(leaves), item, rating, mask).astype(np.float32)
        # Padding writes past the end, where nothing is.
        left = told.at[jnp.where(mask, item, num_items)].set(-jnp.inf, mode="drop")
        best, where = jax.lax.top_k(left, slate)
        return where.astype(np.int32), best

    (users,) = export.symbolic_shape("users")
    batch = [jax.ShapeDtypeStruct((users, length), column.dtype) for column in columns]
    mapped = jax.jit(jax.vmap(recommend, in_axes=(None, 0, 0, 0)))
    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    return AdaptAndRecommend(export.export(mapped)(shapes, *batch), leaves, num_items, length)


def load_recommender(blob: bytes) -> AdaptAndRecommend:
    """The function that was exported; the Python that it was made of need not be there.

    Args:
        blob: of `AdaptAndRecommend.to_bytes`.

    Returns:
        The function.

    Raises:
        UserError: if the bytes are something else, or for another kind of device.
    """
    need("flatbuffers", "load_recommender")
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as file:
            about = json.loads(file[ABOUT].tobytes())
            leaves = [file[LEAF.format(k)] for k in range(about["leaves"])]
            program = export.deserialize(bytearray(file[PROGRAM].tobytes()))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        fail(
            "load_recommender",
            expected="bytes of an exported recommender",
            got=f"{len(blob)} bytes that are none ({type(error).__name__})",
            advice="Write what to_bytes returns, in binary mode.",
        )
    if jax.default_backend() not in program.platforms:
        fail(
            "load_recommender",
            expected=f"a device of {' or '.join(program.platforms)}",
            got=jax.default_backend(),
            advice="Export it on that kind of device.",
        )
    return AdaptAndRecommend(program, leaves, about["num_items"], about["length"])
