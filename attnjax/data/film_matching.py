"""Which film of one list is which film of another, by title and year: pure functions, no data.

Two lists spell a film in two ways: `Nikita (La Femme Nikita)` and `Femme Nikita, La (Nikita)`, or `Empire
Strikes Back, The` and `Star Wars: Episode V - The Empire Strikes Back`. `match_films` asks in two tiers. In the
*exact* tier a title of one film is a title of the other after normalisation, and their years differ by at most
one: same year before next year, titles outside parentheses before those inside. In the *contained* tier a title
holds the other as whole words, and the years are the same.

Both tiers are cautious: a pair counts only if neither film has another candidate at that step, and a film that
had several stays unmatched at every later step too.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

ARTICLES = frozenset(re.findall(r"\w+", "the a an la le les l il lo gli i das der die el los las un une o os"))
"""Words that a list may move behind the title, after a comma."""

_PARENTHESIS = re.compile(r"\(([^()]*)\)")
_ALSO = re.compile(r"^\s*a\.?k\.?a\.?\s", re.IGNORECASE)
_NUMERALS = frozenset(re.findall(r"\w+", "ii iii iv v vi vii viii ix x 2 3 4 5 6 7 8 9 10"))


class Film(NamedTuple):
    """A film as a list names it.

    Attributes:
        title: its title, without the year.
        year: the year of its release, or `None` where unknown.
    """

    title: str
    year: int | None


def normalise(title: str) -> str:
    """Writes one title in plain words: an article that was moved behind comes to the front again.

    Args:
        title: a title without year or parentheses.

    Returns:
        Lower-case words of letters and digits without accents, with one space between them.

    >>> normalise("Misérables, Les"), normalise("Willy Wonka & the Chocolate Factory")
    ('les miserables', 'willy wonka and the chocolate factory')
    >>> normalise("Schindler's List"), normalise("L.A. Confidential")
    ('schindlers list', 'la confidential')
    """
    head, comma, tail = title.rpartition(",")
    if comma and _words(tail) in ARTICLES:
        title = f"{tail} {head}"
    return _words(title)


def titles(title: str) -> tuple[str, ...]:
    """Lists the names of a film: the title, and what stands in parentheses as another one.

    Args:
        title: a title without year.

    Returns:
        Normalised titles, the one outside parentheses first, none twice, none empty.

    >>> titles("Femme Nikita, La (Nikita)")
    ('la femme nikita', 'nikita')
    >>> titles("Seven (a.k.a. Se7en)"), titles("(500) Days of Summer")
    (('seven', 'se7en'), ('days of summer', '500'))
    """
    outside = _PARENTHESIS.sub(" ", title)
    inside = [_ALSO.sub("", part) for part in _PARENTHESIS.findall(title)]
    return tuple(dict.fromkeys(key for key in map(normalise, [outside, *inside]) if key))


def match_films(films: Sequence[Film], others: Sequence[Film]) -> list[int | None]:
    """Finds each film of one list in another.

    Args:
        films: the films to be found; those with the same title and year are one film.
        others: the list to look in, which names no film twice.

    Returns:
        For each film its place in `others`, or `None` where it is not there or not certain. Different films
        have different places.

    >>> here = [Film("Star Wars", 1977), Film("Postman, The (Il Postino)", 1994), Film("Emma", 1996)]
    >>> there = [Film("Il Postino (The Postman)", 1995), Film("Star Wars: Episode IV - A New Hope", 1977)]
    >>> match_films(here, there)
    [1, 0, None]
    """
    groups: dict[tuple[str, int | None], list[int]] = defaultdict(list)
    for index, film in enumerate(films):
        groups[normalise(film.title), film.year].append(index)
    distinct = [films[members[0]] for members in groups.values()]
    found = _match(distinct, others)
    place_of = {film: found.get(group) for group, film in enumerate(groups)}
    return [place_of[normalise(film.title), film.year] for film in films]


def _match(films: Sequence[Film], others: Sequence[Film]) -> dict[int, int]:
    left = [(titles(film.title), film.year) for film in films]
    right = [(titles(film.title), film.year) for film in others]
    found: dict[int, int] = {}
    open_left, open_right = set(range(len(left))), set(range(len(right)))
    for many, slack in ((1, 0), (None, 0), (1, 1), (None, 1)):  # titles to look at, years to be off
        places = defaultdict(set)
        for other in open_right:
            names, year = right[other]
            for name in names[:many]:
                places[name, year].add(other)
        pairs = {
            (one, other)
            for one in open_left
            for name in left[one][0][:many]
            for year in _years(left[one][1], slack)
            for other in places[name, year]
        }
        found |= _only(pairs)
        open_left -= {one for one, _ in pairs}
        open_right -= {other for _, other in pairs}

    of_year = defaultdict(list)
    for other, (_, year) in enumerate(right):
        of_year[year].append(other)
    pairs = {
        (one, other)
        for one in open_left
        for year in _years(left[one][1], 0)
        for other in of_year[year]
        if any(_contained(name, other_name) for name in left[one][0] for other_name in right[other][0])
    }
    # A candidate that the exact tier gave to another film still makes this one's case doubtful.
    return found | {one: other for one, other in _only(pairs).items() if other in open_right}


def _years(year: int | None, slack: int) -> range:
    return range(0) if year is None else range(year - slack, year + slack + 1)


def _only(pairs: set[tuple[int, int]]) -> dict[int, int]:
    """The pairs of which neither side is in another pair."""
    of_left = Counter(one for one, _ in pairs)
    of_right = Counter(other for _, other in pairs)
    return {one: other for one, other in sorted(pairs) if of_left[one] == of_right[other] == 1}


def _contained(name: str, other: str) -> bool:
    """Whether the shorter name stands in the longer one, as two words or more.

    An article in front does not count, and neither does the numeral of a sequel inside.

    >>> _contained("star trek the wrath of khan", "star trek ii the wrath of khan")
    True
    >>> _contained("the fear", "fear"), _contained("boys", "boys in venice"), _contained("star wars", "star warship")
    (True, False, False)
    """
    short, long = sorted((_without_article(name), _without_article(other)), key=len)
    if len(short) < 2:
        return short == long
    if any(long[start : start + len(short)] == short for start in range(len(long) - len(short) + 1)):
        return True
    inner = [word for word in long[1:-1] if word not in _NUMERALS]
    return len(inner) < len(long) - 2 and [long[0], *inner, long[-1]] == short


def _without_article(name: str) -> list[str]:
    words = name.split()
    return words[1:] if len(words) > 1 and words[0] in ARTICLES else words


def _words(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("&", " and ").replace("+", " and ")).lower()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"['’`.]", "", plain)
    return " ".join(re.findall(r"[a-z0-9]+", plain))
