"""Only the right link between films and the knowledge graph makes the graph's facts fit the films.

The published link file numbers films as MovieLens-1M does. Each test asks for something that holds in the world,
and the aggregate ones show that it fails when that file is read with the numbers of MovieLens-100k.
"""

import functools
import io

import numpy as np
import pandas as pd
import pytest

from attnjax.data import MovieLens, creators, load_movielens_100k
from attnjax.data.fetching import read_files

pytestmark = pytest.mark.usefixtures("real_cache")
load = functools.cache(load_movielens_100k)


def as_published(data: MovieLens) -> pd.DataFrame:
    """The links as they look, which are wrong."""
    (content,) = read_files("movielens-100k", "ml-100k.link")
    table = pd.read_csv(io.BytesIO(content), sep="\t").set_axis(["item", "entity"], axis=1)
    return table.assign(item=table["item"] - 1)


def item(data: MovieLens, title: str, year: int) -> int:
    (found,) = np.flatnonzero((data.items["title"] == title) & (data.items["year"] == year))
    return int(found)


def directors(data: MovieLens, title: str, year: int) -> set[str]:
    by = creators(data)
    return {by.names[creator] for creator in by.creator[by.item == item(data, title, year)]}


HITCHCOCK = {
    "North by Northwest": 1959, "Vertigo": 1958, "Psycho": 1960, "Rear Window": 1954, "Birds, The": 1963,
    "Notorious": 1946, "Rebecca": 1940, "39 Steps, The": 1935, "To Catch a Thief": 1955,
}  # fmt: skip
SPIELBERG = {
    "Jurassic Park": 1993, "Schindler's List": 1993, "E.T. the Extra-Terrestrial": 1982,
    "Raiders of the Lost Ark": 1981, "Indiana Jones and the Last Crusade": 1989, "Jaws": 1975,
}  # fmt: skip
KUBRICK = {
    "2001: A Space Odyssey": 1968, "Clockwork Orange, A": 1971, "Full Metal Jacket": 1987, "Shining, The": 1980,
    "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb": 1963,
}  # fmt: skip
SCORSESE = {
    "Taxi Driver": 1976, "GoodFellas": 1990, "Raging Bull": 1980, "Casino": 1995, "Cape Fear": 1991,
    "Age of Innocence, The": 1993,
}  # fmt: skip
ALLEN = {
    "Annie Hall": 1977, "Manhattan": 1979, "Sleeper": 1973, "Mighty Aphrodite": 1995, "Bullets Over Broadway": 1994,
    "Everyone Says I Love You": 1996,
}  # fmt: skip
COPPOLA = {
    "Godfather, The": 1972, "Godfather: Part II, The": 1974, "Apocalypse Now": 1979, "Bram Stoker's Dracula": 1992,
}  # fmt: skip
SCOTT = {"Blade Runner": 1982, "Alien": 1979, "G.I. Jane": 1997}


@pytest.mark.parametrize("films", [HITCHCOCK, SPIELBERG, KUBRICK, SCORSESE, ALLEN, COPPOLA, SCOTT])
def test_films_of_one_director_have_one_director(films: dict[str, int]) -> None:
    data = load()
    found = [directors(data, title, year) for title, year in films.items()]
    assert all(names == found[0] for names in found)
    assert len(found[0]) == 1


def test_different_directors_are_different() -> None:
    data = load()
    firsts = [next(iter(films.items())) for films in (HITCHCOCK, SPIELBERG, KUBRICK, SCORSESE, ALLEN, COPPOLA, SCOTT)]
    assert len(set.union(*(directors(data, *first) for first in firsts))) == 7
    assert directors(data, "Cape Fear", 1962) != directors(data, "Cape Fear", 1991)  # a remake by another


def test_the_star_wars_trilogy() -> None:
    data = load()
    lucas = directors(data, "Star Wars", 1977)
    others = [directors(data, "Empire Strikes Back, The", 1980), directors(data, "Return of the Jedi", 1983)]
    assert len(lucas.union(*others)) == 3  # Lucas, Kershner, Marquand
    written = creators(data, "written_by")
    hands = {
        title: {written.names[writer] for writer in written.creator[written.item == item(data, title, year)]}
        for title, year in (("Star Wars", 1977), ("Empire Strikes Back, The", 1980), ("Return of the Jedi", 1983))
    }
    assert hands["Star Wars"] == lucas < hands["Return of the Jedi"]
    assert hands["Empire Strikes Back, The"] & hands["Return of the Jedi"] - lucas  # Kasdan


def test_films_of_several_directors_have_as_many() -> None:
    data = load()
    assert len(directors(data, "Four Rooms", 1995)) == 4
    coens = directors(data, "Fargo", 1996)
    assert len(coens) == 2
    assert coens == directors(data, "Raising Arizona", 1987) == directors(data, "Hudsucker Proxy, The", 1994)


def sequels(data: MovieLens, links: pd.DataFrame) -> np.ndarray:
    """By how many years each sequel follows, as the graph says what is a sequel and MovieLens when it came."""
    said = data.triples[data.triples["relation"] == "film.film.sequel"]
    pairs = said.merge(links, left_on="head", right_on="entity").merge(
        links, left_on="tail", right_on="entity", suffixes=("", "_after")
    )
    year = data.items["year"].astype(float).to_numpy()
    return year[pairs["item_after"]] - year[pairs["item"]]


def test_no_sequel_comes_before_its_film() -> None:
    data = load()
    right, wrong = sequels(data, data.links), sequels(data, as_published(data))
    assert len(right) == 56
    assert (right >= 0).all()
    assert (wrong < 0).mean() > 0.4  # no better than tossing a coin


def shared_bits(data: MovieLens, links: pd.DataFrame) -> float:
    """Mutual information of MovieLens's genres and the graph's, summed over all pairs of them, in bits."""
    said = data.triples[data.triples["relation"] == "film.film.genre"].merge(links, left_on="head", right_on="entity")
    theirs = pd.crosstab(said["item"], said["tail"]).clip(upper=1)
    ours = data.items["genres"].str.get_dummies("|").loc[theirs.index]
    bits = 0.0
    for one in (ours.to_numpy(float), 1 - ours.to_numpy(float)):
        for other in (theirs.to_numpy(float), 1 - theirs.to_numpy(float)):
            both = one.T @ other / len(one)
            apart = np.outer(one.mean(axis=0), other.mean(axis=0))
            seen = both > 0
            bits += float((both[seen] * np.log2(both[seen] / apart[seen])).sum())
    return bits


def test_genres_agree_with_the_graphs_genres() -> None:
    data = load()
    entities = np.random.default_rng(0).permutation(data.links["entity"])
    right = shared_bits(data, data.links)
    wrong = shared_bits(data, as_published(data))
    chance = shared_bits(data, data.links.assign(entity=entities))
    assert right > 5 * chance
    assert wrong < 1.2 * chance  # 11.3, 1.6 and 1.8 bits
    assert right == pytest.approx(11.34, abs=0.01)


def test_a_director_works_within_a_lifetime() -> None:
    data = load()
    shares = {}
    for name, links in (("right", data.links), ("wrong", as_published(data))):
        by = creators(data._replace(links=links))
        year = data.items["year"].astype(float).to_numpy()[by.item]
        films = pd.DataFrame({"year": year, "by": by.creator}).groupby("by")["year"]
        often = (films.transform("count") >= 3).to_numpy()
        shares[name] = 1 - np.mean((year - films.transform("mean"))[often] ** 2) / np.var(year[often])
    assert shares["right"] > 0.9  # of the variance of years is between directors
    assert shares["wrong"] < 0.3


def test_which_films_are_linked() -> None:
    data = load()
    assert data.links["item"].is_unique
    assert data.links["movie_id"].max() <= 1682
    assert (data.links["movie_id"].nunique(), data.links["entity"].nunique()) == (1317, 1317)
    numbers = data.links.set_index("item")["movie_id"]
    for (title, year), number in {
        ("Jurassic Park", 1993): 480, ("Schindler's List", 1993): 527, ("Star Wars", 1977): 260,
        ("Empire Strikes Back, The", 1980): 1196, ("Return of the Jedi", 1983): 1210,
        ("Star Trek: The Wrath of Khan", 1982): 1374, ("Wrong Trousers, The", 1993): 1148,
        ("Nikita (La Femme Nikita)", 1990): 1249, ("Interview with the Vampire", 1994): 253,
    }.items():  # fmt: skip
        assert numbers[item(data, title, year)] == number
    # MovieLens-100k gives this title the year of the film that it remakes, and neither is taken for the other.
    assert item(data, "Magnificent Seven, The", 1954) not in numbers
    twice = numbers[[245, 267]]  # Chasing Amy is listed twice
    assert twice.nunique() == 1
