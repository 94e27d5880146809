"""The lock names exact versions with hashes and no address, and covers what pyproject.toml asks for."""

import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[1]
LOCK = (ROOT / "reproducibility" / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("experiments", "tutorials", "test")
# A requirement is a line and the lines that its backslashes join to it.
ENTRIES = [line for line in LOCK.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
LOCKED = {canonicalize_name(entry.split("==")[0]): entry for entry in ENTRIES}
ASKED = [
    requirement
    for group in (PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in EXTRAS))
    for requirement in map(Requirement, group)
    if canonicalize_name(requirement.name) != PROJECT["name"]
]


def test_no_address_is_in_the_lock():
    assert "://" not in LOCK
    assert not re.search(r"^\s*(-|@)(?!-hash)", LOCK, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_exact_and_has_a_hash(name):
    entry = LOCKED[name]
    assert re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;]+( ;[^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry


def test_no_requirement_appears_twice():
    assert len(LOCKED) == len(ENTRIES) > len(ASKED)


@pytest.mark.parametrize("requirement", ASKED, ids=str)
def test_every_dependency_is_locked_within_its_bound(requirement):
    entry = LOCKED[canonicalize_name(requirement.name)]
    version = re.match(r"[^=]+==([^\s;]+)", entry).group(1)
    assert requirement.specifier.contains(version, prereleases=True), f"{version} is outside {requirement}"
