"""Each loader on a small file of its format, and MovieLens as published."""

import io
import pickle
import struct
import tarfile

import numpy as np
import pandas as pd
import pytest

from attnjax.data import (
    CREATOR_RELATIONS,
    creators,
    load_cifar10,
    load_mnist,
    load_movielens_100k,
    load_open_bandit,
    on_colour_canvas,
)
from attnjax.data.cifar10 import parse_cifar10, read_pickle
from attnjax.data.mnist import parse_idx, parse_mnist
from attnjax.data.movielens import parse_movielens
from attnjax.data.open_bandit import parse_open_bandit
from attnjax.errors import UserError

RATINGS = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n20\t7\t4\t100\n10\t5\t1\t90\n20\t5\t5\t95\n"
USERS = (
    b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    b"20\t53\tF\tnone\tT8H1N\n10\t24\tM\twriter\t01002\n"
)
ITEMS = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "5\tMisérables, Les\t1995\tDrama Musical\n"
    "6\tunkonwn\tunkonwn\tunknown\n"
    '7\tThe "Second": Part III (1994)\tV\tComedy\n'
).encode()
# The link file numbers films as the titles do: film 7 of 100k is film 5 there, and film 5 is film 2.
LINKS = b"item_id:token\tentity_id:token\n7\tm.other\n5\tm.7\n2\tm.5\n3\tm.other\n"
TITLES = 'movie_id,title,year\n2,"Misérables, Les",1995\n5,"The ""Second"", Part III",1994\n9,Heat,1995\n'.encode()
TRIPLES = (
    b"head_id:token\trelation_id:token\ttail_id:token\n"
    b"m.7\tfilm.film.directed_by\tm.z\nm.5\tfilm.film.directed_by\tm.z\nm.5\tfilm.film.directed_by\tm.a\n"
    b"m.z\tfilm.director.film\tm.7\nm.5\tfilm.film.country\tm.c\nm.other\tfilm.film.directed_by\tm.q\n"
)


def test_movielens_on_a_small_file() -> None:
    data = parse_movielens(RATINGS, USERS, ITEMS, LINKS, TRIPLES, TITLES)
    assert (data.num_users, data.num_items) == (2, 3)
    assert data.user.tolist() == [1, 0, 1]
    assert data.item.tolist() == [2, 0, 0]
    assert [a.dtype for a in data[5:9]] == [np.int32, np.int32, np.float32, np.int64]
    assert data.timestamp.tolist() == [100, 90, 95]
    assert data.ratings["rating"].tolist() == [4.0, 1.0, 5.0]
    assert data.users["zip_code"].tolist() == ["01002", "T8H1N"]
    assert data.users["occupation"].tolist() == ["writer", "none"]  # a word, not a missing value
    assert data.items["title"].tolist() == ["Misérables, Les", "unknown", 'The "Second": Part III']
    assert data.items["year"].tolist() == [1995, pd.NA, 1994]
    assert data.items["genres"].tolist() == ["Drama|Musical", "unknown", "Comedy"]
    assert data.links.to_dict("list") == {"item": [0, 2], "movie_id": [2, 5], "entity": ["m.5", "m.7"]}
    assert data.links.dtypes.tolist()[:2] == [np.int32, np.int32]
    directors = creators(data)
    assert directors.names == ("m.a", "m.z")
    np.testing.assert_array_equal(directors.dense(), [[0.5, 0.5], [0, 0], [0, 1]])
    np.testing.assert_array_equal(creators(data, split="full").dense(), [[1, 1], [0, 0], [0, 1]])
    assert creators(data, "country").names == ("m.c",)
    assert creators(data, "production_companies").num_creators == 0
    with pytest.raises(UserError, match=r"creators: expected a relation of directed_by, .*, got 'genre'"):
        creators(data, "genre")


def test_movielens_refuses_tables_that_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match="item 9 is not in the table of items"):
        parse_movielens(RATINGS + b"10\t9\t1\t1\n", USERS, ITEMS, LINKS, TRIPLES, TITLES)
    with pytest.raises(ValueError, match=r"it lacks \['zip_code'\]"):
        parse_movielens(
            RATINGS, b"user_id:token\tage:token\tgender:token\toccupation:token\n", ITEMS, LINKS, TRIPLES, TITLES
        )


@pytest.mark.usefixtures("real_cache")
def test_movielens_as_published() -> None:
    data = load_movielens_100k()
    assert (len(data.ratings), data.num_users, data.num_items) == (100_000, 943, 1_682)
    assert (len(data.triples), len(data.links)) == (91_631, 1_331)
    assert np.unique(data.user).size == 943
    assert np.unique(data.item).size == 1_682
    assert np.bincount(data.rating.astype(int)).tolist() == [0, 6110, 11370, 27145, 34174, 21201]
    assert (data.timestamp.min(), data.timestamp.max()) == (874724710, 893286638)
    assert data.items["title"][0] == "Toy Story"
    assert data.items["year"].isna().sum() == 1
    figures = {
        relation: (int(part.covered().sum()), part.num_creators, round(float(part.covered()[data.item].mean()), 3))
        for relation in CREATOR_RELATIONS[:3]
        for part in [creators(data, relation)]
    }
    assert figures == {
        "directed_by": (1329, 891, 0.954),
        "production_companies": (835, 231, 0.749),
        "country": (1330, 51, 0.954),
    }
    directors = creators(data)
    assert (directors.items_per_creator() >= 3).sum() == 140
    np.testing.assert_allclose(directors.dense().sum(axis=1), directors.covered())
    ratings = np.bincount(data.item, minlength=data.num_items)
    shares = {split: creators(data, split=split).dense().T @ ratings for split in ("full", "equal")}
    assert {split: round(gini(values), 4) for split, values in shares.items()} == {"full": 0.6578, "equal": 0.6702}


def gini(values: np.ndarray) -> float:
    ranks = np.arange(1, len(values) + 1)
    return float((2 * ranks - len(values) - 1) @ np.sort(values) / (len(values) * values.sum()))


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def tiny_idx_files() -> list[bytes]:
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    labels = np.array([7, 0, 9], dtype=np.uint8)
    return [idx(images), idx(labels), idx(images[:1]), idx(labels[:1])]


def test_mnist_on_small_files(register, cache) -> None:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = {f"{name}-ubyte": content for name, content in zip(names, tiny_idx_files(), strict=True)}
    register("mnist", **{name: (content, ()) for name, content in files.items()})
    (cache / "mnist").mkdir(parents=True)
    for name, content in files.items():
        (cache / "mnist" / name).write_bytes(content)
    data = load_mnist()
    assert data.train_images.shape == (3, 28, 28)
    assert data.train_images.dtype == np.uint8
    assert data.train_images[1, 0, 0] == 784 % 256
    assert data.train_images.flags.writeable
    assert (data.train_labels.tolist(), data.test_labels.tolist()) == ([7, 0, 9], [7])
    assert data.train_labels.dtype == np.int32
    assert data.frame.to_dict("list") == {
        "part": ["train"] * 3 + ["test"],
        "index": [0, 1, 2, 0],
        "label": [7, 0, 9, 7],
    }


def test_idx_refuses_other_files() -> None:
    for wrong in (b"", b"\x1f\x8b\x08\x00", bytes([0, 0, 13, 1, 0, 0, 0, 0])):
        with pytest.raises(ValueError, match="not an IDX file of unsigned bytes"):
            parse_idx(wrong)
    with pytest.raises(ValueError, match=r"says \(3,\) holds 2 entries"):
        parse_idx(idx(np.zeros(3, np.uint8))[:-1])
    with pytest.raises(ValueError, match="an IDX file of 3 axes ends inside its head"):
        parse_mnist(bytes([0, 0, 8, 3, 0, 0]), *tiny_idx_files()[1:])


def test_mnist_on_the_canvas_of_cifar() -> None:
    images = np.full((2, 28, 28), 9, np.uint8)
    placed = on_colour_canvas(images)
    assert placed.shape == (2, 32, 32, 3)
    assert placed.dtype == np.uint8
    np.testing.assert_array_equal(placed[:, 2:30, 2:30, 1], images)
    assert placed[:, :2].sum() == placed[:, :, 30:].sum() == 0
    with pytest.raises(UserError, match=r"expected images of shape \(n, 28, 28\), got shape \(28, 28\)"):
        on_colour_canvas(images[0])


ROUNDS = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user_feature_2,user_feature_3,"
    "user-item_affinity_0,user-item_affinity_1\n"
    "0,2019-11-24 00:00:17.004101+00:00,1,2,0,0.25,bb,x,y,z,0.0,2.0\n"
    "1,2019-11-24 00:00:18+00:00,0,3,1,0.75,aa,x,y,z,0.0,0.0\n"
)
CONTEXT = ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3\n1,1,0.5,a,b,c\n0,0,-0.5,a,b,d\n"


def test_open_bandit_on_small_files(register, cache) -> None:
    files = {"bts/men/men.csv": ROUNDS.encode(), "bts/men/item_context.csv": CONTEXT.encode()}
    register("open-bandit", **{name: (content, ()) for name, content in files.items()})
    (cache / "open-bandit" / "bts" / "men").mkdir(parents=True)
    for name, content in files.items():
        (cache / "open-bandit" / name).write_bytes(content)
    log = load_open_bandit("bts", "men")
    assert (log.num_items, log.num_positions) == (2, 3)
    assert log.item.tolist() == [1, 0]
    assert log.position.tolist() == [1, 2]
    assert log.click.tolist() == [0, 1]
    assert log.propensity.tolist() == [0.25, 0.75]
    assert log.timestamp.tolist() == [1574553617004101, 1574553618000000]
    assert log.user_features.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert log.rounds["user_feature_0"].tolist() == ["bb", "aa"]
    assert log.item_features.tolist() == [[0, 0, 0], [0, 0, 1]]
    assert log.affinity.tolist() == [[0.0, 2.0], [0.0, 0.0]]
    assert [array.dtype for array in log[2:10]] == [
        np.int32, np.int32, np.int32, np.float64, np.int64, np.int32, np.int32, np.float32
    ]  # fmt: skip
    assert log.items["item_feature_0"].tolist() == [-0.5, 0.5]
    assert str(log.rounds["timestamp"].dtype) == "datetime64[us, UTC]"


def test_open_bandit_refuses_what_it_does_not_know() -> None:
    with pytest.raises(UserError, match=r"expected a policy of random, bts, got 'greedy'. Pass policy='random'"):
        load_open_bandit("greedy")
    with pytest.raises(UserError, match="expected a campaign of all, men, women, got 'children'"):
        load_open_bandit(campaign="children")
    with pytest.raises(ValueError, match=r"lacks the columns \['user-item_affinity_2'\]"):
        parse_open_bandit(ROUNDS.encode(), (CONTEXT + "2,2,0.5,a,b,c\n").encode())
    with pytest.raises(ValueError, match="not numbered from 0 without gaps"):
        parse_open_bandit(ROUNDS.encode(), CONTEXT.replace("1,1,", "1,3,").encode())
    with pytest.raises(ValueError, match="an item or a position that does not exist"):
        parse_open_bandit(ROUNDS.replace(",1,2,0,", ",1,4,0,").encode(), CONTEXT.encode())


def string(text: bytes) -> bytes:
    """A string as Python 2 pickled it."""
    return b"T" + struct.pack("<i", len(text)) + text


def small(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def batch_pickle(rows: np.ndarray, labels: list[int], dtype: bytes = b"u1") -> bytes:
    """A batch as the authors' Python 2 pickled it, opcode by opcode."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + small(0) + b"\x85" + string(b"b") + b"tR"
        b"(" + small(1) + small(rows.shape[0]) + small(rows.shape[1]) + b"\x86"
        b"cnumpy\ndtype\n(" + string(dtype) + small(0) + small(1) + b"tR"
        b"(" + small(3) + string(b"|") + b"NNN" + small(-1) + small(-1) + small(0) + b"tb"
        b"\x89" + string(rows.tobytes()) + b"tb"
    )
    listed = b"](" + b"".join(small(label) for label in labels) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + listed + b"u."


def cifar_archive(**replaced: bytes) -> bytes:
    members = {}
    for part, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        rows = np.full((2, 3072), part, np.uint8)
        rows[:, 1024:2048] = 100  # green
        rows[0, 1] = 77  # red, row 0, column 1
        members[name] = batch_pickle(rows, [part, 9])
    names = b"".join(string(b"class%d" % number) for number in range(10))
    members["batches.meta"] = b"\x80\x02}(" + string(b"label_names") + b"](" + names + b"eu."
    box = io.BytesIO()
    with tarfile.open(fileobj=box, mode="w:gz") as archive:
        for name, content in (members | replaced).items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return box.getvalue()


def test_cifar10_on_a_small_archive(register, cache) -> None:
    content = cifar_archive()
    register("cifar-10", **{"cifar-10-python.tar.gz": (content, ())})
    (cache / "cifar-10").mkdir(parents=True)
    (cache / "cifar-10" / "cifar-10-python.tar.gz").write_bytes(content)
    data = load_cifar10()
    assert data.train_images.shape == (10, 32, 32, 3)
    assert data.train_images.dtype == np.uint8
    assert data.train_images[2, 0, 1].tolist() == [77, 100, 1]
    assert data.train_images[3, 5, 5].tolist() == [1, 100, 1]
    assert data.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert data.test_labels.tolist() == [5, 9]
    assert data.class_names[9] == "class9"
    assert data.frame["class_name"].tolist()[-2:] == ["class5", "class9"]


def test_cifar10_refuses_what_is_not_cifar10() -> None:
    box = io.BytesIO()
    with tarfile.open(fileobj=box, mode="w:gz"):
        pass
    with pytest.raises(ValueError, match="the archive has no cifar-10-batches-py/data_batch_1"):
        parse_cifar10(box.getvalue())
    rows = np.zeros((2, 3072), np.uint8)
    for wrong, said in (
        ({"batches.meta": pickle.dumps(1)}, "names no classes"),
        ({"test_batch": pickle.dumps({b"data": 3})}, "holds no array of images"),
        ({"test_batch": batch_pickle(rows, [1])}, r"a batch of 1 labels holds images of shape \(2, 3072\)"),
        ({"test_batch": batch_pickle(rows, [1, 2], dtype=b"f8")}, "an array is not one of type u1"),
        ({"test_batch": batch_pickle(rows, [1, 2])[:-40]}, "a pickle cannot be read"),
    ):
        with pytest.raises(ValueError, match=said):
            parse_cifar10(cifar_archive(**wrong))


class Attack:
    def __reduce__(self):
        return eval, ("open('/nowhere/attack', 'w')",)


@pytest.mark.parametrize(
    "content", [pickle.dumps(Attack()), b"cos\nsystem\n(S'exit 1'\ntR.", b"cnumpy\nload\n(S'/etc/passwd'\ntR."]
)
def test_no_pickle_runs_code(content: bytes) -> None:
    with pytest.raises(ValueError, match="which no batch of CIFAR-10 needs"):
        read_pickle(content)


def test_no_pickle_reaches_outside_itself() -> None:
    with pytest.raises(ValueError, match="it refers to an object outside itself"):
        read_pickle(b"Pname\n.")
