"""The Open Bandit data set, small version: recommendations in three slots, with the true propensity of each.

Each log has 10,000 rows of one campaign under one policy: what was shown, in which slot, with which
probability, and whether it was clicked. Two warnings. Clicks are few (tens per log), too few for click models
or position bias. And features are hashed: items that share a code are an *item group*, never a brand or a
category. Users' hashes are the same in every log. Items' hashes have another salt per log; the groups that they
make are the same under both policies of a campaign, so groups are numbered here in a way that needs no hash.
"""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnjax.data.fetching import read_files
from attnjax.errors import fail

SOURCE = "open-bandit"
POLICIES = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")


class OpenBandit(NamedTuple):
    """One log of recommendations.

    Attributes:
        rounds: one row per recommendation: timestamp (UTC), item, position, click, propensity, and the hashes
            user_feature_0 to 3.
        items: one row per item: item_id, the number item_feature_0, and the hashes item_feature_1 to 3.
        item: (rounds,) int32 in [0, num_items).
        position: (rounds,) int32 in [0, num_positions): left, centre, right.
        click: (rounds,) int32, 0 or 1.
        propensity: (rounds,) float64, the probability with which the policy put that item in that position.
        timestamp: (rounds,) int64, microseconds since 1970.
        user_features: (rounds, 4) int32, a code per feature: the place of its hash among those of this log, so
            compare logs by the hashes in `rounds`, not by these codes.
        item_features: (num_items, 3) int32, the group of each item by item_feature_1 to 3, numbered in the order
            in which items show them, which is the same under both policies.
        affinity: (rounds, num_items) float32, past clicks of the user on each item.
        num_items: the number of items of the campaign.
        num_positions: the number of slots.
    """

    rounds: pd.DataFrame
    items: pd.DataFrame
    item: NDArray[np.int32]
    position: NDArray[np.int32]
    click: NDArray[np.int32]
    propensity: NDArray[np.float64]
    timestamp: NDArray[np.int64]
    user_features: NDArray[np.int32]
    item_features: NDArray[np.int32]
    affinity: NDArray[np.float32]
    num_items: int
    num_positions: int


def load_open_bandit(policy: str = "random", campaign: str = "all") -> OpenBandit:
    """Loads one log of the small Open Bandit data set, fetching it first where it is not in the cache.

    Args:
        policy: `"random"`, or `"bts"` for Bernoulli Thompson sampling.
        campaign: `"all"` (80 items), `"men"` (34) or `"women"` (46).

    Returns:
        10,000 rounds.

    Raises:
        UserError: the policy or the campaign is unknown, a file can be had nowhere, or the cache cannot be
            written to.

    Source: Y. Saito et al., arXiv:2008.07146.
    """
    for what, value, known in (("policy", policy, POLICIES), ("campaign", campaign, CAMPAIGNS)):
        if value not in known:
            fail(
                "load_open_bandit",
                expected=f"a {what} of {', '.join(known)}",
                got=repr(value),
                advice=f"Pass {what}={known[0]!r}.",
            )
    folder = f"{policy}/{campaign}"
    return parse_open_bandit(*read_files(SOURCE, f"{folder}/{campaign}.csv", f"{folder}/item_context.csv"))


def parse_open_bandit(rounds: bytes, items: bytes) -> OpenBandit:
    """Reads the two files of one log.

    Args:
        rounds: CSV with timestamp, item_id, position (from 1), click, propensity_score, user_feature_0 to 3
            and a column user-item_affinity_k per item.
        items: CSV with item_id and item_feature_0 to 3.

    Returns:
        The log.

    Raises:
        ValueError: a column is missing, or a round names an unknown item or position.
    """
    table = pd.read_csv(io.BytesIO(rounds), index_col=0)
    item_table = pd.read_csv(io.BytesIO(items), index_col=0).sort_values("item_id", ignore_index=True)
    num_items, num_positions = len(item_table), 3
    affinities = [f"user-item_affinity_{index}" for index in range(num_items)]
    features = [f"user_feature_{index}" for index in range(4)]
    needed = ["timestamp", "item_id", "position", "click", "propensity_score", *features, *affinities]
    lacking = [column for column in needed if column not in table]
    if lacking:
        raise ValueError(f"the log lacks the columns {lacking}")
    if item_table["item_id"].tolist() != list(range(num_items)):
        raise ValueError("the items are not numbered from 0 without gaps")
    item = table["item_id"].to_numpy(np.int32)
    position = table["position"].to_numpy(np.int32) - np.int32(1)
    if not (((item >= 0) & (item < num_items)).all() and ((position >= 0) & (position < num_positions)).all()):
        raise ValueError("a round names an item or a position that does not exist")
    moments = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    click = table["click"].to_numpy(np.int32)
    propensity = table["propensity_score"].to_numpy(np.float64)
    codes = [np.unique(table[name].to_numpy(dtype=str), return_inverse=True)[1] for name in features]
    groups = [pd.factorize(item_table[f"item_feature_{index}"])[0] for index in range(1, 4)]
    logged = {"timestamp": moments, "item": item, "position": position, "click": click, "propensity": propensity}
    return OpenBandit(
        rounds=pd.DataFrame(logged | {name: table[name] for name in features}),
        items=item_table.astype({"item_id": np.int32}),
        item=item,
        position=position,
        click=click,
        propensity=propensity,
        timestamp=moments.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64),
        user_features=np.stack(codes, axis=1).astype(np.int32),
        item_features=np.stack(groups, axis=1).astype(np.int32),
        affinity=table[affinities].to_numpy(np.float32),
        num_items=num_items,
        num_positions=num_positions,
    )
