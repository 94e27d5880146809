"""Is an explanation faithful? Deletion and insertion curves, and the randomised-model check.

An explanation ranks the units of an input (pixels, events, creators' prices) by what they are said to contribute. Two
questions can be asked of any of them without trusting it:

- Does the output fall fastest when units are deleted in its order, and rise fastest when they are inserted (Petsiuk,
  Das and Saenko 2018, RISE)? Fast is judged against random orders, as in a permutation test.
- Does it change when the model's parameters are drawn anew (Adebayo et al. 2018, Sanity checks for saliency maps)? One
  that does not explains the input, not the model.

What is left of an input after deletion may look like nothing the model was trained on, and the output may move for that
alone; the curves are then about the baseline as much as about the explanation.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail
from attnjax.evaluation.explanation import AT_ONCE

Value = Callable[[Bool[Array, " *n"]], Float[Array, ""]]
"""From a mask of the units that are kept to the model's output."""

ORDER, RANDOM = 1, 2
"""Streams of a key: one breaks ties of the explanation's order, one draws random orders."""


class Faithfulness(NamedTuple):
    """How deletion and insertion in an explanation's order compare with random orders.

    Attributes:
        share: (p,), rising from 0 to 1, the part of the units that has been deleted, or inserted.
        deletion: (p,), the output then, the most important units deleted first. Low is faithful.
        insertion: (p,), the same where they are inserted first. High is faithful.
        deletion_area: scalar, the mean of the output over the curve, by trapezia.
        insertion_area: scalar, likewise.
        random: (p,), the output after inserting at random, the mean over the orders; read backwards it is deletion.
        random_areas: (orders,), the area of each; inserting and deleting have the same distribution.
        deletion_chance: scalar in (0, 1], how often chance alone would do as well: the p-value of a permutation test.
        insertion_chance: scalar, likewise.
    """

    share: Float[Array, " p"]
    deletion: Float[Array, " p"]
    insertion: Float[Array, " p"]
    deletion_area: Float[Array, ""]
    insertion_area: Float[Array, ""]
    random: Float[Array, " p"]
    random_areas: Float[Array, " orders"]
    deletion_chance: Float[Array, ""]
    insertion_chance: Float[Array, ""]


def covering(function: Callable[[Array], Float[Array, ""]], inputs: Float[Array, "*n f"], baseline: Any = 0.0) -> Value:
    """The output as a function of the units that are kept; the rest is covered by the baseline.

    Args:
        function: from an array like the inputs to a scalar.
        inputs: an array whose first axes are the units, e.g. (row, column, channel) with pixels as units.
        baseline: scalar, or an array like the inputs: what covers a unit.

    Returns:
        A function of a mask, of the shape of the inputs' first axes.

    >>> image = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> float(covering(jnp.sum, image)(jnp.array([True, False])))
    3.0
    """
    cover = jnp.broadcast_to(jnp.asarray(baseline, inputs.dtype), inputs.shape)

    def value(kept: Bool[Array, " *n"]) -> Float[Array, ""]:
        if kept.shape != inputs.shape[: kept.ndim]:
            fail(
                "covering",
                expected=f"a mask over the first axes of inputs of shape {inputs.shape}",
                got=f"shape {kept.shape}",
                advice="Explain one number per unit: sum an attribution over the axes within a unit.",
            )
        return function(jnp.where(kept.reshape(kept.shape + (1,) * (inputs.ndim - kept.ndim)), inputs, cover))

    return value


def faithfulness(
    value: Value, attribution: Float[Array, " *n"], *, key: Array, orders: int = 100, steps: int | None = None
) -> Faithfulness:
    """Deletes and inserts units in an explanation's order, and in random orders.

    Not for derivatives: orders are piecewise constant in the attribution. Costs (orders + 2)(steps + 1) outputs.

    Args:
        value: the output when only the units of a mask are kept; the mask has the attribution's shape.
        attribution: any shape, larger is more important; not NaN. Units that are tied come in random order.
        key: of the random orders, and of ties.
        orders: how many random orders, at least 1; `deletion_chance` is no less than 1 / (orders + 1).
        steps: in how many equal parts units are deleted; it divides their number, and by default is their number.

    Returns:
        A `Faithfulness`.

    Raises:
        UserError: for no units or orders, or steps that don't divide the units.

    >>> amounts = jnp.array([0.0, 3.0, 1.0])
    >>> found = faithfulness(lambda kept: jnp.sum(jnp.where(kept, amounts, 0)), amounts, key=jax.random.key(0))
    >>> found.deletion.tolist(), found.insertion.tolist()
    ([4.0, 1.0, 0.0, 0.0], [0.0, 3.0, 4.0, 4.0])
    """
    shape, units = jnp.shape(attribution), int(np.size(attribution))
    steps = units if steps is None else steps
    if units < 1 or orders < 1 or steps < 1 or units % steps:
        fail(
            "faithfulness",
            expected="at least 1 unit and 1 order, and a number of steps that divides the units",
            got=f"{units} units, {orders} orders and {steps} steps",
            advice="Leave steps out to delete units one at a time.",
        )
    counts = np.arange(steps + 1) * (units // steps)
    own = _ranks(jnp.ravel(jnp.asarray(attribution)), jax.random.fold_in(key, ORDER))
    drawn = jax.vmap(lambda k: jax.random.permutation(k, units))(
        jax.random.split(jax.random.fold_in(key, RANDOM), orders)
    )
    # Deleting is inserting in the reverse order, read backwards.
    ranks = jnp.concatenate([own[None], units - 1 - own[None], drawn])
    pairs = jnp.asarray(np.stack(np.meshgrid(np.arange(len(ranks)), counts, indexing="ij"), -1).reshape(-1, 2))
    outputs = jax.lax.map(
        lambda pair: value((ranks[pair[0]] < pair[1]).reshape(shape)), pairs, batch_size=min(AT_ONCE, len(pairs))
    )
    paths = outputs.reshape(len(ranks), -1)
    share = jnp.asarray(counts / units, paths.dtype)
    areas = jnp.sum((paths[:, 1:] + paths[:, :-1]) / 2 * jnp.diff(share)[None, :], axis=1)
    insertion_area, deletion_area, random_areas = areas[0], areas[1], areas[2:]
    return Faithfulness(
        share,
        paths[1, ::-1],
        paths[0],
        deletion_area,
        insertion_area,
        jnp.mean(paths[2:], axis=0),
        random_areas,
        (1 + jnp.sum(random_areas <= deletion_area)) / (1 + orders),
        (1 + jnp.sum(random_areas >= insertion_area)) / (1 + orders),
    )


def _ranks(attribution: Float[Array, " n"], key: Array) -> Array:
    """The place of each unit, the most important first, ties in random order."""
    shuffled = jax.random.permutation(key, attribution.size)
    order = shuffled[jnp.argsort(-attribution[shuffled], stable=True)]
    return jnp.zeros(attribution.size, order.dtype).at[order].set(jnp.arange(attribution.size, dtype=order.dtype))


def rank_correlation(first: Float[Array, " *n"], second: Float[Array, " *n"]) -> Float[Array, ""]:
    """Spearman's rank correlation, ties with their mean rank; NaN where one of the two is constant.

    Args:
        first: any shape.
        second: of the same shape.

    Raises:
        UserError: for different shapes.

    >>> float(rank_correlation(jnp.array([1.0, 2.0, 3.0]), jnp.array([10.0, 30.0, 20.0])))
    0.5
    """
    if jnp.shape(first) != jnp.shape(second):
        fail(
            "rank_correlation",
            expected="two arrays of one shape",
            got=f"{jnp.shape(first)} and {jnp.shape(second)}",
            advice="Compare explanations of the same input.",
        )

    def centred(x: Array) -> Array:
        x = jnp.ravel(x)
        ordered = jnp.sort(x)
        rank = jnp.searchsorted(ordered, x, side="left") + jnp.searchsorted(ordered, x, side="right")
        return rank / 2 - x.size / 2

    one, two = centred(jnp.asarray(first)), centred(jnp.asarray(second))
    return jnp.sum(one * two) / jnp.sqrt(jnp.sum(one**2) * jnp.sum(two**2))


class RandomisedModel(NamedTuple):
    """How alike an explanation is before and after parameters were drawn anew.

    Attributes:
        correlation: (layers, draws), rank correlation with the trained model's explanation, when all layers up to this
            one have been drawn anew. Near 0 in the last row is what an explanation of the model shows.
        magnitude: (layers, draws), the same of absolute values.
    """

    correlation: Float[Array, "layers draws"]
    magnitude: Float[Array, "layers draws"]


def randomised_model_check(
    explain: Callable[[Any], Float[Array, " *n"]],
    params: Any,
    draw: Callable[[Array], Any],
    layers: Sequence[str],
    *,
    key: Array,
    draws: int = 8,
) -> RandomisedModel:
    """Draws a model's layers anew, one after the other from the outputs down, and compares its explanations.

    Args:
        explain: from parameters to an explanation of one fixed input.
        params: the trained parameters, a tree.
        draw: from a key to fresh parameters, e.g. `lambda key: net.init(key, x)["params"]`.
        layers: which part of the tree is drawn anew first, second and so on: paths, keys joined by `/`; a path
            stands for all that is below it.
        key: of the draws.
        draws: how many.

    Returns:
        A `RandomisedModel`.

    Raises:
        UserError: for no layers or draws, a layer that names no parameters, or draws of another structure.

    >>> explain = lambda params: params["w"] * jnp.array([1.0, 2.0, 3.0, 4.0])
    >>> fresh = lambda key: {"w": jax.random.normal(key, (4,))}
    >>> check = randomised_model_check(explain, {"w": jnp.ones(4)}, fresh, ["w"], key=jax.random.key(0), draws=200)
    >>> bool(abs(check.correlation.mean()) < 0.15)
    True
    """
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(params)]
    unknown = [layer for layer in layers if not any(_below(path, layer) for path in paths)]
    if not layers or draws < 1 or unknown:
        fail(
            "randomised_model_check",
            expected=f"draws >= 1, and layers out of {', '.join(paths) or 'an empty tree'}",
            got=f"{draws} and {', '.join(unknown or layers) or 'no layers'}",
            advice="Name layers from the outputs down, e.g. ['outputs', 'dense_128'].",
        )
    structure: Any = jax.tree.structure(params)
    drawn: Any = jax.tree.structure(jax.eval_shape(draw, key))
    if structure != drawn:
        fail(
            "randomised_model_check",
            expected=f"fresh parameters of the trained ones' structure {structure}",
            got=str(drawn),
            advice="Draw by the model's own init, and pick the same part of what it returns.",
        )
    before = explain(params)
    keys = jax.random.split(key, draws)
    rows = []
    for last in range(1, len(layers) + 1):
        anew = [any(_below(path, layer) for layer in layers[:last]) for path in paths]

        def compare(key: Array, anew: list[bool] = anew) -> tuple[Array, Array]:
            leaves = zip(jax.tree.leaves(params), jax.tree.leaves(draw(key)), anew, strict=True)
            mixed = jax.tree.unflatten(structure, [fresh if new else own for own, fresh, new in leaves])
            after = explain(mixed)
            return rank_correlation(before, after), rank_correlation(jnp.abs(before), jnp.abs(after))

        rows.append(jax.lax.map(compare, keys))
    return RandomisedModel(*(jnp.stack(parts) for parts in zip(*rows, strict=True)))


def _below(path: str, layer: str) -> bool:
    return path == layer or path.startswith(f"{layer}/")
