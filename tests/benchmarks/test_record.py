import dataclasses

import pytest

from attnjax.reproduction.records import read_record, write_record
from experiments.benchmarks.allocation import show
from experiments.benchmarks.allocation.peers import OURS
from experiments.benchmarks.allocation.record import build, ratio_of
from experiments.benchmarks.allocation.tasks import Target, Task
from experiments.benchmarks.records import machine, markdown

LP = Task("lp", "LP", "linear", 10, 4, 1e-4, peers=("highs-ipm",), targets=(Target("ratio", 40, "highs-ipm"),))


def attempt(seconds, gap):
    return {"setting": {}, "seconds": seconds, "gap": gap, "info": {}}


@pytest.fixture
def ours(measured):
    return measured(
        "lp",
        OURS,
        seconds=0.1,
        times=[0.1] * 5,
        compilation=2.0,
        value=9.9995,
        bound=10.0004,
        peak_memory_gb=1.0,
        attempts=[attempt(0.1, 9e-5)],
        info={"iterations": 20},
        extra={"passes_per_s": 200.0, "copy_gb_per_s": 20.0, "pass_over_read": 3.0},
    )


@pytest.fixture
def made(project, ours):
    """Builds a record of one task from ours and one peer."""

    def make(peer, task=LP, mine=ours):
        found = {"lp": {OURS: mine, **({} if peer is None else {peer.solver: peer})}}
        return build(project, "paper", {"lp": task}, found, machine(), {})

    return make


def target(record, what="ratio"):
    return next(entry for entry in record.values["targets"] if entry["what"] == what)


def test_a_ratio_at_equal_gap(made, measured):
    record = made(measured("lp", "highs-ipm", seconds=5.0, times=[5.0], value=10.0, bound=10.0001, attempts=[]))
    rows = record.values["tasks"]["lp"]["solvers"]
    assert record.values["tasks"]["lp"]["bound"] == 10.0001  # the best of the two, for both
    assert rows[OURS]["gap"] == pytest.approx(6e-5, rel=1e-3)
    assert rows["highs-ipm"]["ratio"] == 50
    assert not rows["highs-ipm"]["ratio_is_bound"]
    assert target(record)["holds"] is True
    assert target(record, "compile_seconds")["got"] == 2.0
    assert record.certificates["lp"]["reached"]


@pytest.mark.parametrize(("seconds", "ratio", "holds"), [(400.0, 4000, True), (2.0, 20, None)])
def test_a_timed_out_peer_gives_a_lower_bound(made, measured, seconds, ratio, holds):
    record = made(measured("lp", "highs-ipm", status="timed out", seconds=seconds))
    row = record.values["tasks"]["lp"]["solvers"]["highs-ipm"]
    assert (row["ratio"], row["ratio_is_bound"], row["reached"]) == (ratio, True, False)
    assert target(record)["holds"] is holds
    text = markdown(show.tables(record))
    assert f"| > {seconds:.0f} | ≥ " in text
    assert {True: "yes", None: "not decided"}[holds] in text


def test_a_peer_that_ends_short_of_the_gap_gives_a_lower_bound(made, measured):
    record = made(measured("lp", "highs-ipm", status="short", seconds=1.0, times=[1.0], value=9.9))
    row = record.values["tasks"]["lp"]["solvers"]["highs-ipm"]
    assert (row["ratio"], row["ratio_is_bound"], row["status"]) == (10, True, "short")


def test_a_fast_peer_breaks_the_target(made, measured):
    record = made(measured("lp", "highs-ipm", seconds=1.0, times=[1.0], value=10.0))
    assert target(record)["holds"] is False


def test_nothing_is_claimed_short_of_our_own_gap(made, measured, ours):
    peer = measured("lp", "highs-ipm", seconds=50.0, times=[50.0], value=10.0)
    record = made(peer, mine=ours._replace(value=9.0, status="short"))
    assert record.values["tasks"]["lp"]["solvers"]["highs-ipm"]["ratio"] is None
    assert target(record)["holds"] is False
    assert target(record, "gap")["holds"] is False


def test_what_is_missing_is_said(made):
    record = made(None)
    assert record.values["missing"] == ["lp.highs-ipm"]
    assert target(record)["holds"] is None


def test_without_an_answer_there_is_no_ratio():
    assert ratio_of({"reached": True, "seconds": 1.0}, {"reached": False, "seconds": None}) == (None, False)


@pytest.mark.parametrize(
    ("what", "bound", "holds"), [("seconds", 0.2, True), ("seconds", 0.05, False), ("memory_gb", 0.9, False)]
)
def test_absolute_targets(made, what, bound, holds):
    record = made(None, dataclasses.replace(LP, targets=(Target(what, bound),)))
    assert target(record, what)["holds"] is holds


def test_slates_are_compared_by_envy_and_dominance(project, ours, measured):
    targets = (Target("envy", 1e-3, "kdd22"), Target("dominance", 0.0, "kdd22"))
    task = dataclasses.replace(LP, kind="slates", tolerance=1e-3, peers=("kdd22",), targets=targets)
    fair, unfair = ({"envy": x, "worse_off": y, "least": 1.0} for x, y in ((0.01, 0.0), (0.0105, 0.1)))
    found = {
        "lp": {
            OURS: ours._replace(fairness=unfair),
            "kdd22": measured("lp", "kdd22", seconds=9.0, value=10.0, fairness=fair),
        }
    }
    record = build(project, "paper", {"lp": task}, found, machine(), {})
    assert target(record, "envy")["holds"] is True
    assert target(record, "dominance")["holds"] is False


def test_growth_per_decade(project, ours):
    family = {
        f"g{users}": dataclasses.replace(
            LP, name=f"g{users}", users=users, growth="G", peers=(), targets=LP.targets[:0]
        )
        for users in (10, 100, 10_000)
    }
    times = {"g10": 0.1, "g100": 0.9, "g10000": 0.9 * 144}
    found = {name: {OURS: ours._replace(task=name, seconds=times[name])} for name in family}
    known = {"lp": LP, **family}
    record = build(project, "paper", known, {"lp": {}, **found}, machine(), {})
    assert [step["per_decade"] for step in record.values["growth"]["G"]["steps"]] == pytest.approx([0.9, 1.2])
    assert [entry["holds"] for entry in record.values["targets"] if entry["what"] == "growth"] == [True, False]


def test_a_record_reads_back_and_is_shown(made, measured, tmp_path):
    record = made(measured("lp", "highs-ipm", seconds=5.0, times=[5.0], value=10.0))
    write_record(tmp_path / "record.json", record)
    assert read_record(tmp_path / "record.json", "r") == record
    for table in show.tables(record):
        assert all(len(row) == len(table.columns) for row in table.rows)
    (figure,) = show.figures(record)
    assert figure.build().axes
