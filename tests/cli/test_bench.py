import subprocess

import pytest

from attnjax.cli import bench, main


def test_a_project_without_the_benchmark(project, capsys):
    assert main(["bench", "allocation"]) == 2
    assert "expected a project with experiments/benchmarks/allocation/" in capsys.readouterr().err


def test_options_are_handed_on_and_the_exit_code_back(project, monkeypatch):
    (project.root / "experiments/benchmarks/allocation").mkdir(parents=True)
    started = []

    def run(command, **options):
        started.append((command[1:], options["cwd"]))
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(bench.subprocess, "run", run)
    assert main(["bench", "allocation", "--preset", "paper", "--only", "nash", "scs", "--keep"]) == 2
    module = bench.MODULES["allocation"]
    words = ["-m", module, "--preset", "paper", "--keep", "--only", "nash", "scs"]
    assert started == [(words, project.root)]
    main(["bench", "allocation"])
    assert started[1][0] == ["-m", module, "--preset", "smoke"]
    (project.root / "experiments/benchmarks/meta").mkdir()
    assert main(["bench", "meta", "--preset", "paper", "--no-peers", "--peers-python", "python3", "--keep"]) == 2
    words = ["-m", bench.MODULES["meta"], "--preset", "paper", "--keep", "--no-peers", "--peers-python", "python3"]
    assert started[2] == (words, project.root)
    (project.root / "experiments/benchmarks/aggregation").mkdir()
    assert main(["bench", "aggregation", "--preset", "paper", "--no-peers", "--peers-python", "python3"]) == 2
    words = ["-m", bench.MODULES["aggregation"], "--preset", "paper", "--no-peers", "--peers-python", "python3"]
    assert started[3] == (words, project.root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bench", "See 'attnjax bench --help'"),
        ("bench films", "See 'attnjax bench --help'"),
        ("bench allocation --preset huge", "See 'attnjax bench allocation --help'"),
        ("bench allocation --only", "See 'attnjax bench allocation --help'"),
        ("bench meta --peers-python", "See 'attnjax bench meta --help'"),
        ("bench aggregation --peers-python", "See 'attnjax bench aggregation --help'"),
    ],
)
def test_mistakes_exit_with_2_and_advice(project, capsys, line, message):
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err
