"""The one exception for mistakes that a caller can mend.

Every check of input in the package raises `UserError` with the same four parts: where, what was expected, what
came, and what to do about it. The command line prints it as one paragraph and exits with code 2.
"""

from typing import NoReturn


class UserError(ValueError):
    """A mistake in what the caller asked for, with a message that says how to mend it."""


def fail(where: str, *, expected: str, got: str, advice: str) -> NoReturn:
    """Raises `UserError` with a message of the house's form.

    Args:
        where: the function or command that refuses, e.g. `"allocate"`.
        expected: what would have been right.
        got: what came instead.
        advice: what the caller can do now.

    Raises:
        UserError: always.

    >>> fail("allocate", expected="a budget of at least 0", got="-1.0", advice="Pass a non-negative budget.")
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: allocate: expected a budget of at least 0, got -1.0. Pass a non-negative budget.
    """
    raise UserError(f"{where}: expected {expected}, got {got}. {advice}")
