"""MovieLens-100k and its knowledge graph: who rated which film, and who made it.

Users and items are renumbered from 0 in the order of their published ids; the frames keep those ids. The
knowledge graph names its entities by Freebase ids (`m.06pj8`), and no table of names comes with it: a
creator's name is that id.

**The published link file is mended here.** RecBole ships `ml-100k.link`, from film to Freebase entity, with
MovieLens-100k, but its numbers are those of MovieLens-1M and later editions, of which it holds the first 1,682.
Read as they look, they give the maker of *Jurassic Park* to *North by Northwest*, both number 480 of their
edition. So films go to entities by way of the larger editions' titles: `attnjax.data.film_matching` finds each
film of 100k in `titles.csv` of the source `movielens-titles`, by title and year, and `ml-100k.link` is read with
the number found there. What is not found with certainty, or has a number above 1,682, has no entity. That
leaves 1,331 films, which have 95 % of the ratings; 1,329 of them have a director in the graph, out of 891.
"""

import io
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnjax.data.fetching import read_files
from attnjax.data.film_matching import Film, match_films
from attnjax.data.film_titles import read_titles
from attnjax.data.incidence import Incidence, make_incidence
from attnjax.errors import fail

SOURCE = "movielens-100k"
TITLES_SOURCE = "movielens-titles"

CREATOR_RELATIONS = (
    "directed_by",
    "production_companies",
    "country",
    "written_by",
    "produced_by",
    "cinematography",
    "actor",
)
"""Relations of the knowledge graph that say who or what a film comes from."""


class MovieLens(NamedTuple):
    """Ratings, users, films and the films' knowledge graph.

    Attributes:
        ratings: columns user, item, rating, timestamp: the four arrays below as a frame.
        users: one row per user, by number: user_id, age, gender, occupation, zip_code.
        items: one row per item, by number: item_id, title, year (missing where unknown), genres (joined by
            `|`).
        links: columns item, movie_id, entity: number in the larger editions and Freebase entity of a film, for
            those that have both, by item. A film that 100k lists twice has two rows.
        triples: columns head, relation, tail: the knowledge graph as published.
        user: (ratings,) int32 in [0, num_users).
        item: (ratings,) int32 in [0, num_items).
        rating: (ratings,) float32, 1 to 5.
        timestamp: (ratings,) int64, seconds since 1970.
        num_users: the number of users.
        num_items: the number of films.
    """

    ratings: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    links: pd.DataFrame
    triples: pd.DataFrame
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64]
    num_users: int
    num_items: int


def load_movielens_100k() -> MovieLens:
    """Loads MovieLens-100k, fetching it and the titles of the larger editions where they are not in the cache.

    Returns:
        100,000 ratings of 943 users on 1,682 films, in the published order.

    Raises:
        UserError: a file can be had nowhere, or the cache cannot be written to.

    Source: F. M. Harper and J. A. Konstan, 2015; knowledge graph: W. X. Zhao et al., KB4Rec, 2019.
    """
    kinds = ("inter", "user", "item", "link", "kg")
    files = read_files(SOURCE, *(f"ml-100k.{kind}" for kind in kinds))
    return parse_movielens(*files, *read_files(TITLES_SOURCE, "titles.csv"))


def parse_movielens(
    ratings: bytes, users: bytes, items: bytes, links: bytes, triples: bytes, titles: bytes
) -> MovieLens:
    """Reads the five atomic files and the table of titles.

    Two slips of the published item file are mended: the film without a title or year, spelled `unkonwn`, and
    a title that ends in a marker after its year, as in `... (1995)` with the year `V`.

    Args:
        ratings: user_id, item_id, rating, timestamp.
        users: user_id, age, gender, occupation, zip_code.
        items: item_id, movie_title, release_year, class.
        links: item_id, entity_id, where item_id numbers films as `titles` does, not as `items` does.
        triples: head_id, relation_id, tail_id.
        titles: movie_id, title, year.

    Returns:
        The data set.

    Raises:
        ValueError: a file lacks a column, or a rating names an unknown user or item.
    """
    user_table = _read(users, user_id=int, age=int, gender=str, occupation=str, zip_code=str)
    item_table = _read(items, item_id=int, movie_title=str, release_year=str, **{"class": str})
    rating_table = _read(ratings, user_id=int, item_id=int, rating=float, timestamp=float)
    link_table = _read(links, item_id=int, entity_id=str)
    triple_table = _read(triples, head_id=str, relation_id=str, tail_id=str)

    user_table = user_table.sort_values("user_id", ignore_index=True)
    item_table = item_table.sort_values("item_id", ignore_index=True)
    user = _renumber(rating_table["user_id"], user_table["user_id"], "user")
    item = _renumber(rating_table["item_id"], item_table["item_id"], "item")
    rating = rating_table["rating"].to_numpy(np.float32)
    timestamp = rating_table["timestamp"].to_numpy(np.float64).astype(np.int64)
    films = [_film(*row) for row in zip(item_table["movie_title"], item_table["release_year"], strict=True)]
    return MovieLens(
        ratings=pd.DataFrame({"user": user, "item": item, "rating": rating, "timestamp": timestamp}),
        users=user_table.astype({"user_id": np.int32, "age": np.int32}),
        items=pd.DataFrame(
            {
                "item_id": item_table["item_id"].astype(np.int32),
                "title": [film.title for film in films],
                "year": pd.array([film.year for film in films], dtype="Int16"),
                "genres": item_table["class"].str.replace(" ", "|"),
            }
        ),
        links=_link(films, read_titles(titles), link_table),
        triples=triple_table.set_axis(["head", "relation", "tail"], axis=1),
        user=user,
        item=item,
        rating=rating,
        timestamp=timestamp,
        num_users=len(user_table),
        num_items=len(item_table),
    )


def creators(data: MovieLens, relation: str = "directed_by", split: str = "equal") -> Incidence:
    """Says which creators each film has, after one relation of the knowledge graph.

    Args:
        data: the data set.
        relation: one of `CREATOR_RELATIONS`.
        split: `"equal"` shares a film equally among its creators; `"full"` credits each with all of it.

    Returns:
        The incidence over all films, of which some have no creator (`Incidence.covered`). Creators are
        numbered in the order of their Freebase ids, which also are their names.

    Raises:
        UserError: the relation or the split is unknown.
    """
    if relation not in CREATOR_RELATIONS:
        fail(
            "creators",
            expected=f"a relation of {', '.join(CREATOR_RELATIONS)}",
            got=repr(relation),
            advice="Pass one of these; data.triples holds every relation of the graph.",
        )
    triples = data.triples[data.triples["relation"] == f"film.film.{relation}"]
    pairs = triples.merge(data.links, left_on="head", right_on="entity")
    names, creator = np.unique(pairs["tail"].to_numpy(dtype=str), return_inverse=True)
    return make_incidence(pairs["item"].to_numpy(), creator, names.tolist(), num_items=data.num_items, split=split)


def _link(films: list[Film], titles: list[tuple[int, str, int]], link_table: pd.DataFrame) -> pd.DataFrame:
    """Which entity a film has: by its title to its number in the larger editions, by that to the entity."""
    places = match_films(films, [Film(title, year) for _, title, year in titles])
    found = [(item, titles[place][0]) for item, place in enumerate(places) if place is not None]
    numbered = pd.DataFrame(found, columns=["item", "movie_id"], dtype=np.int32)
    entities = link_table.rename(columns={"item_id": "movie_id", "entity_id": "entity"})
    return numbered.merge(entities.astype({"movie_id": np.int32}), on="movie_id").sort_values("item", ignore_index=True)


def _read(content: bytes, **columns: type) -> pd.DataFrame:
    """A tab-separated table whose header reads `name:type`; quotes are letters, and no field is missing."""
    frame = pd.read_csv(io.BytesIO(content), sep="\t", dtype=str, quoting=3, keep_default_na=False, encoding="utf-8")
    frame.columns = [str(column).split(":")[0] for column in frame.columns]
    lacking = [column for column in columns if column not in frame]
    if lacking:
        raise ValueError(f"the table has columns {list(frame.columns)}; it lacks {lacking}")
    return frame[list(columns)].astype({name: kind for name, kind in columns.items() if kind is not str})


def _renumber(values: pd.Series, known: pd.Series, what: str) -> NDArray[np.int32]:
    """The place of each value in the sorted column `known`."""
    place = pd.Index(known).get_indexer(pd.Index(values))
    if (place < 0).any():
        raise ValueError(f"{what} {values.iloc[int(np.argmin(place))]} is not in the table of {what}s")
    return place.astype(np.int32)


def _film(title: str, year: str) -> Film:
    if year.isdigit():
        return Film(title, int(year))
    inside = re.fullmatch(r"(.*) \((\d{4})\)", title)
    if inside:
        return Film(inside[1], int(inside[2]))
    return Film(title.replace("unkonwn", "unknown"), None)
