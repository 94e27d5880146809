import pytest
from toy_project import ALL, ORDER, ROUNDS, WELFARE, claim, write_claims

from attnjax.errors import UserError
from attnjax.reproduction import find_project, load_experiment
from attnjax.reproduction.bands import make_bands
from attnjax.reproduction.claims import LEVELS, check_links, load_claims


def test_the_project_s_own_claims_are_well_formed_and_lead_somewhere(request):
    project = find_project(request.config.rootpath)
    check_links(project, load_claims(project))


def test_claims_are_read_in_order(project):
    claims = load_claims(project)
    assert [c.id for c in claims] == ["toy.welfare", "toy.rounds", "toy.repeats", "toy.order", "toy.paper"]
    assert claims[0].tolerance == 1e-9
    assert [c.expectation for c in claims] == [
        "1.375 +- 1e-09",
        "3",
        "the same bits twice",
        "rule.equal < rule.best",
        "<= 0.6",
    ]
    check_links(project, claims)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 1\n[[claim", "a TOML file"),
        ("schema = 2\n", "schema = 1"),
        ("x = 1\n", "schema = 1"),
        ("schema = 1\nextra = 2\n", "nothing else"),
        ("schema = 1\n[[claim]]\n", "claim number 1, `id`"),
        ("schema = 1\n" + WELFARE + WELFARE, "'toy.welfare' twice"),
        ("schema = 1\n" + WELFARE.replace('tier = "smoke"', 'tier = "big"'), "`tier`: expected smoke or paper"),
        ("schema = 1\n" + WELFARE.replace("why =", "whi ="), "`whi`: .*Did you mean 'why'"),
        ("schema = 1\n" + WELFARE.replace("toy.welfare", "Toy welfare"), "`id`: expected lower-case"),
        ("schema = 1\n" + WELFARE.replace("numerical", "roughly"), "`level`: expected exact or"),
        ("schema = 1\n" + WELFARE.replace("equals", "repeats"), "`relation`: expected one of equals, at_most"),
        ("schema = 1\n" + WELFARE.replace("toy:gain", "toy.gain"), "`function`: expected module:name"),
        ("schema = 1\n" + WELFARE.replace("::test_gain", ""), "`test`: expected file.py::function"),
        ("schema = 1\n" + WELFARE.replace('source = "Toy §1"', 'source = " "'), "`source`: expected a text"),
        ("schema = 1\n" + WELFARE.replace('"values.welfare"', "3"), "`value`: expected the dotted path"),
        ("schema = 1\n" + WELFARE.replace("1e-9", "0.0"), "`tolerance`: expected a positive"),
        ("schema = 1\n" + WELFARE.replace("1e-9", "-1"), "`tolerance`: expected a number of at least 0"),
        ("schema = 1\n" + WELFARE.replace("1e-9", "nan"), "`tolerance`: expected a number of at least 0"),
        ("schema = 1\n" + WELFARE.replace("three operations in float64", ""), "`why`: expected a sentence"),
        ("schema = 1\n" + WELFARE.replace("expected = 1.375", 'expected = "big"'), "`expected`: expected a finite"),
        ("schema = 1\n" + WELFARE.replace("expected = 1.375", ""), "`expected`: expected it to be given"),
        (
            "schema = 1\n" + ROUNDS.replace("= 3", "= 3.0"),
            "`expected`: expected whole numbers.*use the level numerical",
        ),
        ("schema = 1\n" + ROUNDS.replace("= 3", "= 3\ntolerance = 1"), "`tolerance`: .*numerical only"),
        ("schema = 1\n" + ORDER.replace('"<", ', ""), "`value`: expected a list such as"),
        ("schema = 1\n" + ORDER.replace('"<"', '"!="'), "`value`: .*'!=' at place 2"),
        ("schema = 1\n" + claim("a", "statistical", "equals", '"x"'), "`band`: expected it to be given"),
        ("schema = 1\n" + claim("a", "statistical", "equals", '"x"', "band = [2, 1]"), "`band`: expected two numbers"),
        ("schema = 1\n" + claim("a", "statistical", "at_most", '"x"', 'expected = "x"'), "a finite number"),
    ],
)
def test_a_claim_that_is_not_as_it_must_be_is_refused(project, text, message):
    project.claims.write_text(text)
    with pytest.raises(UserError, match=message):
        load_claims(project)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("experiments.toy:gain", "experiments.toy:gian", "`function`: expected something that imports"),
        ("experiments.toy:gain", "attnjax.nothing:gain", "`function`: expected something that imports"),
        ("tests/test_toy.py", "tests/test_tyo.py", "`test`: expected a file"),
        ("::test_gain", "::test_pain", "`test`: expected tests/test_toy.py to define test_pain"),
        ("::test_gain", "::TestMore::test_outside", "to define test_outside"),
        ('tutorial = ""', 'tutorial = "tutorials/x.ipynb"', "`tutorial`: expected a file"),
        ('experiment = "toy"', 'experiment = "tyo"', "`experiment`: .*Did you mean 'toy'"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(project, old, new, message):
    write_claims(project, WELFARE.replace(old, new))
    with pytest.raises(UserError, match=message):
        check_links(project, load_claims(project))


def test_a_test_may_be_inside_a_class_and_parametrised(project):
    write_claims(project, WELFARE.replace("::test_gain", "::TestMore::test_inside[0.5]"))
    check_links(project, load_claims(project))


def banded(low, high, value="summary.rule.equal"):
    return claim("toy.band", "statistical", "equals", f'"{value}"', f"band = [{low!r}, {high!r}]")


def test_a_band_is_the_one_that_seed_batches_gave(project):
    write_claims(project, banded(0.4, 0.6))
    with pytest.raises(UserError, match="attnjax bands toy --preset smoke"):
        check_links(project, load_claims(project))
    toy = load_experiment(project, "toy")
    low, high = make_bands(project, toy, "smoke", 4, say=lambda line: None)[0].bands["rule.equal"]
    write_claims(project, banded(low, high))
    claims = load_claims(project)
    check_links(project, claims)
    assert claims[0].expectation.startswith("overlaps [")
    write_claims(project, banded(low, 0.9))
    with pytest.raises(UserError, match="never widened"):
        check_links(project, load_claims(project))
    write_claims(project, banded(low, high, "rule.other"))
    with pytest.raises(UserError, match=r"a quantity with a band \(rule.best, rule.equal\)"):
        check_links(project, load_claims(project))
    write_claims(project, banded(low, high))
    file = project.root / "experiments" / "toy" / "__init__.py"
    file.write_text(file.read_text().replace('"smoke": Config()', '"smoke": Config(repetitions=5)'))
    make_again(project)
    with pytest.raises(UserError, match="other settings"):
        check_links(project, load_claims(project))


def make_again(project):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "experiments"]:
        del sys.modules[name]


def test_the_head_of_the_project_s_file_names_every_level_and_relation(request):
    text = find_project(request.config.rootpath).claims.read_text()
    for level, relations in LEVELS.items():
        for relation in relations:
            assert any(
                f'"{level}"' in line and f'"{relation}"' in line for line in text.splitlines() if line[:1] == "#"
            )


def test_all_toy_claims_are_valid():
    assert ALL.count("[[claim]]") == 5
