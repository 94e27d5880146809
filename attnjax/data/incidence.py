"""Which creators an item belongs to, and with which share: a sparse matrix in coordinates.

An item's exposure e_i becomes exposure of its creators, E_c = sum_i w_ic e_i. With the split `"equal"` the
weights of an item sum to one (a film of two directors gives each half of it), so that exposure is neither
made nor lost; with `"full"` each creator is credited with all of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail

SPLITS = ("equal", "full")


class Incidence(NamedTuple):
    """A sparse item-to-creator matrix: entry k gives `creator[k]` the share `weight[k]` of `item[k]`.

    Attributes:
        item: (entries,) int32, sorted; ties by creator.
        creator: (entries,) int32.
        weight: (entries,) float64, positive, at most one.
        names: one name per creator.
        num_items: rows of the matrix, counting items without any creator.
        num_creators: columns of the matrix.
    """

    item: NDArray[np.int32]
    creator: NDArray[np.int32]
    weight: NDArray[np.float64]
    names: tuple[str, ...]
    num_items: int
    num_creators: int

    def dense(self) -> NDArray[np.float64]:
        """The matrix itself.

        Returns:
            (num_items, num_creators) float64.

        >>> make_incidence([0, 0, 1], [0, 1, 1], ["Ada", "Bo"], num_items=3).dense()
        array([[0.5, 0.5],
               [0. , 1. ],
               [0. , 0. ]])
        """
        matrix = np.zeros((self.num_items, self.num_creators))
        matrix[self.item, self.creator] = self.weight
        return matrix

    def covered(self) -> NDArray[np.bool_]:
        """Which items have a creator at all.

        Returns:
            (num_items,) bool.

        >>> make_incidence([0, 2], [0, 0], ["Ada"], num_items=3).covered()
        array([ True, False,  True])
        """
        mask = np.zeros(self.num_items, dtype=bool)
        mask[self.item] = True
        return mask

    def items_per_creator(self) -> NDArray[np.int32]:
        """How many items each creator has a part in.

        Returns:
            (num_creators,) int32.

        >>> make_incidence([0, 0, 1], [0, 1, 1], ["Ada", "Bo"], num_items=2).items_per_creator()
        array([1, 2], dtype=int32)
        """
        return np.bincount(self.creator, minlength=self.num_creators).astype(np.int32)

    def select(self, items: ArrayLike) -> "Incidence":
        """Keeps some items, renumbered in the order given, and the creators who still have one.

        Weights stay as they are, since an item keeps all of its creators.

        Args:
            items: (n,) integers, each an item of this incidence, none twice.

        Returns:
            The incidence of those items: item k is `items[k]`, and creators keep their order.

        Raises:
            UserError: an item is out of range or named twice.

        >>> make_incidence([0, 1, 1], [0, 1, 2], ["Ada", "Bo", "Cy"], num_items=2).select([1]).names
        ('Bo', 'Cy')
        """
        chosen = np.asarray(items)
        _check_integers("select", "items", chosen, self.num_items)
        if len(np.unique(chosen)) != len(chosen):
            fail(
                "select",
                expected="each item at most once",
                got="an item twice",
                advice="Pass np.unique(items).",
            )
        place = np.full(self.num_items, -1, dtype=np.int32)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        kept = place[self.item] >= 0
        creators, creator = np.unique(self.creator[kept], return_inverse=True)
        item = place[self.item[kept]]
        order = np.lexsort((creator, item))
        return Incidence(
            item=item[order],
            creator=creator[order].astype(np.int32),
            weight=self.weight[kept][order],
            names=tuple(self.names[index] for index in creators),
            num_items=len(chosen),
            num_creators=len(creators),
        )


def make_incidence(
    item: ArrayLike, creator: ArrayLike, names: Sequence[str], num_items: int, split: str = "equal"
) -> Incidence:
    """Builds an incidence from pairs, in any order; a pair that is said twice counts once.

    Args:
        item: (entries,) integers in [0, num_items).
        creator: (entries,) integers in [0, len(names)).
        names: one name per creator.
        num_items: the number of items, with or without creators.
        split: `"equal"` gives each of an item's n creators 1/n of it; `"full"` gives each all of it.

    Returns:
        The incidence, sorted by item, then creator.

    Raises:
        UserError: the pairs do not match in length, an index is out of range, or the split is unknown.

    >>> make_incidence([1, 0, 1], [1, 0, 0], ["Ada", "Bo"], num_items=2).weight
    array([1. , 0.5, 0.5])
    """
    items, creators = np.asarray(item), np.asarray(creator)
    if split not in SPLITS:
        fail(
            "make_incidence",
            expected=f"split {' or '.join(SPLITS)}",
            got=repr(split),
            advice="Pass one of these.",
        )
    _check_integers("make_incidence", "item", items, num_items)
    _check_integers("make_incidence", "creator", creators, len(names))
    if len(items) != len(creators):
        fail(
            "make_incidence",
            expected="as many items as creators, one pair per entry",
            got=f"{len(items)} items and {len(creators)} creators",
            advice="Pass two arrays of the same length.",
        )
    pairs = np.stack([items, creators], axis=1).astype(np.int32).reshape(-1, 2)
    pairs = np.unique(pairs, axis=0)  # sorts by item, then creator
    parts = np.bincount(pairs[:, 0], minlength=num_items)
    weight = 1.0 / parts[pairs[:, 0]] if split == "equal" else np.ones(len(pairs))
    return Incidence(
        item=np.ascontiguousarray(pairs[:, 0]),
        creator=np.ascontiguousarray(pairs[:, 1]),
        weight=weight,
        names=tuple(names),
        num_items=num_items,
        num_creators=len(names),
    )


def _check_integers(where: str, what: str, values: NDArray, bound: int) -> None:
    kind = values.ndim == 1 and (values.dtype.kind in "iu" or values.size == 0)
    if not kind or (values.size and (values.min() < 0 or values.max() >= bound)):
        got = f"a {values.dtype} array of shape {values.shape}"
        fail(
            where,
            expected=f"{what}: a one-dimensional array of integers in [0, {bound})",
            got=f"{got} from {values.min()} to {values.max()}" if values.size and values.dtype.kind in "iuf" else got,
            advice="Renumber from 0, or correct the number of items or names.",
        )
