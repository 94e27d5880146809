"""Verification: recompute what the claims speak of, compare, and say what came of every one.

A claim is checked on the record of its tier's preset. A finished record is asked if it still stands for the
program at hand; otherwise the experiment runs. A claim that bits repeat gets a second, independent computation.
Every claim appears in the result: what was not checked is listed as not checked, with the reason.
"""

import shutil
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from attnjax.errors import UserError, fail
from attnjax.reproduction.claims import Claim, check_links, load_claims
from attnjax.reproduction.judge import FAILS, HOLDS, UNCHECKED, Verdict, agree, judge
from attnjax.reproduction.project import Project, load_experiment, suggest
from attnjax.reproduction.records import Record, read_record
from attnjax.reproduction.runner import Say, run_experiment, say_on_stderr
from attnjax.reproduction.values import counted

TIERS = {"smoke": ("smoke",), "paper": ("smoke", "paper")}
"""Which tiers a verification covers: the paper's covers the smoke tier too."""

AGAIN = "-again"


class Records(NamedTuple):
    """What was found for one experiment at one preset.

    Attributes:
        first: the record, if there is one.
        again: a second, independent computation, if there is one.
        shown: the first one's path, for the reader.
        trouble: why there is no record, or why the second one is missing.
    """

    first: Record | None = None
    again: Record | None = None
    shown: str = ""
    trouble: str = ""


def verify(
    project: Project,
    *,
    tier: str = "smoke",
    only: Sequence[str] = (),
    experiments: Sequence[str] | None = None,
    source: str = "runs",
    recompute: bool = False,
    say: Say = say_on_stderr,
) -> list[Verdict]:
    """Checks the claims, running what has to run.

    Args:
        project: whose claims.
        tier: `smoke`, or `paper` for both tiers.
        only: ids of the claims to check, whatever their tier; none means all of the tier.
        experiments: the experiments that may be run; `None` means all.
        source: `runs` to use or make local records, `kept` to look at committed ones and run nothing.
        recompute: compute anew even where a finished record stands.
        say: prints a line of progress.

    Returns:
        One verdict per claim, in the order of the file, those not checked included.

    Raises:
        UserError: if the claims file is wrong, or an id is unknown.
    """
    claims = load_claims(project)
    for name in only:
        if name not in {claim.id for claim in claims}:
            advice = suggest(name, [claim.id for claim in claims], f"The ids stand in {project.show(project.claims)}.")
            fail("attnjax verify", expected="the id of a claim", got=repr(name), advice=advice)
    check_links(project, claims)
    cache: dict[tuple[str, str], Records] = {}
    verdicts = []
    for claim in claims:
        reason = _left_out(claim, tier, only, experiments)
        if reason:
            verdicts.append(Verdict(claim, "", UNCHECKED, reason))
            continue
        place = (claim.experiment, claim.tier)
        if place not in cache:
            wanted = [other for other in claims if (other.experiment, other.tier) == place]
            twice = any(
                other.relation == "repeats" and not _left_out(other, tier, only, experiments) for other in wanted
            )
            if source == "kept":
                cache[place] = kept_records(project, *place)
            else:
                cache[place] = _computed(project, *place, twice=twice, recompute=recompute, say=say)
        verdicts.append(verdict_from(project, claim, cache[place]))
    return verdicts


def verdict_from(project: Project, claim: Claim, records: Records) -> Verdict:
    """Judges a claim on records at hand, and against the kept record where there is one.

    Args:
        project: whose claim.
        claim: which.
        records: what was found for its experiment and tier.

    Returns:
        The verdict.
    """
    if records.first is None:
        missing = records.trouble.startswith("no ")
        return Verdict(claim, "", UNCHECKED if missing else FAILS, records.trouble, records.shown)
    if claim.relation == "repeats" and records.again is None:
        return Verdict(claim, "", UNCHECKED, records.trouble or "no second computation to compare with", records.shown)
    verdict = judge(claim, records.first, records.again, records.shown)
    kept = kept_records(project, claim.experiment, claim.tier)
    if verdict.outcome != HOLDS or kept.first is None or kept.shown == records.shown:
        return verdict
    if kept.first.config != records.first.config:
        return verdict._replace(reason="the kept record has other settings and was not compared")
    disagreement = agree(claim, kept.first, records.first)
    return verdict._replace(outcome=FAILS, reason=disagreement) if disagreement else verdict


def kept_records(project: Project, name: str, preset: str) -> Records:
    """Returns the committed record of an experiment.

    Args:
        project: where it lives.
        name: the experiment.
        preset: which of its records.
    """
    path = project.kept(name, preset)
    if not path.is_file():
        return Records(trouble="no kept record")
    return Records(read_record(path, project.show(path)), shown=project.show(path))


def left_records(project: Project, name: str, preset: str) -> Records:
    """Returns the local record of an experiment as it lies there, without running anything.

    Args:
        project: where it lives.
        name: the experiment.
        preset: which of its records.
    """
    path = project.run_folder(name, preset) / "record.json"
    if not path.is_file():
        return Records(trouble="no local record")
    first = read_record(path, project.show(path))
    second = project.run_folder(name, preset + AGAIN) / "record.json"
    again = read_record(second, project.show(second)) if second.is_file() else None
    if again is not None and again.fingerprint != first.fingerprint:
        again = None
    return Records(first, again, project.show(path))


def table(verdicts: Sequence[Verdict]) -> str:
    """Returns the verdicts as a table for the terminal, with the count of each outcome at the end.

    Args:
        verdicts: what to show.
    """
    head = ("claim", "level", "expected", "got", "verdict")
    rows = [(v.claim.id, v.claim.level, v.claim.expectation, v.got or "-", _outcome(v)) for v in verdicts]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    lines = []
    for row in (head, (*("-" * width for width in widths), "-------"), *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        lines.append("  ".join([*cells, row[4]]))
    return "\n".join([*lines, "", tally(verdicts)])


def tally(verdicts: Sequence[Verdict]) -> str:
    """Returns how many claims hold, fail and were not checked.

    Args:
        verdicts: what to count.
    """
    counts = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in (HOLDS, FAILS, UNCHECKED)}
    holds, fails = counts[HOLDS], counts[FAILS]
    return (
        f"{counted(len(verdicts), 'claim')}: {holds} {'holds' if holds == 1 else 'hold'}, "
        f"{fails} {'fails' if fails == 1 else 'fail'}, {counts[UNCHECKED]} not checked"
    )


def _outcome(verdict: Verdict) -> str:
    """Returns the outcome with its reason."""
    outcome = verdict.outcome.upper() if verdict.outcome == FAILS else verdict.outcome
    return f"{outcome} ({verdict.reason})" if verdict.reason else outcome


def _left_out(claim: Claim, tier: str, only: Sequence[str], experiments: Sequence[str] | None) -> str:
    """Returns why a claim is not to be checked, or an empty string."""
    if only:
        return "" if claim.id in only else "not asked for"
    if claim.tier not in TIERS[tier]:
        return claim.tier
    if experiments is not None and claim.experiment not in experiments:
        return f"not part of this job; 'attnjax verify --claim {claim.id}' checks it"
    return ""


def _computed(project: Project, name: str, preset: str, *, twice: bool, recompute: bool, say: Say) -> Records:
    """Returns valid local records, running what is missing; an experiment that raises is reported, not raised."""
    experiment = load_experiment(project, name)
    again = None
    if recompute:
        # A second computation of an earlier program must not vouch for this one.
        shutil.rmtree(project.run_folder(name, preset + AGAIN), ignore_errors=True)
    try:
        first = run_experiment(project, experiment, preset, force=recompute, say=say)
        if twice:
            again = run_experiment(project, experiment, preset, variant=preset + AGAIN, say=say).record
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return Records(trouble=f"the run raised {type(error).__name__}: {error}")
    return Records(first.record, again, project.show(first.path))
