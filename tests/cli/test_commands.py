import errno
import os
import subprocess
import sys

import pytest
from toy_project import ALL, WELFARE, calls, write_claims

from attnjax.cli import main
from attnjax.reproduction import load_experiment, read_record
from attnjax.reproduction.records import write_record


@pytest.fixture
def call(capsys):
    """Runs a command and returns its exit code, what it printed, and what it said on the side."""

    def run(line, *words):
        code = main([*line.split(), *words])
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


def test_list_shows_what_there_is(project, call):
    code, out, _ = call("list")
    assert code == 0
    assert "toy  [main job]" in out
    assert "smoke  about 0.01 min, 0.2 GB; not run" in out
    call("run toy")
    assert "local record" in call("list")[1]


def test_list_of_an_empty_project(project, call):
    (project.root / "experiments" / "toy").rename(project.root / "experiments" / "_toy")
    assert "No experiments yet" in call("list")[1]


def test_run_makes_a_record_and_the_second_time_reuses_it(project, call):
    code, out, err = call("run toy --preset smoke")
    assert code == 0
    assert "record: runs/toy/smoke/record.json\n" in out
    assert "rule.best: 0.60" in out
    assert "stage solve: done" in err
    code, out, err = call("run toy")
    assert code == 0
    assert "record: runs/toy/smoke/record.json (reused)" in out
    assert "reusing the finished record" in err
    call("run toy --recompute")
    assert calls(project) == ["solve", "repeat"] * 2


def test_settings_behind_two_dashes(project, call):
    code, out, _ = call("run toy --seed 5 -- --repetitions 4")
    assert code == 0
    assert "over 4 repetitions" in out
    folder = next(path for path in (project.runs / "toy").iterdir())
    record = read_record(folder / "record.json", "r")
    assert (record.seed, record.config["repetitions"], record.preset) == (5, 4, folder.name)


def test_help_of_the_settings(project, call, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "toy", "--", "--help"])
    assert stop.value.code == 0
    assert "--repetitions" in capsys.readouterr().out


def test_without_words_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 0
    assert "attnjax run NAME" in capsys.readouterr().out


MISTAKES = [
    ("lst", "Did you mean 'list'"),
    ("run", "the following arguments are required: NAME"),
    ("run tyo", "Did you mean 'toy'"),
    ("run toy --preset big", "invalid choice"),
    ("run toy --sed 3", "unrecognized arguments"),
    ("run toy --seed x", "invalid int value"),
    ("run toy --seed -4", "a seed from 0"),
    ("run toy -- --repetition 4", "Did you mean '--repetitions'"),
    ("run toy -- --repetitions x", "invalid literal for int"),
    ("run toy -- --repetitions 0", "at least 1 repetition"),
    ("run toy --keep -- --repetitions 4", "put the settings into the preset"),
    ("run toy --keep", "outside a git clone"),
    ("verify -- --seed 3", "no settings after '--'"),
    ("verify --claim toy.wellfare", "Did you mean 'toy.welfare'"),
    ("verify --records kept --recompute", "--recompute with local records"),
    ("keep toy", "attnjax run toy --preset paper"),
    ("bands toy --batches 1", "at least 4 batches"),
    ("report", "attnjax reproduce"),
    ("data", "required: JOB"),
    ("data fetch", "required: NAME"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES)
def test_a_mistake_is_one_paragraph_and_code_2(project, call, line, message):
    code, _, err = call(line)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert message in last
    assert last.startswith("attnjax")
    assert "Traceback" not in err


def test_verify_prints_a_row_per_claim(project, call):
    code, out, _ = call("verify")
    assert code == 0
    assert out.count("holds") == 4
    assert "not checked (paper)" in out
    assert "5 claims: 4 hold, 0 fail, 1 not checked" in out
    assert call("verify --records kept")[1].count("not checked (no kept record)") == 4


@pytest.mark.parametrize("flip", ["gain", "noise"])
def test_a_flipped_sign_fails_the_verification_and_names_the_claim(project, call, monkeypatch, flip):
    """The verifier is itself verified: a wrong sign in a computed value must not pass."""
    write_claims(project, ALL)
    assert call("verify --tier paper")[0] == 0
    load_experiment(project, "toy")
    import experiments.toy as toy

    if flip == "gain":
        monkeypatch.setattr(toy, "gain", lambda share: share * (2.0 + share))
        failing, sound = "toy.welfare", "toy.order"
    else:
        measure = toy.EXPERIMENT.run

        def flipped(config, key, context):
            outcome = measure(config, key, context)
            return outcome._replace(per_seed={name: [-x for x in v] for name, v in outcome.per_seed.items()})

        object.__setattr__(toy.EXPERIMENT, "run", flipped)
        failing, sound = "toy.order", "toy.welfare"
    code, out, _ = call("verify --tier paper --recompute")
    assert code == 1
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith("toy.")}
    assert "FAILS" in rows[failing]
    assert "FAILS" not in rows[sound]


def test_a_flipped_sign_in_the_source_needs_no_recompute(project, call):
    assert call("verify")[0] == 0
    file = project.root / "experiments" / "toy" / "__init__.py"
    file.write_text(file.read_text().replace("(2.0 - share)", "(2.0 + share)"))
    done = subprocess.run(
        [sys.executable, "-m", "attnjax.cli", "verify", "--claim", "toy.welfare"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "the code changed" in done.stderr
    assert "FAILS (off by 1.25" in done.stdout


def test_the_main_job_twice(project, call):
    code, out, err = call("reproduce")
    assert code == 0
    assert "1 experiment, 0 from finished records" in out
    assert out.strip().endswith("Open reports/index.html in a browser.")
    assert "== [1/1] A toy market" in err
    code, out, err = call("reproduce")
    assert code == 0
    assert "1 experiment, 1 from finished records" in out
    assert "reusing the finished record runs/toy/paper/record.json" in err
    assert "running" not in err


def test_the_main_job_still_reports_when_a_claim_fails(project, call):
    write_claims(project, WELFARE.replace("1.375", "2.375"))
    code, out, _ = call("reproduce")
    assert code == 1
    assert "These claims fail here: toy.welfare" in out
    assert (project.reports / "index.html").is_file()


def test_report_keep_and_bands(project, call):
    call("run toy --preset paper")
    assert call("report")[1] == "Open reports/index.html\n"
    path = project.run_folder("toy", "paper") / "record.json"
    write_record(path, read_record(path, "r")._replace(commit="a" * 40, dirty=False))
    assert "kept: reproducibility/records/toy/paper.json (commit it)" in call("keep toy")[1]
    code, out, _ = call("bands toy --preset smoke --batches 4")
    assert code == 0
    assert 'value = "summary.rule.equal"\nband = [0.4' in out
    assert "reproducibility/bands/toy/smoke.json" in out
    code, out, _ = call("run toy --preset paper --keep --force")
    assert (code, "kept: " in out) == (0, True)


def test_data_jobs_are_handed_on(monkeypatch, call):
    from attnjax.cli import data

    monkeypatch.setattr(data, "list_command", lambda: print("listed"))
    monkeypatch.setattr(data, "fetch_command", lambda names: print("fetched", names))
    assert call("data list")[:2] == (0, "listed\n")
    assert call("data fetch movies city")[:2] == (0, "fetched ['movies', 'city']\n")


def test_version(call):
    code, out, _ = call("version")
    assert code == 0
    assert out.startswith("attnjax 0.")


def test_an_interruption_says_what_is_kept(project, call, monkeypatch):
    load_experiment(project, "toy")
    import experiments.toy as toy

    def interrupt(stage):
        if stage == "repeat":
            raise KeyboardInterrupt

    monkeypatch.setattr(toy, "note", interrupt)
    code, _, err = call("run toy")
    assert code == 130
    assert "Go on with the same command: attnjax run toy" in err
    monkeypatch.undo()
    os.chdir(project.root)
    assert "stage solve: reused from the interrupted run" in call("run toy")[2]


@pytest.mark.parametrize(
    ("number", "message"), [(errno.ENOSPC, "Make room"), (errno.EACCES, "Make the place writable")]
)
def test_a_full_or_closed_disk_is_explained(project, call, monkeypatch, number, message):
    from attnjax.reproduction import runner

    def refuse(*arguments):
        raise OSError(number, os.strerror(number), "runs")

    monkeypatch.setattr(runner, "write_record", refuse)
    code, _, err = call("run toy")
    assert code == 2
    assert message in err


def test_other_errors_are_defects_and_pass_through(project, monkeypatch):
    from attnjax.reproduction import runner

    def refuse(*arguments):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(runner, "write_record", refuse)
    with pytest.raises(OSError, match="broken"):
        main(["run", "toy"])


def test_a_missing_extra_says_what_to_install(project, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "tyro", None)
    code, _, err = call("run toy -- --repetitions 4")
    assert code == 2
    assert "pip install 'attnjax[experiments]'" in err
    call("run toy")
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = call("report")
    assert code == 2
    assert "pip install 'attnjax[experiments]'" in err


def test_a_defect_inside_an_optional_package_is_not_mistaken_for_its_absence(tmp_path, monkeypatch):
    from attnjax.extras import need

    (tmp_path / "half_there.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        need("half_there", "a test")


QUICK = """
import sys
from attnjax.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"jax", "matplotlib", "numpy", "pandas", "tyro"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("words", [["--help"], ["list"]])
def test_help_and_list_are_quick(project, words):
    done = subprocess.run([sys.executable, "-c", QUICK, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(project):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "attnjax.cli", "list"], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
