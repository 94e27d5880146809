"""Films are found under other spellings, and nothing uncertain is called found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.data.film_matching import Film, match_films, normalise, titles


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Misérables, Les", "Les Miserables"),
        ("Willy Wonka and the Chocolate Factory", "Willy Wonka & the Chocolate Factory"),
        ("William Shakespeare's Romeo and Juliet", "William Shakespeare's Romeo + Juliet"),
        ("Bound for Glory!", "Bound  for-Glory"),
        ("Avventura, L'", "L'avventura"),
        ("Alien 3", "Alien³"),
    ],
)
def test_spellings_of_one_title(one: str, other: str) -> None:
    assert normalise(one).replace(" ", "") == normalise(other).replace(" ", "")


def test_other_titles_stand_in_parentheses() -> None:
    assert titles("Postman, The (Il Postino)") == ("the postman", "il postino")
    assert titles("Léon: The Professional (a.k.a. The Professional) (Léon)") == (
        "leon the professional", "the professional", "leon"
    )  # fmt: skip
    assert titles("(Heat)") == ("heat",)
    assert titles("???") == ()


def one(film: Film, *others: Film) -> int | None:
    return match_films([film], others)[0]


@pytest.mark.parametrize(
    ("film", "other"),
    [
        (Film("Nikita (La Femme Nikita)", 1990), Film("Femme Nikita, La (Nikita)", 1990)),
        (Film("Braindead", 1992), Film("Dead Alive (Braindead)", 1992)),
        (Film("Cinema Paradiso", 1988), Film("Cinema Paradiso (Nuovo cinema Paradiso)", 1989)),
        (Film("Star Wars", 1977), Film("Star Wars: Episode IV - A New Hope", 1977)),
        (Film("Empire Strikes Back, The", 1980), Film("Star Wars: Episode V - The Empire Strikes Back", 1980)),
        (Film("Wrong Trousers, The", 1993), Film("Wallace & Gromit: The Wrong Trousers", 1993)),
        (Film("Star Trek: The Wrath of Khan", 1982), Film("Star Trek II: The Wrath of Khan", 1982)),
        (Film("Underneath, The", 1995), Film("Underneath", 1995)),
    ],
)
def test_films_that_are_the_same(film: Film, other: Film) -> None:
    noise = [Film("Heat", film.year), Film("Sudden Death", film.year)]
    assert one(film, *noise, other) == 2
    assert one(other, *noise, film) == 2


@pytest.mark.parametrize(
    ("film", "other"),
    [
        (Film("Psycho", 1960), Film("Psycho", 1998)),  # a remake
        (Film("Magnificent Seven, The", 1954), Film("Magnificent Seven, The", 1960)),
        (Film("Boys, Les", 1996), Film("Boys in Venice", 1996)),  # one word is too few
        (Film("Star Wars", 1977), Film("Star Wars: Episode IV - A New Hope", 1978)),  # contained, another year
        (Film("Star Wars", 1977), Film("Star Warship", 1977)),  # whole words only
        (Film("Die Hard", 1990), Film("Hard to Die", 1990)),
        (Film("Star Trek: Khan", 1982), Film("Star Trek: The Wrath of Khan", 1982)),
        (Film("unknown", None), Film("unknown", 1990)),
        (Film("Heat", None), Film("Heat", None)),
        (Film("???", 1990), Film("!!!", 1990)),
    ],
)
def test_films_that_are_not_certainly_the_same(film: Film, other: Film) -> None:
    assert one(film, other) is None
    assert one(other, film) is None


def test_what_is_ambiguous_stays_unmatched() -> None:
    emma = Film("Emma", 1996)
    assert one(emma, emma, Film("EMMA", 1996)) is None
    assert one(emma, Film("Emma", 1995), Film("Emma", 1997)) is None
    assert one(Film("Star Wars", 1977), Film("Star Wars: A", 1977), Film("Star Wars: B", 1977)) is None
    assert match_films([Film("Star Wars: A", 1977), Film("Star Wars: B", 1977)], [Film("Star Wars", 1977)]) == [
        None, None
    ]  # fmt: skip
    # A candidate that is taken still makes the other one doubtful.
    taken = Film("Star Wars: Holiday", 1977)
    assert match_films([taken, Film("Star Wars", 1977)], [taken, Film("Star Wars: A New Hope", 1977)]) == [0, None]
    # Same year is better than next year, and the main title than another one.
    assert one(emma, Film("Emma", 1995), emma) == 1
    assert one(emma, Film("Clueless (Emma)", 1996), emma) == 1
    # Ambiguous at one step is unmatched at all.
    assert match_films([emma, Film("Emma", 1995)], [emma, emma, Film("Emma", 1995)]) == [None, 2]


def test_a_film_listed_twice_is_one_film() -> None:
    chasing = Film("Chasing Amy", 1997)
    assert match_films([chasing, Film("Heat", 1995), chasing], [Film("Heat", 1995), chasing]) == [1, 0, 1]


words = st.sampled_from(["star", "wars", "the", "empire", "ii", "boys"])
films = st.lists(
    st.builds(
        Film,
        st.lists(words, min_size=1, max_size=4).map(" ".join),
        st.one_of(st.none(), st.integers(1990, 1993)),
    ),
    max_size=12,
)


@given(films, films, st.randoms(use_true_random=False))
def test_matches_are_one_to_one_near_in_time_and_independent_of_order(left, right, random) -> None:
    found = match_films(left, right)
    pairs = {((normalise(left[i].title), left[i].year), j) for i, j in enumerate(found) if j is not None}
    assert len({film for film, _ in pairs}) == len({place for _, place in pairs}) == len(pairs)
    for (_, year), place in pairs:
        assert abs(year - right[place].year) <= 1
    order = list(range(len(right)))
    random.shuffle(order)
    again = match_films(left, [right[place] for place in order])
    assert [None if place is None else order[place] for place in again] == found
    backwards = match_films(left[::-1], right)
    assert backwards[::-1] == found


@given(st.lists(st.builds(Film, st.text(max_size=12), st.integers(1990, 1999)), max_size=6))
def test_any_text_is_a_title(listed: list[Film]) -> None:
    assert len(match_films(listed, listed)) == len(listed)
