"""The fronts in small: what must hold of the record whatever the seeds."""

import numpy as np
import pytest

from attnjax.reproduction import find_project, read_record

pytest.importorskip("pymoo")


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "pareto_fronts", "--preset", "smoke"]) == 0
        path = find_project().run_folder("pareto_fronts", "smoke") / "record.json"
        return read_record(path, path.name)


def test_every_point_is_solved_and_nothing_is_above_a_certificate(record):
    found = record.certificates["exact"]
    assert found["all_converged"]
    assert 0 <= found["largest_relative_gap"] <= record.config["tol"]
    assert found["above_a_certificate"] < 1e-4


def test_linear_programs_reach_the_same_optima(record):
    weights = np.asarray(record.values["weights"])
    exact, programs = (np.sum(weights * record.values["points"][name], axis=1) for name in ("exact", "linear_programs"))
    np.testing.assert_allclose(exact, programs, rtol=2 * record.config["tol"])


def test_the_order_of_the_optimisers(record):
    """More of the front: the exact points, then the network, then what search or a single point finds."""
    volume = {name: record.summary[f"{name}_hypervolume"]["mean"] for name in record.values["points"]}
    assert volume["exact"] > volume["network"] > max(volume["nsga2"], volume["uniform"])
    assert all(volume["network"] > volume[name] for name in record.config["aggregators"])


def test_tables_and_figures_come_from_the_record(record):
    from experiments.pareto_fronts.show import figures, tables

    shown = tables(record)
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    for figure in figures(record):
        figure.build().draw_without_rendering()
