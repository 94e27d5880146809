"""The registry's entries for RESCO's maps: one for each licence under which RESCO passes maps on."""

from collections.abc import Iterable

from attnjax.data.carriers import PipPackage, Web
from attnjax.data.entries import DataFile, Source

_OFFICIAL = "https://raw.githubusercontent.com/Pi-Star-Lab/RESCO/main/resco_benchmark/environments"


def _resco(
    city: str,
    title: str,
    licence: str,
    terms: str,
    citation: str,
    homepage: str,
    files: Iterable[tuple[str, int, str]],
) -> Source:
    """The maps of one origin; of each file its name, size and sha256."""
    return Source(
        name=f"resco-{city}",
        title=title,
        licence=licence,
        terms=f"{terms} The maps were cut and edited for RESCO.",
        citation=(
            f"{citation}; J. Ault and G. Sharon, Reinforcement Learning Benchmarks for Traffic Signal Control, "
            "NeurIPS Datasets and Benchmarks, 2021."
        ),
        homepage=homepage,
        files=tuple(
            DataFile(
                name,
                size,
                sha256,
                (Web(f"{_OFFICIAL}/{name}"), PipPackage("sumo-rl", "1.4.5", f"sumo_rl/nets/RESCO/{name}")),
            )
            for name, size, sha256 in files
        ),
    )


_COLOGNE = _resco(
    "cologne",
    "road networks and trips of three parts of Cologne (1, 3 and 8 signals), 7 to 8 in the morning",
    "CC BY-NC-SA 3.0",
    "Non-commercial use with attribution and under the same terms.",
    "C. Varschen and P. Wagner, Mikroskopische Modellierung der Personenverkehrsnachfrage auf Basis von "
    "Zeitverwendungstagebüchern (TAPASCologne), AMUS 2006",
    "https://sumo.dlr.de/docs/Data/Scenarios/TAPASCologne.html",
    (
        ("cologne1/cologne1.net.xml", 38633, "25b44c0450c8d8e1d13ae5c11e38ef8e55719c98eb76f861ca26f82e044524b5"),
        ("cologne1/cologne1.rou.xml", 182234, "7a3be6818a25b8c2bf48340eeead3e3dd26ed58683cdecd2b42ad3296a9d5eb7"),
        ("cologne3/cologne3.net.xml", 149615, "1cf9abd8268d13cc7a87862ab3da45abf1763047c4a64919247d4bb7ec8b3c41"),
        ("cologne3/cologne3.rou.xml", 763448, "4ef689311fd16f7ca667c1bd38acf8ded34b4e0a426c11c796d6a82ffe4e4951"),
        ("cologne8/cologne8.net.xml", 354765, "51194519fd4d69726612d38b44606637c31389b86079f909139ba8f1aaffd2a8"),
        ("cologne8/cologne8.rou.xml", 188137, "25cab1cc0d98d91bc12176743b57bc9710cd18d712f46c221b54131ee35ca646"),
    ),
)
_INGOLSTADT = _resco(
    "ingolstadt",
    "road networks and trips of three parts of Ingolstadt (1, 7 and 21 signals), 4 to 5 in the afternoon",
    "GPL-3.0",
    "Free use; what is passed on stays under the GPL.",
    "S. C. Lobo, S. Neumeier, E. M. G. Fernandez and C. Facchi, InTAS: The Ingolstadt Traffic Scenario for SUMO, "
    "SUMO User Conference 2020",
    "https://github.com/silaslobo/InTAS",
    (
        ("ingolstadt1/ingolstadt1.net.xml", 33252, "b34c625361d076efe612ba325e3ebdbdedde65a9a0101513672a5b03a3999a66"),
        ("ingolstadt1/ingolstadt1.rou.xml", 172052, "c165df16d4cb378b67818fc382b28e1b25f71f330ab67bf6c4b0c1c5c3574cef"),
        ("ingolstadt7/ingolstadt7.net.xml", 273925, "cdf9181fc9b8b5fddf376ea0625b3aa702efe9399206906be8c34694652e73ba"),
        ("ingolstadt7/ingolstadt7.rou.xml", 302634, "52ac3ded77a2fc910c41a7601afc7d67a38d724305a2b33d7f629d715fd21bf7"),
        (
            "ingolstadt21/ingolstadt21.net.xml",
            1860885,
            "a8eeab1feebf9e687f91aa16eeab283024e835012cce8a447a036b3f51d3e75b",
        ),
        (
            "ingolstadt21/ingolstadt21.rou.xml",
            425201,
            "58b943952914e799e55ed87e4fc27116bb638a208d8d114bfa237db13b933c97",
        ),
    ),
)
_GRID = _resco(
    "grid",
    "two synthetic road networks of 4 x 4 signals with an hour of vehicles",
    "CC BY-NC-SA 4.0",
    "Non-commercial use with attribution and under the same terms.",
    "C. Chen et al., Toward A Thousand Lights (grid4x4), AAAI 2020, and T. Chu et al., Multi-Agent Deep "
    "Reinforcement Learning for Large-Scale Traffic Signal Control (arterial4x4), IEEE T-ITS 21(3), 2020",
    "https://github.com/Pi-Star-Lab/RESCO",
    (
        ("grid4x4/grid4x4.net.xml", 462097, "0af71d655e4d0c0e2f0a39883b60a1f95d662e930794a9c76bf961402608869d"),
        ("grid4x4/grid4x4_1.rou.xml", 171190, "2350dce7e086b8dd27b94c772a4ff883c04c8232c1248c4b889d7c466f4127cc"),
        ("arterial4x4/arterial4x4.net.xml", 157653, "9363b8f845ce9b56ec1f8e4061cc8e2f18a36acb05fb22207804140d47fa1a82"),
        (
            "arterial4x4/arterial4x4_1.rou.xml",
            459999,
            "6463778ca58feb7dce6073591c380ff4cd5f8a0a09e05049aa08d53fc6f96839",
        ),
    ),
)

RESCO_SOURCES = (_COLOGNE, _INGOLSTADT, _GRID)
"""Cologne, Ingolstadt, and the synthetic grids."""
