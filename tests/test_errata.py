"""Each entry of the errata names tests that exist, or says that there is nothing to test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENTRIES = re.split(r"^### ", (ROOT / "reproducibility" / "ERRATA.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[
    1:
]


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.split(":")[0] for entry in ENTRIES])
def test_its_tests_exist(entry):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", entry)
    assert named or "There is nothing to test" in entry
    for path, name in named:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), (path, name)
