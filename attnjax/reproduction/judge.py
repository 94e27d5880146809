"""What each level of a claim compares.

*exact*: the value is a whole number, a text, a truth value, or a list of these, and equals `expected` in type and to
the last bit. With the relation `repeats` it may be any value: two independent computations by the same program on
the same machine must give the same bits. A training result is never claimed so.

*numerical*: |value - expected| <= tolerance, entry by entry, in the value's own units; `at_most` and `at_least` allow
the tolerance beyond the bound; in an `order` the tolerance is a margin that `<` must clear and `<=` may miss by.

*statistical*: the value is a mean over seeds. `equals`: its bootstrap interval overlaps the band that independent seed
batches gave. `at_most`, `at_least`: the whole interval respects the bound. `order`: the interval of the difference,
paired by seed, lies on the claimed side of zero (for `<=` and `>=`: does not lie on the other side).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from attnjax.evaluation.intervals import difference_interval, overlap
from attnjax.reproduction.claims import Claim
from attnjax.reproduction.records import Record
from attnjax.reproduction.values import bits, precise, short

HOLDS, FAILS, UNCHECKED = "holds", "fails", "not checked"


class Verdict(NamedTuple):
    """What came of one claim.

    Attributes:
        claim: which.
        got: what the record says, as a table shows it.
        outcome: `holds`, `fails` or `not checked`.
        reason: why it fails or was not checked; may be empty.
        record: which record was asked: its path as shown, or empty.
    """

    claim: Claim
    got: str
    outcome: str
    reason: str = ""
    record: str = ""


class _CannotJudge(Exception):
    """The record does not hold what the claim speaks of."""


def judge(claim: Claim, record: Record, again: Record | None = None, shown: str = "") -> Verdict:
    """Compares a claim with a record.

    Args:
        claim: what is claimed.
        record: what was computed.
        again: an independent second computation; needed for `repeats` only.
        shown: the record's path, for the reader.

    Returns:
        The verdict. A record that lacks the value fails the claim.
    """
    judges: dict[str, Callable[[], tuple[bool, str, str]]] = {
        "exact": lambda: _exact(claim, record, again),
        "numerical": lambda: _numerical(claim, record),
        "statistical": lambda: _statistical(claim, record),
    }
    try:
        holds, got, reason = judges[claim.level]()
    except _CannotJudge as error:
        return Verdict(claim, "nothing to compare", FAILS, str(error), shown)
    return Verdict(claim, got, HOLDS if holds else FAILS, "" if holds else reason, shown)


def agree(claim: Claim, kept: Record, new: Record) -> str:
    """Says why a kept record and a new one do not tell the same about a claim.

    The kept record must satisfy the claim too, and for a statistical `equals` the two intervals must overlap.

    Args:
        claim: what is claimed.
        kept: the committed record.
        new: the one of the program at hand.

    Returns:
        The reason, or an empty string if they agree.
    """
    verdict = judge(claim, kept, again=kept)
    if verdict.outcome == FAILS:
        return f"the kept record gives {verdict.got}"
    if claim.level == "statistical" and claim.relation == "equals":
        one, two = _summary(kept, claim.value), _summary(new, claim.value)
        if not overlap((one["low"], one["high"]), (two["low"], two["high"])):
            return f"the kept record's interval {_interval(one)} does not overlap"
    return ""


def _exact(claim: Claim, record: Record, again: Record | None) -> tuple[bool, str, str]:
    """Compares bits."""
    value = _value(record, claim.value)
    if claim.relation == "equals":
        return bits(value) == bits(claim.expected), short(value), "it differs"
    if again is None:
        raise _CannotJudge("a second computation is needed")
    other = _value(again, claim.value)
    return bits(value) == bits(other), short(value), f"a second computation on this machine gave {short(other)}"


def _numerical(claim: Claim, record: Record) -> tuple[bool, str, str]:
    """Compares within a tolerance."""
    if claim.relation == "order":
        numbers = [_number(record, path) for path in claim.value[::2]]
        links = zip(numbers, claim.value[1::2], numbers[1:], strict=False)
        broken = [(a, sign, b) for a, sign, b in links if not _ordered(a, sign, b, claim.tolerance)]
        got = _chain(numbers)
        return not broken, got, "; ".join(f"{a:.9g} {sign} {b:.9g} does not hold" for a, sign, b in broken)
    if claim.relation == "equals":
        value = _value(record, claim.value)
        far = _distance(value, claim.expected, claim.value)
        return far <= claim.tolerance, precise(value), f"off by {far:.3g}, {claim.tolerance:.3g} allowed"
    number = _number(record, claim.value)
    beyond = number - claim.expected if claim.relation == "at_most" else claim.expected - number
    return beyond <= claim.tolerance, precise(number), f"beyond the bound by {beyond:.3g}"


def _statistical(claim: Claim, record: Record) -> tuple[bool, str, str]:
    """Compares intervals."""
    if claim.relation == "order":
        return _statistical_order(claim, record)
    summary = _summary(record, claim.value)
    got = f"{summary['mean']:.5g} {_interval(summary)}"
    if claim.relation == "equals":
        assert claim.band is not None
        return overlap((summary["low"], summary["high"]), claim.band), got, "the interval does not overlap the band"
    if claim.relation == "at_most":
        return summary["high"] <= claim.expected, got, "the interval reaches beyond the bound"
    return summary["low"] >= claim.expected, got, "the interval reaches beyond the bound"


def _statistical_order(claim: Claim, record: Record) -> tuple[bool, str, str]:
    """Checks each link of a chain on differences paired by seed."""
    paths, signs = claim.value[::2], claim.value[1::2]
    means = [_summary(record, path)["mean"] for path in paths]
    broken = []
    for index, sign in enumerate(signs):
        first, second = (record.per_seed[_quantity(record, path)] for path in paths[index : index + 2])
        if len(first) != len(second):
            raise _CannotJudge(f"{paths[index]} and {paths[index + 1]} were not measured on the same seeds")
        apart = difference_interval(first, second)
        low, high = (apart.low, apart.high) if sign in ("<", "<=") else (-apart.high, -apart.low)
        if not (high < 0 if sign in ("<", ">") else low <= 0):
            broken.append(f"{paths[index]} - {paths[index + 1]} = {apart.mean:.5g} [{apart.low:.5g}, {apart.high:.5g}]")
    return not broken, _chain(means), "; ".join(broken)


def _value(record: Record, path: str) -> Any:
    """Returns the value a claim speaks of."""
    try:
        return record.get(path)
    except KeyError as error:
        raise _CannotJudge(f"the record has no {error.args[0]}") from error


def _number(record: Record, path: str) -> float:
    """Returns a single number; for a quantity with an interval, its mean."""
    value = _value(record, path)
    if isinstance(value, dict) and "mean" in value and "low" in value:
        value = value["mean"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _CannotJudge(f"{path} is no single number but {short(value)}")
    return value


def _quantity(record: Record, path: str) -> str:
    """Returns the name of a per-seed quantity."""
    name = path.removeprefix("summary.")
    if name not in record.summary:
        raise _CannotJudge(f"{path} was not measured per seed (there is: {', '.join(record.summary) or 'nothing'})")
    return name


def _summary(record: Record, path: str) -> dict[str, float]:
    """Returns the mean and interval of a per-seed quantity."""
    return record.summary[_quantity(record, path)]


def _ordered(first: float, sign: str, second: float, margin: float) -> bool:
    """Says whether two numbers stand in the claimed order, by a margin."""
    if sign in (">", ">="):
        first, second, sign = second, first, sign.replace(">", "<")
    return second - first > margin if sign == "<" else first - second <= margin


def _distance(value: Any, expected: Any, path: str) -> float:
    """Returns the largest difference between two numbers or two nested lists of one shape."""
    if isinstance(value, list) or isinstance(expected, list):
        if not isinstance(value, list) or not isinstance(expected, list) or len(value) != len(expected):
            raise _CannotJudge(f"{path} has another shape than expected")
        return max((_distance(a, b, path) for a, b in zip(value, expected, strict=True)), default=0.0)
    if isinstance(value, dict) and "mean" in value:
        value = value["mean"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _CannotJudge(f"{path} is no number but {short(value)}")
    return abs(value - expected)


def _interval(summary: dict[str, float]) -> str:
    """Returns an interval as text."""
    return f"[{summary['low']:.5g}, {summary['high']:.5g}]"


def _chain(numbers: list[float]) -> str:
    """Returns numbers with the order they really stand in: `0.2 < 0.3`."""
    parts = [f"{numbers[0]:.5g}"]
    for before, number in pairwise(numbers):
        parts += ["<" if before < number else ">" if before > number else "=", f"{number:.5g}"]
    return " ".join(parts)
