"""From the official files to the bytes that are cached, so that one checksum judges every carrier.

GroupLens publishes MovieLens-100k as `u.data` (tab-separated, no header) and `u.user` (bars, no header).
RecBole's package carries the same rows in its *atomic* format: tabs, and a header whose fields are
`name:type`. For these two files the step between them is exact and small, and lives here.

`u.item` is left out on purpose: RecBole's `.item` drops dates and addresses, splits the year off the title
and writes genres as words, with slips of its own (the spelling `unkonwn`, a year `V`). Its bytes cannot be
promised from the official file, so `.item` comes from RecBole's package only, as do `.kg` and `.link`, which
GroupLens never had.
"""

RATINGS_HEADER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
USERS_HEADER = b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"


def ratings_from_official(u_data: bytes) -> bytes:
    r"""Turns GroupLens's `u.data` into the cached ratings file, row for row.

    Args:
        u_data: lines of `user, item, rating, timestamp`, separated by tabs.

    Returns:
        The same rows under a header.

    Raises:
        ValueError: a line does not have four fields.

    >>> ratings_from_official(b"196\t242\t3\t881250949\n").splitlines()[1]
    b'196\t242\t3\t881250949'
    """
    return _table(RATINGS_HEADER, u_data, separator=b"\t", fields=4)


def users_from_official(u_user: bytes) -> bytes:
    r"""Turns GroupLens's `u.user` into the cached users file, row for row.

    Args:
        u_user: lines of `user|age|gender|occupation|zip code`.

    Returns:
        The same rows under a header, separated by tabs.

    Raises:
        ValueError: a line does not have five fields.

    >>> users_from_official(b"1|24|M|technician|85711\n").splitlines()[1]
    b'1\t24\tM\ttechnician\t85711'
    """
    return _table(USERS_HEADER, u_user, separator=b"|", fields=5)


def _table(header: bytes, text: bytes, separator: bytes, fields: int) -> bytes:
    lines = text.replace(b"\r\n", b"\n").splitlines()
    rows = [line.split(separator) for line in lines if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != fields:
            raise ValueError(f"line {number} has {len(row)} fields, not {fields}")
    return header + b"".join(b"\t".join(row) + b"\n" for row in rows)
