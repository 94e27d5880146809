"""Features of MovieLens users and films, fitted on the training part: who, what, and when.

A user is known by age, gender and occupation; a film by its year, its genres and the words of its title. Users and
films that have no training rating are turned into features like all others, but nothing is learned from them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attnjax.data.movielens import MovieLens
from attnjax.data.preprocessing import WORDS, Features, Table, fit_table
from attnjax.errors import fail


class MovieLensFeatures(NamedTuple):
    """Features by number of user and film, and what they were made with.

    Attributes:
        users: a row per user: age; gender and occupation.
        items: a row per film: year; genres and title words as tags.
        user_table: save it with the model.
        item_table: likewise.
    """

    users: Features
    items: Features
    user_table: Table
    item_table: Table


def movielens_features(data: MovieLens, train: ArrayLike, *, min_word_count: int = 5) -> MovieLensFeatures:
    """Fits and applies the features.

    Args:
        data: the data set.
        train: rows of the ratings that are learned from.
        min_word_count: title words in fewer of the films learned from count as unknown.

    Returns:
        The features.

    Raises:
        UserError: if there are no training rows.
    """
    rows = np.asarray(train)
    if rows.size == 0:
        fail("movielens_features", expected="training rows", got="none", advice="Pass split.train.")
    users, items = np.unique(data.user[rows]), np.unique(data.item[rows])
    user_table = fit_table(data.users.iloc[users], ["age"], ["gender", "occupation"])
    words = fit_table(data.items.iloc[items], tags={"title": WORDS}, min_count=min_word_count)
    item_table = fit_table(data.items.iloc[items], ["year"], tags={"genres": "|"})
    item_table = item_table._replace(
        tags=item_table.tags | words.tags, separators=item_table.separators | words.separators
    )
    return MovieLensFeatures(user_table.apply(data.users), item_table.apply(data.items), user_table, item_table)
