"""What is learned comes from training rows alone, is exact when saved, and never yields what is not finite."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.data import WORDS, clean_interactions, fit_table, load_table, save_table, time_gaps
from attnjax.errors import UserError

COLUMNS = {"numeric": ["age", "price"], "categorical": ["job"], "tags": {"genres": "|", "title": WORDS}}


def frame(rows, seed):
    random = np.random.default_rng(seed)
    some = random.random((5, rows)) < 0.15
    return pd.DataFrame(
        {
            "age": np.where(some[0], np.nan, random.integers(10, 80, rows)),
            "price": np.where(some[1], np.inf, random.standard_cauchy(rows)),
            "job": np.where(some[2], None, random.choice(["doctor", "artist", "Ärztin"], rows)),
            "genres": np.where(some[3], None, random.choice(["Drama|War", "War", "Comedy|Drama", ""], rows)),
            "title": np.where(some[4], None, random.choice(["The Film (2)", "film, the", "A's"], rows)),
        }
    )


def assert_same(one, other):
    for a, b in zip((*one[:3], *one.tags.values()), (*other[:3], *other.tags.values()), strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.integers(0, 1000), st.integers(1, 40))
def test_test_rows_change_nothing_and_each_row_stands_alone(seed, rows):
    train = frame(rows, seed)
    table = fit_table(train, **COLUMNS)
    strange = pd.DataFrame(
        {"age": [-1e300], "price": [None], "job": ["pilot"], "genres": ["Film-Noir|War"], "title": ["UNHEARD film"]}
    )
    both = pd.concat([train, strange], ignore_index=True)
    assert fit_table(both.iloc[:rows], **COLUMNS) == table
    together, alone = table.apply(both), table.apply(train)
    assert_same(alone, type(alone)(*(x[:rows] for x in together[:3]), {k: v[:rows] for k, v in together.tags.items()}))
    for values in (*together[:3], *together.tags.values()):
        assert np.isfinite(values).all()
    assert together.codes[-1] == 0
    assert together.tags["genres"][-1, 0] == together.tags["title"][-1, 0] == 1


def test_numbers_are_filled_clipped_and_scaled_by_training_quantiles():
    seen = np.concatenate([np.arange(1, 100), [1e6, np.nan, np.inf]])
    table = fit_table(pd.DataFrame({"x": seen}), ["x"], quantiles=(0.05, 0.95))
    held = seen[:100]
    low, high = np.quantile(held, [0.05, 0.95])
    clipped = np.clip(held, low, high)
    quarter, centre, three = np.quantile(clipped, [0.25, 0.5, 0.75])
    values = np.array([0.0, 50.0, 1e9, np.nan, -np.inf])
    found = table.apply(pd.DataFrame({"x": values}))
    expected = (np.clip([0.0, 50.0, 1e9, 50.5, 50.5], low, high) - centre) / (three - quarter)
    np.testing.assert_allclose(found.numeric[:, 0], expected, rtol=1e-6)
    assert found.missing[:, 0].tolist() == [0, 0, 0, 1, 1]
    # One wrong value among a hundred moves neither centre nor scale by much.
    sane = fit_table(pd.DataFrame({"x": np.arange(1.0, 101)}), ["x"], quantiles=(0.05, 0.95)).numeric["x"]
    assert table.numeric["x"].scale == pytest.approx(sane.scale, rel=0.03)
    assert table.numeric["x"].high < 100


def test_columns_that_say_nothing_are_harmless():
    """All missing, constant, and constant but for a few."""
    train = pd.DataFrame({"none": [np.nan] * 8, "same": [7.0] * 8, "few": [0.0] * 7 + [4.0]})
    table = fit_table(train, list(train), quantiles=(0.0, 1.0))
    found = table.apply(pd.DataFrame({"none": [3.0, np.nan], "same": [7.0, 9.0], "few": [4.0, np.nan]}))
    np.testing.assert_array_equal(found.numeric, [[0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(found.missing, [[0, 0, 0], [1, 0, 1]])
    text = fit_table(pd.DataFrame({"job": [None, np.nan], "tags": [None, ""]}), (), ["job"], {"tags": "|"})
    assert text.sizes() == (2,)
    found = text.apply(pd.DataFrame({"job": ["a", None], "tags": ["x", None]}))
    assert found.codes[:, 0].tolist() == [0, 1]
    assert found.tags["tags"].tolist() == [[1], [0]]
    assert text.apply(pd.DataFrame({"job": [], "tags": []})).codes.shape == (0, 1)


def test_rare_values_and_tags_are_unknown_in_training_too():
    train = pd.DataFrame({"job": ["a", "a", "b"], "title": ["Star star wars", "Star trek", "wars"]})
    table = fit_table(train, (), ["job"], {"title": WORDS}, min_count=2)
    assert table.categorical["job"] == ("a",)
    assert table.tags["title"] == ("star", "wars")
    found = table.apply(train)
    assert found.codes[:, 0].tolist() == [2, 2, 0]
    assert found.tags["title"].tolist() == [[0, 1, 1], [1, 1, 0], [0, 0, 1]]
    assert fit_table(train, (), (), {"title": WORDS}, most_tags=1).tags["title"] == ("star",)


def test_a_saved_table_is_the_same_table(tmp_path):
    table = fit_table(frame(50, 3), **COLUMNS)
    save_table(table, tmp_path / "deep" / "table.json")
    again = load_table(tmp_path / "deep" / "table.json")
    assert again == table
    assert_same(again.apply(frame(20, 4)), table.apply(frame(20, 4)))
    path = tmp_path / "deep" / "table.json"
    content = json.loads(path.read_text())
    for text in (json.dumps(content | {"version": 2}), json.dumps({"format": 1}), "[]", path.read_text()[:50]):
        path.write_text(text)
        with pytest.raises(UserError, match=r"a file of the format attnjax\.table 1"):
            load_table(path)
    with pytest.raises(UserError, match="FileNotFoundError"):
        load_table(tmp_path / "none.json")


def test_what_the_tables_refuse():
    train = pd.DataFrame({"x": [1.0, 2.0], "t": ["a", "b"]})
    for call, words in (
        (lambda: fit_table(train, ["y"]), "got one without y"),
        (lambda: fit_table(train, ["x"], ["x"]), "each column named once"),
        (lambda: fit_table(train.iloc[:0], ["x"]), "got 0 rows"),
        (lambda: fit_table(train, ["x"], quantiles=(0.9, 0.1)), "low < high"),
        (lambda: fit_table(train, ["t"]), "numbers in the column 't'"),
        (lambda: fit_table(train, tags={"t": ""}), "a separator for each column"),
        (lambda: fit_table(train, ["x"]).apply(train[["t"]]), "Table.apply: .* got one without x"),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_cleaning_names_a_reason_for_every_row_that_goes():
    log = pd.DataFrame(
        [
            (0, 1, 4.0, 10),  # repeated later
            (0, 1, 5.0, 20),
            (0, 2, 0.5, 10),  # impossible
            (0, 2, np.inf, 10),  # impossible
            (None, 2, 3.0, 10),  # whose?
            (1, 3, 2.0, 5),
            (1, 3, 2.0, 5),  # duplicate
            (1, 4, np.nan, 6),  # kept: for filling
            (2, 5, 1.0, 7),  # the same moment: the later row counts
            (2, 5, 3.0, 7),
        ],
        columns=["user", "item", "rating", "timestamp"],
    )
    kept, dropped = clean_interactions(log, limits={"rating": (1, 5)})
    assert dropped == {"missing key": 1, "impossible rating": 2, "duplicate": 1, "repeated": 2}
    assert len(kept) + sum(dropped.values()) == len(log)
    assert kept["item"].tolist() == [1, 3, 4, 5]
    assert kept["rating"].tolist()[0] == 5.0
    assert kept["rating"].tolist()[-1] == 3.0
    assert not kept.duplicated(["user", "item"]).any()
    again, more = clean_interactions(kept, limits={"rating": (1, 5)})
    assert again.equals(kept)
    assert not any(more.values())
    with pytest.raises(UserError, match="the columns of keys, timestamp and limits"):
        clean_interactions(log, limits={"stars": (1, 5)})
    with pytest.raises(UserError, match="low <= high"):
        clean_interactions(log, limits={"rating": (5, 1)})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=30))
def test_gaps_are_to_the_users_previous_row(log):
    user, time = (np.array([row[k] for row in log], int) for k in range(2))
    gaps = time_gaps(user, time)
    for one in set(user):
        order = np.argsort(time[user == one], kind="stable")
        own = gaps[user == one][order]
        assert np.isnan(own[0])
        np.testing.assert_allclose(np.expm1(own[1:]), np.diff(time[user == one][order]), rtol=1e-12, atol=1e-12)


def test_gaps_refuse_what_does_not_match():
    with pytest.raises(UserError, match="a user and a timestamp per row"):
        time_gaps([0], [1, 2])
