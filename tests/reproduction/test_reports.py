import csv
import dataclasses
import re
from html.parser import HTMLParser

import pytest
from toy_project import claim, write_claims

from attnjax.errors import UserError
from attnjax.reproduction import Figure, Table, load_experiment, run_experiment
from attnjax.reproduction import report as module
from attnjax.reproduction.figures import draw
from attnjax.reproduction.main_job import main_experiments, reproduce
from attnjax.reproduction.page import _table, number
from attnjax.reproduction.records import write_record
from attnjax.reproduction.report import slug, write_report


def quiet(line):
    pass


@pytest.fixture
def toy(project):
    return load_experiment(project, "toy")


VOID = {"meta", "img", "wbr"}


class Reader(HTMLParser):
    """Checks that elements nest, and gathers text and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.addresses, self.ids = [], [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.addresses += [found[name] for name in ("href", "src") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_needs_no_address_outside(project, toy):
    run_experiment(project, toy, "paper", say=quiet)
    path = write_report(project, say=quiet)
    reader = read(path)
    assert path == project.reports / "index.html"
    for address in reader.addresses:
        if address.startswith("#"):
            assert address[1:] in reader.ids
        elif not address.startswith("data:image/svg+xml;base64,"):
            assert (project.reports / address).is_file()
    assert not re.search(r"https?://|url\(", path.read_text())
    text = " ".join("".join(reader.text).split())
    for part in ("A toy market", "a bus & a tram", "Six <repetitions> & their mean.", "<three> quarters", "Toy §1"):
        assert part in text
    assert "It is so & <not> otherwise." in text


def test_tables_and_figures_are_files_too(project, toy):
    run_experiment(project, toy, "paper", say=quiet)
    write_report(project, say=quiet)
    rows = list(csv.reader((project.reports / "tables" / "toy-welfare-by-rule.csv").open()))
    assert rows[0] == ["rule", "mean", "low", "none"]
    assert float(rows[1][1]) == pytest.approx(0.5, abs=0.02)
    assert rows[1][3] == ""
    svg = (project.reports / "figures" / "toy-shares.svg").read_text()
    assert "<svg" in svg
    assert (project.reports / "figures" / "toy-shares.png").read_bytes().startswith(b"\x89PNG")
    write_report(project, say=quiet)
    assert (project.reports / "figures" / "toy-shares.svg").read_text() == svg


def test_the_paper_record_is_preferred_and_a_smoke_one_is_marked(project, toy):
    smoke = run_experiment(project, toy, "smoke", say=quiet).record
    assert "A smoke run" in write_report(project, say=quiet).read_text()
    write_record(project.kept("toy", "paper"), smoke._replace(preset="paper", code="other", commit="c" * 40))
    text = "".join(read(write_report(project, say=quiet)).text)
    assert "A smoke run" not in text
    assert "The code has changed" in text
    assert "reproducibility/records/toy/paper.json" in text
    assert "c" * 10 in text
    assert "A smoke run" in write_report(project, preset="smoke", say=quiet).read_text()


def test_claims_are_judged_on_what_lies_there(project, toy):
    run_experiment(project, toy, "paper", say=quiet)
    write_claims(
        project,
        claim("a", "statistical", "at_most", '"rule.equal"', "expected = 0.2", tier="paper"),
        claim("b", "exact", "equals", '"rounds"', "expected = 3", tier="paper"),
        claim("c", "exact", "equals", '"rounds"', "expected = 3"),
    )
    assert [v.outcome for v in module.judged_from_records(project)] == ["fails", "holds", "not checked"]
    text = " ".join("".join(read(write_report(project, say=quiet)).text).split())
    assert "✗ fails" in text
    assert "– not checked" in text
    assert "attnjax verify --claim c" in text
    (project.root / "experiments" / "toy" / "more.py").write_text("")
    assert {v.reason.split(";")[0] for v in module.judged_from_records(project)[:2]} == {"no record of this code"}


def test_without_records_or_claims_it_says_so(project, toy):
    with pytest.raises(UserError, match="attnjax reproduce"):
        write_report(project, say=quiet)
    write_claims(project)
    run_experiment(project, toy, "smoke", say=quiet)
    assert "makes no claims yet" in write_report(project, say=quiet).read_text()


def test_an_experiment_without_record_is_listed(project, toy):
    (project.root / "experiments" / "other").mkdir()
    source = (project.root / "experiments" / "toy" / "__init__.py").read_text()
    source = source.replace('name="toy"', 'name="other"').replace("main_job=True", "main_job=False")
    (project.root / "experiments" / "other" / "__init__.py").write_text(source)
    run_experiment(project, toy, "paper", say=quiet)
    text = write_report(project, say=quiet).read_text()
    assert "Not run yet" in text
    assert "attnjax run other --preset paper" in text
    assert [experiment.name for experiment in main_experiments(project)] == ["toy"]


def test_ragged_tables_and_figures_that_are_none_are_refused(project, toy, monkeypatch):
    ran = run_experiment(project, toy, "paper", say=quiet)
    shown = module.Shown(ran.record, "x", "")
    ragged = dataclasses.replace(toy, tables=lambda record: [Table("T", ["a", "b"], [[1]])])
    with pytest.raises(UserError, match="1 in row 1"):
        module._section(project, ragged, shown)
    with pytest.raises(UserError, match="got int"):
        draw(Figure("f", "c", lambda: 3), "toy")


def test_figures_made_with_pyplot_are_closed():
    def build():
        from matplotlib import pyplot

        figure, axes = pyplot.subplots()
        axes.plot([1, 2])
        return figure

    from matplotlib import pyplot

    assert b"<svg" in draw(Figure("f", "c", build), "toy").svg
    assert pyplot.get_fignums() == []


def test_an_interval_goes_below_its_number_and_the_column_is_numeric():
    table = Table("T", ["rule", "x", "y"], [["a-b", "-0.84 [-0.85, 0.83]", 1], ["c", "-", None]])
    text = _table(table, "t.csv")
    assert '<td class="n">−0.84 <small>[−0.85, 0.83]</small></td>' in text
    assert '<td class="n">-</td>' in text
    assert "<td>a-b</td>" in text


def test_numbers_in_tables():
    assert [number(x) for x in (None, True, False, -3, 1e-9, 2.5e12, "a-b")] == [
        "",
        "yes",
        "no",
        "−3",
        "1e−9",
        "2.5e12",
        "a-b",
    ]
    assert slug("???") == "untitled"


def test_the_main_job_runs_verifies_and_reports(project):
    first = reproduce(project, say=quiet)
    assert [ran.reused for ran in first.runs] == [False]
    assert {verdict.outcome for verdict in first.verdicts} == {"holds"}
    said = []
    second = reproduce(project, say=said.append)
    assert [ran.reused for ran in second.runs] == [True]
    assert not any("running" in line for line in said)
    assert second.report.is_file()


def test_without_a_main_job_it_says_so(project):
    file = project.root / "experiments" / "toy" / "__init__.py"
    file.write_text(file.read_text().replace("main_job=True", "main_job=False"))
    with pytest.raises(UserError, match="main_job=True"):
        reproduce(project, say=quiet)
