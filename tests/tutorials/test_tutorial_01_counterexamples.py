"""The *In the source* and *In the data* boxes of tutorial 01: each counterexample again, without a notebook."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from attnjax.allocation import SquaredNorm, allocate
from attnjax.data import creators, load_movielens_100k
from attnjax.data.fetching import read_files
from attnjax.objectives import iterate_revenue_rate, revenue_rate, shop_by_descent, shop_optimum

budget = 3.0


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def hand_case():
    return jnp.array([12.0, 20.0, 30.0])


def test_metaverse_1_minimising_a_benefit_serves_the_worse():
    joy = jnp.array([3.0, 1.0])
    minimised = allocate(-joy, 1.0, None, SquaredNorm()).weights
    assert minimised.tolist() == [0.0, 1.0]
    assert allocate(joy, 1.0, None, SquaredNorm()).weights.tolist() == [1.0, 0.0]


def test_metaverse_2_descent_runs_away_and_the_budget_is_not_kept():
    income = hand_case()
    runaway = shop_by_descent(income, jnp.array([-2.0, 1.0, 1.0]), projected=False)
    overspent = jnp.sum(shop_optimum(income)) - budget
    assert runaway.attention[0] == -jnp.inf
    assert not runaway.converged
    assert overspent == pytest.approx(12 / np.sqrt(3) - 3)


@pytest.mark.parametrize(("start", "comes_back"), [(-1.74, False), (-1.73, True), (-0.1, True)])
def test_metaverse_2_the_hill_is_where_the_box_says(start, comes_back):
    # b = 3 for the first good: the hill is at -3 / sqrt 3 = -1.732...
    end = shop_by_descent(hand_case(), jnp.array([start, 1.0, 1.0]), projected=False)
    assert bool(end.converged) is comes_back


def test_metaverse_3_the_fixed_point_keeps_five_sixths_of_the_error():
    errors = abs(iterate_revenue_rate(jnp.array([30.0]), 60)[:, 0] - 5.0)
    kept = errors[-1] / errors[-2]
    assert kept == pytest.approx(5 / 6, abs=1e-4)
    assert revenue_rate(jnp.array(30.0)) == 5.0


def test_metaverse_3_the_iterates_jump_from_side_to_side():
    errors = iterate_revenue_rate(jnp.array([30.0]), 60)[:, 0] - 5.0
    assert bool((errors[1:] * errors[:-1] < 0).all())


def test_metaverse_4_a_constant_satisfaction_sends_everything_to_one_use():
    nearly_equal = jnp.array([1.0, 1.001])
    winner = allocate(nearly_equal, 1.0, None, SquaredNorm(), temperature=1e-6).weights
    assert winner.tolist() == [0.0, 1.0]


def test_data_the_published_link_gives_four_directors_to_films_of_one():
    data = load_movielens_100k()
    (raw,) = read_files("movielens-100k", "ml-100k.link")
    published = pd.read_csv(io.BytesIO(raw), sep="\t", header=0, names=["number", "entity"]).eval("item = number - 1")
    hitchcock = np.flatnonzero(data.items["title"].isin(["Psycho", "Vertigo", "Rear Window", "North by Northwest"]))
    assert len(hitchcock) == 4
    for links, directors in ((published, 4), (data.links, 1)):
        found = creators(data._replace(links=links), "directed_by").select(hitchcock)
        assert found.item.tolist() == [0, 1, 2, 3]  # one director each
        assert found.num_creators == directors


def test_data_the_published_link_counts_films_as_a_larger_edition_does():
    # In the larger editions these numbers are Jurassic Park, Schindler's List, E.T., Raiders of the Lost Ark and
    # Indiana Jones and the Last Crusade, all by one director; in MovieLens-100k they are unrelated films.
    data = load_movielens_100k()
    (raw,) = read_files("movielens-100k", "ml-100k.link")
    published = pd.read_csv(io.BytesIO(raw), sep="\t", header=0, names=["number", "entity"]).eval("item = number - 1")
    numbers = np.array([480, 527, 1097, 1198, 1291])
    assert creators(data._replace(links=published)).select(numbers - 1).num_creators == 1
    mended = data.links.loc[data.links["movie_id"].isin(numbers), "item"]
    assert len(mended) == 5
    assert not np.isin(mended, numbers - 1).any()
    assert creators(data).select(mended).num_creators == 1
