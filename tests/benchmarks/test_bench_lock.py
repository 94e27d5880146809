"""The peers' lock names exact versions with hashes and no address, and covers the extra `bench`."""

import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[2]
LOCK = (ROOT / "reproducibility" / "requirements-bench.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRIES = [line for line in LOCK.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
LOCKED = {canonicalize_name(entry.split("==")[0]): entry for entry in ENTRIES}
ASKED = [Requirement(text) for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["bench"])]


def test_no_address_is_in_the_lock():
    assert "://" not in LOCK


def test_every_requirement_is_exact_and_has_a_hash():
    assert len(LOCKED) == len(ENTRIES)
    for entry in ENTRIES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;]+( ;[^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry


@pytest.mark.parametrize("requirement", ASKED, ids=str)
def test_every_peer_is_locked_within_its_bound(requirement):
    version = re.match(r"[^=]+==([^\s;]+)", LOCKED[canonicalize_name(requirement.name)]).group(1)
    assert requirement.specifier.contains(version, prereleases=True)
