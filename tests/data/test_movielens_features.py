"""Features of MovieLens in a small: fitted on the films and users of training ratings."""

import numpy as np
import pandas as pd
import pytest

from attnjax.data import MovieLens, movielens_features
from attnjax.errors import UserError

USER, ITEM = np.array([0, 0, 1, 2], np.int32), np.array([0, 1, 0, 2], np.int32)


def small(last_title="Unseen (1999)", last_age=99):
    users = pd.DataFrame(
        {
            "user_id": [1, 2, 3],
            "age": [20, 40, last_age],
            "gender": ["M", "F", "X"],
            "occupation": ["artist", "artist", "pilot"],
            "zip_code": ["1", "2", "3"],
        }
    )
    items = pd.DataFrame(
        {
            "item_id": [1, 2, 3],
            "title": ["Star Wars", "Star Trek", last_title],
            "year": pd.array([1977, None, 1999], dtype="Int16"),
            "genres": ["Action|Sci-Fi", "Sci-Fi", "Film-Noir"],
        }
    )
    none = pd.DataFrame()
    rating = np.ones(4, np.float32)
    return MovieLens(none, users, items, none, none, USER, ITEM, rating, np.arange(4), 3, 3)


def test_only_training_users_and_films_are_learned_from():
    found = movielens_features(small(), [0, 1, 2], min_word_count=2)
    assert found.user_table.categorical == {"gender": ("F", "M"), "occupation": ("artist",)}
    assert found.item_table.tags == {"genres": ("Action", "Sci-Fi"), "title": ("star",)}
    assert found.users.codes.tolist() == [[3, 2], [2, 2], [0, 0]]
    assert found.items.tags["genres"].tolist() == [[0, 1, 1], [0, 0, 1], [1, 0, 0]]
    assert found.items.tags["title"].tolist() == [[1, 1], [1, 1], [1, 0]]
    assert found.items.missing[:, 0].tolist() == [0, 1, 0]
    other = movielens_features(small("Another", 1), [0, 1, 2], min_word_count=2)
    assert (other.user_table, other.item_table) == (found.user_table, found.item_table)
    with pytest.raises(UserError, match="training rows"):
        movielens_features(small(), [])
