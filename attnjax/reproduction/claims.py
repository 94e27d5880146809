"""Claims: what the project says it found, each tied to where it is defined, tested, taught and computed.

`reproducibility/claims.toml` holds one `[[claim]]` per number or order that the project stands by. This module reads
it with exact complaints; `attnjax.reproduction.judge` says what each level compares.
"""

import ast
import importlib
import math
import re
import tomllib
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from attnjax.errors import fail
from attnjax.reproduction.bands import read_bands
from attnjax.reproduction.experiment import PRESETS
from attnjax.reproduction.project import Project, experiment_names, load_experiment, suggest
from attnjax.reproduction.values import plain, precise, short

SCHEMA = 1
LEVELS = {
    "exact": ("equals", "repeats"),
    "numerical": ("equals", "at_most", "at_least", "order"),
    "statistical": ("equals", "at_most", "at_least", "order"),
}
OPERATORS = ("<", "<=", ">", ">=")

_TEXTS = ("id", "statement", "source", "function", "test", "tutorial", "experiment", "tier", "level", "relation")
_EMPTY_MAY_BE = ("tutorial",)


class Claim(NamedTuple):
    """One claim.

    Attributes:
        id: a short name: lower-case letters, digits, dots and hyphens.
        statement: what is claimed, in a sentence.
        source: the document's section, or the paper's table.
        function: what computes it, as `module:qualname`.
        test: the test that guards it, as `file::function` or `file::Class::function`.
        tutorial: the notebook that teaches it; may be empty.
        experiment: the experiment whose record holds it.
        tier: the preset it is checked on.
        level: `exact`, `numerical` or `statistical`.
        relation: `equals`, `repeats`, `at_most`, `at_least` or `order`.
        value: the dotted path of the value in the record; for `order` a list such as `["a", "<", "b"]`.
        expected: what it is compared with; `None` where a band, an order or a repetition is claimed.
        tolerance: how far it may be off, in the value's units (numerical).
        why: where the tolerance comes from.
        band: the lower and the upper end that independent seed batches gave (statistical `equals`).
    """

    id: str
    statement: str
    source: str
    function: str
    test: str
    tutorial: str
    experiment: str
    tier: str
    level: str
    relation: str
    value: Any
    expected: Any = None
    tolerance: float = 0.0
    why: str = ""
    band: tuple[float, float] | None = None

    @property
    def expectation(self) -> str:
        """What is expected, as a table shows it."""
        if self.relation == "order":
            return " ".join(self.value)
        if self.relation == "repeats":
            return "the same bits twice"
        if self.band is not None:
            return f"overlaps [{short(self.band[0])}, {short(self.band[1])}]"
        sign = {"equals": "", "at_most": "<= ", "at_least": ">= "}[self.relation]
        off = f" +- {short(self.tolerance)}" if self.tolerance else ""
        return f"{sign}{precise(self.expected)}{off}"


def load_claims(project: Project) -> list[Claim]:
    """Reads the claims.

    Args:
        project: whose.

    Returns:
        The claims in the order of the file.

    Raises:
        UserError: naming the claim and the field, if one is not as it must be.
    """
    where = project.show(project.claims)
    try:
        found = tomllib.loads(project.claims.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fail(where, expected="a TOML file", got=str(error), advice="Mend the line it names.")
    if found.get("schema") != SCHEMA or set(found) - {"schema", "claim"}:
        fail(
            where,
            expected=f"`schema = {SCHEMA}` and [[claim]] tables, nothing else",
            got=", ".join(f"{key} = {found[key]!r:.20}" for key in found if key != "claim") or "no schema",
            advice="The head of the file explains its form.",
        )
    claims = [_claim(entry, index, where) for index, entry in enumerate(found.get("claim", []))]
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            fail(where, expected="each id once", got=f"{claim.id!r} twice", advice="Rename one of them.")
        seen.add(claim.id)
    return claims


def check_links(project: Project, claims: Sequence[Claim]) -> None:
    """Checks that what the claims point to is there: functions, tests, tutorials, experiments and bands.

    Args:
        project: whose.
        claims: which.

    Raises:
        UserError: at the first link that leads nowhere.
    """
    names = experiment_names(project)
    for claim in claims:
        if claim.experiment not in names:
            advice = suggest(claim.experiment, names, "'attnjax list' shows them all.")
            _refuse(project, claim, "experiment", "an experiment", repr(claim.experiment), advice)
        _check_function(project, claim)
        _check_test(project, claim)
        if claim.tutorial and not (project.root / claim.tutorial).is_file():
            _refuse(project, claim, "tutorial", "a file in the project", repr(claim.tutorial))
        if claim.band is not None:
            _check_band(project, claim)


def _claim(entry: dict[str, Any], index: int, where: str) -> Claim:
    """Reads one table."""
    name = entry.get("id") if isinstance(entry.get("id"), str) else f"number {index + 1}"
    who = f"{where}, claim {name}"

    def refuse(
        field: str, expected: str, got: str, advice: str = "The head of the file explains the fields."
    ) -> NoReturn:
        fail(f"{who}, `{field}`", expected=expected, got=got, advice=advice)

    for field in _TEXTS:
        text = entry.get(field)
        if not isinstance(text, str) or not (text.strip() or field in _EMPTY_MAY_BE):
            refuse(field, "a text", "none" if text is None else repr(text))
    for field in entry:
        if field not in Claim._fields:
            refuse(field, "a known field", "an unknown one", suggest(field, Claim._fields, "Remove it."))
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", entry["id"]):
        refuse("id", "lower-case letters, digits, dots and hyphens", repr(entry["id"]))
    if entry["tier"] not in PRESETS:
        refuse("tier", " or ".join(PRESETS), repr(entry["tier"]))
    if entry["level"] not in LEVELS:
        refuse("level", " or ".join(LEVELS), repr(entry["level"]))
    if entry["relation"] not in LEVELS[entry["level"]]:
        allowed = ", ".join(LEVELS[entry["level"]])
        refuse("relation", f"one of {allowed} at the level {entry['level']}", repr(entry["relation"]))
    if not re.fullmatch(r"[\w.]+:[\w.]+", entry["function"]):
        refuse("function", "module:name", repr(entry["function"]))
    if not re.fullmatch(r"[\w/.-]+\.py(::\w+)+(\[.*\])?", entry["test"]):
        refuse("test", "file.py::function", repr(entry["test"]))
    _check_value(entry, refuse)
    _check_expectation(entry, refuse)
    band = tuple(float(end) for end in entry["band"]) if "band" in entry else None
    return Claim(**{**entry, "band": band, "tolerance": float(entry.get("tolerance", 0.0))})


def _check_value(entry: dict[str, Any], refuse: Any) -> None:
    """Checks the path, or the chain of paths and operators."""
    value: Any = entry.get("value")
    if entry["relation"] != "order":
        if not isinstance(value, str) or not value:
            refuse("value", "the dotted path of a value in the record", repr(value))
        return
    form = 'a list such as ["nash.gini", "<", "user.gini"]'
    if not isinstance(value, list) or len(value) < 3 or len(value) % 2 == 0:
        refuse("value", form, repr(value))
    for place, part in enumerate(value):
        right = part in OPERATORS if place % 2 else isinstance(part, str) and part and part not in OPERATORS
        if not right:
            refuse("value", form, f"{part!r} at place {place + 1}")


def _check_expectation(entry: dict[str, Any], refuse: Any) -> None:
    """Checks that the claim brings what its level and relation compare with, and nothing else."""
    level, relation = entry["level"], entry["relation"]
    banded = level == "statistical" and relation == "equals"
    expects = relation not in ("order", "repeats") and not banded
    if ("expected" in entry) != expects:
        refuse("expected", "it to be given" if expects else "it to be left out", f"a claim {level}, {relation}")
    if ("band" in entry) != banded:
        refuse("band", "it to be given" if banded else "it to be left out", f"a claim {level}, {relation}")
    if expects and level == "exact" and not _is_discrete(entry["expected"]):
        refuse(
            "expected",
            "whole numbers, texts, true or false, or lists of them",
            repr(entry["expected"]),
            "Floats differ between machines: use the level numerical, or the relation repeats.",
        )
    if expects and level == "statistical" and not _is_number(entry["expected"]):
        refuse("expected", "a finite number", repr(entry["expected"]))
    if expects and level == "numerical" and not _is_numbers(entry["expected"], lists=relation == "equals"):
        refuse("expected", "a finite number (or, for equals, a list of them)", repr(entry["expected"]))
    if banded:
        band = entry["band"]
        if not isinstance(band, list) or len(band) != 2 or not _is_numbers(band) or band[0] > band[1]:
            refuse("band", "two numbers, the lower first", repr(band))
    tolerance = entry.get("tolerance")
    if tolerance is not None and (level != "numerical" or not _is_number(tolerance) or tolerance < 0):
        refuse("tolerance", "a number of at least 0, at the level numerical only", repr(tolerance))
    if level == "numerical" and relation == "equals" and not tolerance:
        refuse("tolerance", "a positive number", repr(tolerance), "A value that is equal to the last bit is exact.")
    why = entry.get("why", "")
    if not isinstance(why, str) or (tolerance and not why.strip()):
        refuse("why", "a sentence on where the tolerance comes from", repr(why), "Say what the conditioning allows.")


def _check_function(project: Project, claim: Claim) -> None:
    """Checks that the function imports."""
    module, _, qualified = claim.function.partition(":")
    load_experiment(project, claim.experiment)
    try:
        found = importlib.import_module(module)
        for part in qualified.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        _refuse(project, claim, "function", "something that imports", f"{claim.function!r} ({error})")


def _check_test(project: Project, claim: Claim) -> None:
    """Checks that the test is written where the claim says, without running pytest."""
    file, *names = claim.test.partition("[")[0].split("::")
    path = project.root / file
    if not path.is_file():
        _refuse(project, claim, "test", "a file in the project", repr(file))
    body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    for name in names:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        inside = [node for node in body if isinstance(node, kinds) and node.name == name]
        if not inside:
            _refuse(project, claim, "test", f"{file} to define {name}", "none of that name")
        body = inside[-1].body


def _check_band(project: Project, claim: Claim) -> None:
    """Checks that the band is the one that independent seed batches gave, at the settings of today."""
    path = project.bands(claim.experiment, claim.tier)
    command = f"Make it with: attnjax bands {claim.experiment} --preset {claim.tier}"
    if not path.is_file():
        _refuse(project, claim, "band", f"the file {project.show(path)} that it comes from", "none", command)
    bands = read_bands(path, project.show(path))
    config = load_experiment(project, claim.experiment).presets[claim.tier]
    if bands.config != plain(config, "config"):
        _refuse(project, claim, "band", "bands made at the preset's settings", "bands of other settings", command)
    quantity = claim.value.removeprefix("summary.")
    if quantity not in bands.bands:
        known = ", ".join(sorted(bands.bands))
        _refuse(project, claim, "value", f"a quantity with a band ({known})", repr(quantity))
    if claim.band != tuple(bands.bands[quantity]):
        advice = "Copy it from there; a band is never widened by hand."
        _refuse(project, claim, "band", f"{bands.bands[quantity]} as in {project.show(path)}", repr(claim.band), advice)


def _refuse(project: Project, claim: Claim, field: str, expected: str, got: str, advice: str = "") -> NoReturn:
    """Refuses a claim whose link leads nowhere."""
    fail(
        f"{project.show(project.claims)}, claim {claim.id}, `{field}`",
        expected=expected,
        got=got,
        advice=advice or "Mend the claim, or what it points to.",
    )


def _is_number(value: Any) -> bool:
    """Says whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_numbers(value: Any, lists: bool = True) -> bool:
    """Says whether a value is a finite number or a nested list of them."""
    if isinstance(value, list):
        return lists and bool(value) and all(_is_numbers(item) for item in value)
    return _is_number(value)


def _is_discrete(value: Any) -> bool:
    """Says whether a value is the same on every machine: no floats in it."""
    if isinstance(value, list):
        return all(_is_discrete(item) for item in value)
    return isinstance(value, bool | int | str)
