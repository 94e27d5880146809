import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from data_server import Server

from attnjax.data import sources
from attnjax.data.carriers import Carrier
from attnjax.data.entries import DataFile, Source

GIVEN = os.environ.get("ATTNJAX_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own, unless it asks for `real_cache`."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ATTNJAX_DATA", str(folder))
    return folder


@pytest.fixture
def real_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own cache: what the main job needs anyway is fetched once, through the normal path."""
    if GIVEN is None:
        monkeypatch.delenv("ATTNJAX_DATA")
    else:
        monkeypatch.setenv("ATTNJAX_DATA", GIVEN)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Source]:
    """Adds a data set to the registry: file name -> (content, carriers)."""

    def add(name: str = "tiny", **files: tuple[bytes, tuple[Carrier, ...]]) -> Source:
        source = Source(
            name=name,
            title="a tiny data set",
            licence="none",
            terms="For tests.",
            citation="Nobody.",
            homepage="https://example.invalid/",
            files=tuple(
                DataFile(file, len(content), hashlib.sha256(content).hexdigest(), carriers)
                for file, (content, carriers) in files.items()
            ),
        )
        monkeypatch.setitem(sources.SOURCES, name, source)
        return source

    return add
