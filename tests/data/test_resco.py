"""A map is two checked files and the hour they are run for; who passed it on is told with its licence."""

import pytest

from attnjax.cli.data import list_command
from attnjax.data import find_source
from attnjax.data.resco import RESCO_MAPS, load_resco_map, resco_source
from attnjax.errors import UserError


def test_every_map_has_its_network_and_its_routes_in_one_source() -> None:
    for name in RESCO_MAPS:
        files = [file.name for file in find_source(resco_source(name)).files if file.name.startswith(f"{name}/")]
        assert [file.split(".", 1)[1] for file in files] == ["net.xml", "rou.xml"]
    sizes = [len(find_source(f"resco-{city}").files) for city in ("cologne", "ingolstadt", "grid")]
    assert sizes == [6, 6, 4]


def test_each_origin_keeps_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    licences = {name: find_source(resco_source(name)).licence for name in RESCO_MAPS}
    assert licences["cologne8"] == "CC BY-NC-SA 3.0"
    assert licences["ingolstadt7"] == "GPL-3.0"
    assert licences["grid4x4"] == licences["arterial4x4"] == "CC BY-NC-SA 4.0"
    list_command()
    shown = capsys.readouterr().out
    for said in ("CC BY-NC-SA 3.0", "GPL-3.0", "CC BY-NC-SA 4.0", "pip package sumo-rl==1.4.5"):
        assert said in shown


@pytest.mark.parametrize(
    ("name", "routes", "settings"),
    [
        ("cologne3", "cologne3.rou.xml", (25_200, 28_800, 10, 3)),
        ("ingolstadt1", "ingolstadt1.rou.xml", (57_600, 61_200, 10, 3)),
        ("grid4x4", "grid4x4_1.rou.xml", (0, 3600, 10, 3)),
        ("arterial4x4", "arterial4x4_1.rou.xml", (0, 3600, 5, 2)),
    ],
)
def test_a_map_on_small_files(register, cache, name, routes, settings) -> None:
    source = resco_source(name)
    files = {f"{name}/{name}.net.xml": b"<net/>", f"{name}/{routes}": b"<routes/>"}
    register(source, **{file: (content, ()) for file, content in files.items()})
    for file, content in files.items():
        (cache / source / file).parent.mkdir(parents=True, exist_ok=True)
        (cache / source / file).write_bytes(content)
    found = load_resco_map(name)
    assert found.net.read_bytes() == b"<net/>"
    assert found.routes.read_bytes() == b"<routes/>"
    assert found[3:] == settings


def test_a_damaged_map_is_refused_with_its_licensed_source_named(register, cache) -> None:
    register("resco-cologne", **{"cologne1/cologne1.net.xml": (b"<net/>", ()), "cologne1/cologne1.rou.xml": (b"r", ())})
    (cache / "resco-cologne" / "cologne1").mkdir(parents=True)
    (cache / "resco-cologne" / "cologne1" / "cologne1.net.xml").write_bytes(b"<other/>")
    with pytest.raises(UserError, match=r"attnjax data fetch resco-cologne: .*the cached one is damaged"):
        load_resco_map("cologne1")


def test_an_unknown_map_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"expected one of cologne1, .*arterial4x4, got 'cologne2'"):
        load_resco_map("cologne2")
