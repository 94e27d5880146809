import numpy as np
import pytest
from toy_project import ALL, PAPER, REPEATS, WELFARE, claim, write_claims

from attnjax.errors import UserError
from attnjax.reproduction import load_experiment, run_experiment
from attnjax.reproduction.claims import load_claims
from attnjax.reproduction.judge import FAILS, HOLDS, UNCHECKED, agree, judge
from attnjax.reproduction.records import summarise, write_record
from attnjax.reproduction.verify import Records, left_records, table, tally, verdict_from, verify


def quiet(line):
    pass


@pytest.fixture
def record(project):
    return run_experiment(project, load_experiment(project, "toy"), "smoke", say=quiet).record


def one(project, *arguments, **options):
    write_claims(project, claim("c", *arguments, **options))
    return load_claims(project)[0]


CASES = [
    ("exact", "equals", '"rounds"', "expected = 3", HOLDS),
    ("exact", "equals", '"rounds"', "expected = 4", FAILS),
    ("exact", "equals", '"met"', "expected = true", HOLDS),
    ("exact", "equals", '"met"', "expected = 1", FAILS),
    ("numerical", "equals", '"shares"', 'expected = [0.25, 0.75]\ntolerance = 1e-6\nwhy = "w"', HOLDS),
    ("numerical", "equals", '"shares"', 'expected = [0.25, 0.74]\ntolerance = 1e-6\nwhy = "w"', FAILS),
    ("numerical", "equals", '"shares"', 'expected = [0.25]\ntolerance = 1e-6\nwhy = "w"', FAILS),
    ("numerical", "equals", '"met"', 'expected = 1\ntolerance = 1e-6\nwhy = "w"', FAILS),
    ("numerical", "equals", '"rule.equal"', 'expected = 0.5\ntolerance = 0.01\nwhy = "w"', HOLDS),
    ("numerical", "equals", '"absent"', 'expected = 1\ntolerance = 1e-6\nwhy = "w"', FAILS),
    ("numerical", "at_most", '"gap"', "expected = 1e-8", HOLDS),
    ("numerical", "at_most", '"gap"', "expected = 1e-10", FAILS),
    ("numerical", "at_most", '"gap"', 'expected = 0.0\ntolerance = 1e-8\nwhy = "w"', HOLDS),
    ("numerical", "at_most", '"shares"', "expected = 1.0", FAILS),
    ("numerical", "at_least", '"welfare"', "expected = 1.3", HOLDS),
    ("numerical", "at_least", '"rule.best"', "expected = 0.7", FAILS),
    ("numerical", "order", '["shares.0", "<", "shares.1", "<=", "welfare"]', "", HOLDS),
    ("numerical", "order", '["shares.0", ">", "shares.1"]', "", FAILS),
    ("numerical", "order", '["shares.1", ">", "shares.0"]', 'tolerance = 0.6\nwhy = "w"', FAILS),
    ("numerical", "order", '["shares.1", "<=", "shares.0"]', 'tolerance = 0.6\nwhy = "w"', HOLDS),
    ("statistical", "at_most", '"rule.equal"', "expected = 0.51", HOLDS),
    ("statistical", "at_most", '"rule.equal"', "expected = 0.502", FAILS),
    ("statistical", "at_least", '"summary.rule.best"', "expected = 0.59", HOLDS),
    ("statistical", "at_least", '"rule.best"', "expected = 0.6", FAILS),
    ("statistical", "at_least", '"welfare"', "expected = 0.6", FAILS),
    ("statistical", "equals", '"rule.best"', "band = [0.5, 0.599]", HOLDS),
    ("statistical", "equals", '"rule.best"', "band = [0.5, 0.55]", FAILS),
    ("statistical", "order", '["rule.equal", "<", "rule.best"]', "", HOLDS),
    ("statistical", "order", '["rule.equal", ">", "rule.best"]', "", FAILS),
    ("statistical", "order", '["rule.equal", "<", "rule.equal"]', "", FAILS),
    ("statistical", "order", '["rule.equal", ">=", "rule.equal"]', "", HOLDS),
    ("statistical", "order", '["rule.best", "<=", "rule.equal"]', "", FAILS),
]


@pytest.mark.parametrize(("level", "relation", "value", "rest", "outcome"), CASES)
def test_each_level_compares_what_it_says(project, record, level, relation, value, rest, outcome):
    verdict = judge(one(project, level, relation, value, rest), record)
    assert verdict.outcome == outcome
    assert bool(verdict.reason) == (outcome == FAILS)


def test_seeds_that_do_not_pair_cannot_be_ordered(project, record):
    lame = record._replace(per_seed={**record.per_seed, "rule.best": [0.6]})
    verdict = judge(one(project, "statistical", "order", '["rule.equal", "<", "rule.best"]'), lame)
    assert "not measured on the same seeds" in verdict.reason


def test_repeats_compares_the_bits_of_two_computations(project, record):
    repeats = one(project, "exact", "repeats", '"shares"')
    assert judge(repeats, record, record).outcome == HOLDS
    other = record._replace(values={**record.values, "shares": [0.25, np.nextafter(0.75, 1)]})
    assert judge(repeats, record, other).outcome == FAILS
    assert judge(repeats, record).outcome == FAILS


def test_a_kept_record_must_tell_the_same(project, record):
    banded = one(project, "statistical", "equals", '"rule.best"', "band = [0.0, 1.0]")
    assert agree(banded, record, record) == ""
    moved = {name: [x + 0.2 for x in numbers] for name, numbers in record.per_seed.items()}
    kept = record._replace(per_seed=moved, summary=summarise(moved))
    assert "does not overlap" in agree(banded, kept, record)
    welfare = one(project, "numerical", "at_most", '"welfare"', "expected = 2.0")
    assert "the kept record gives 3" in agree(welfare, record._replace(values={"welfare": 3.0}), record)


def outcomes(verdicts):
    return {verdict.claim.id: verdict.outcome for verdict in verdicts}


def test_nothing_is_left_out_in_silence(project):
    smoke = verify(project, say=quiet)
    assert outcomes(smoke) == {
        "toy.welfare": HOLDS,
        "toy.rounds": HOLDS,
        "toy.repeats": HOLDS,
        "toy.order": HOLDS,
        "toy.paper": UNCHECKED,
    }
    assert smoke[-1].reason == "paper"
    assert set(outcomes(verify(project, tier="paper", say=quiet)).values()) == {HOLDS}
    named = verify(project, only=["toy.paper"], say=quiet)
    assert outcomes(named)["toy.paper"] == HOLDS
    assert {verdict.reason for verdict in named[:-1]} == {"not asked for"}
    apart = verify(project, experiments=[], say=quiet)
    assert "attnjax verify --claim toy.rounds" in apart[1].reason
    with pytest.raises(UserError, match=r"Did you mean 'toy\.rounds'"):
        verify(project, only=["toy.round"], say=quiet)


def test_kept_records_are_looked_at_as_they_are(project, record):
    assert {v.outcome for v in verify(project, source="kept", say=quiet)} == {UNCHECKED}
    write_record(project.kept("toy", "smoke"), record)
    found = verify(project, source="kept", say=quiet)
    assert outcomes(found)["toy.welfare"] == HOLDS
    assert outcomes(found)["toy.repeats"] == UNCHECKED
    assert found[0].record == "reproducibility/records/toy/smoke.json"


def test_a_kept_record_that_differs_fails_the_claim(project, record):
    write_claims(project, WELFARE)
    write_record(project.kept("toy", "smoke"), record._replace(values={**record.values, "welfare": 1.4}))
    verdict = verify(project, say=quiet)[0]
    assert (verdict.outcome, verdict.reason) == (FAILS, "the kept record gives 1.4")
    write_record(project.kept("toy", "smoke"), record._replace(config={}))
    assert "other settings" in verify(project, say=quiet)[0].reason
    write_record(project.kept("toy", "smoke"), record)
    assert verify(project, say=quiet)[0].reason == ""


def test_an_experiment_that_raises_fails_its_claims_and_stops_no_other(project, monkeypatch, capsys):
    load_experiment(project, "toy")
    import experiments.toy as toy

    monkeypatch.setattr(toy, "gain", lambda share: 1 / 0)
    verdict = verify(project, say=quiet)[0]
    assert verdict.outcome == FAILS
    assert "the run raised ZeroDivisionError" in verdict.reason
    assert "Traceback" in capsys.readouterr().err


def test_records_left_there_are_judged_without_running(project, record):
    found = left_records(project, "toy", "smoke")
    assert found.first == record
    assert found.again is None
    claims = {c.id: c for c in load_claims(project)}
    assert verdict_from(project, claims["toy.repeats"], found).outcome == UNCHECKED
    verify(project, say=quiet)
    assert left_records(project, "toy", "smoke").again is not None
    write_record(project.run_folder("toy", "smoke") / "record.json", record._replace(code="other"))
    assert left_records(project, "toy", "smoke").again is None
    assert left_records(project, "toy", "paper") == Records(trouble="no local record")


def test_recompute_makes_the_second_computation_anew_too(project):
    write_claims(project, REPEATS)
    verify(project, say=quiet)
    said = []
    verify(project, recompute=True, say=said.append)
    assert sum("running" in line for line in said) == 2
    said.clear()
    verify(project, say=said.append)
    assert sum("running" in line for line in said) == 0


def test_the_table_has_one_row_per_claim(project):
    write_claims(project, ALL.replace("expected = 3", "expected = 4"))
    verdicts = verify(project, say=quiet)
    lines = table(verdicts).splitlines()
    assert lines[0].split() == ["claim", "level", "expected", "got", "verdict"]
    assert len(lines) == 2 + 5 + 2
    assert "FAILS (it differs)" in lines[3]
    assert lines[6].endswith("not checked (paper)")
    assert lines[-1] == tally(verdicts) == "5 claims: 3 hold, 1 fails, 1 not checked"
    write_claims(project, PAPER)
    assert tally(verify(project, say=quiet)) == "1 claim: 0 hold, 0 fail, 1 not checked"
