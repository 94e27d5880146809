"""Data sets: where each is had, its checksums, and one loader each that returns typed arrays and frames.

    from attnjax.data import creators, load_movielens_100k

    data = load_movielens_100k()                      # fetched once, checked by sha256 at every load
    directors = creators(data, "directed_by")         # who made which film, with shares that sum to one

Files lie in one folder, `ATTNJAX_DATA` or the user's cache. The official address is tried first, then the
package that carries the same bytes. `attnjax data list` shows what there is, `attnjax data fetch NAME`
fetches it.

`attnjax.data.histories` and `attnjax.data.synthetic` import JAX, and are imported by name; this package does not.
"""

from attnjax.data.cache import cache_folder
from attnjax.data.carriers import NpmPackage, PipPackage, Web
from attnjax.data.cifar10 import Cifar10, load_cifar10
from attnjax.data.cleaning import Cleaned, clean_interactions, time_gaps
from attnjax.data.entries import DataFile, Source
from attnjax.data.fetching import fetch
from attnjax.data.incidence import Incidence, make_incidence
from attnjax.data.mnist import Mnist, load_mnist, on_colour_canvas
from attnjax.data.movielens import CREATOR_RELATIONS, MovieLens, creators, load_movielens_100k
from attnjax.data.movielens_features import MovieLensFeatures, movielens_features
from attnjax.data.open_bandit import OpenBandit, load_open_bandit
from attnjax.data.preprocessing import WORDS, Features, Table, fit_table, load_table, save_table
from attnjax.data.resco import RESCO_MAPS, RescoMap, load_resco_map
from attnjax.data.road_networks import RoadNetwork, read_road_network
from attnjax.data.route_files import Demand, read_demand
from attnjax.data.sources import checksums, find_source, list_sources
from attnjax.data.splits import (
    Split,
    holdout_split,
    last_moment_ties,
    leave_one_out_split,
    time_split,
    user_split,
)

__all__ = [
    "CREATOR_RELATIONS",
    "RESCO_MAPS",
    "WORDS",
    "Cifar10",
    "Cleaned",
    "DataFile",
    "Demand",
    "Features",
    "Incidence",
    "Mnist",
    "MovieLens",
    "MovieLensFeatures",
    "NpmPackage",
    "OpenBandit",
    "PipPackage",
    "RescoMap",
    "RoadNetwork",
    "Source",
    "Split",
    "Table",
    "Web",
    "cache_folder",
    "checksums",
    "clean_interactions",
    "creators",
    "fetch",
    "find_source",
    "fit_table",
    "holdout_split",
    "last_moment_ties",
    "leave_one_out_split",
    "list_sources",
    "load_cifar10",
    "load_mnist",
    "load_movielens_100k",
    "load_open_bandit",
    "load_resco_map",
    "load_table",
    "make_incidence",
    "movielens_features",
    "on_colour_canvas",
    "read_demand",
    "read_road_network",
    "save_table",
    "time_gaps",
    "time_split",
    "user_split",
]
