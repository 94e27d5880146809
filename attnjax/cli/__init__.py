"""The command line: `attnjax list`, `run`, `verify`, `report`, `reproduce`, `keep`, `bench`, `data` and others.

A user's mistake prints one paragraph and exits with code 2; a claim that fails exits with 1; Ctrl-C says what is
kept and exits with 130. Anything else that goes wrong is a defect and shows its traceback.
"""

import errno
import os
import sys
from collections.abc import Sequence

from attnjax.errors import UserError

_MENDABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after `attnjax`; those of the process by default.

    Returns:
        The exit code: 0 done, 1 a claim fails, 2 a mistake that the user can mend, 130 interrupted.
    """
    from attnjax.cli.commands import COMMANDS
    from attnjax.cli.parser import parse

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        options = parse(words)
        code = COMMANDS[options.command](options)
        sys.stdout.flush()
        return code
    except UserError as error:
        return _mistake(str(error))
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished records, finished stages and fetched data are kept, and nothing is half-written. "
            f"Go on with the same command: attnjax {' '.join(words)}",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        # The reader (for example `head`) has seen enough; keep Python from complaining while it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        advice = "Make room on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Make the place writable"
        return _mistake(
            f"expected to write or read {error.filename or 'a file'}, got: {error.strerror}. {advice} and run the "
            "command again; what was finished is kept."
        )


def _mistake(message: str) -> int:
    """Prints one paragraph and returns the exit code of a user's mistake."""
    print(message if message.startswith("attnjax") else f"attnjax: {message}", file=sys.stderr)
    return 2
