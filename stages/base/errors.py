"""The one error that a user can mend, and how a stage ends on it."""

import sys
from collections.abc import Callable


class InputError(ValueError):
    """Input that cannot be used. The message says what, where, what is allowed, what to do."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; on an `InputError` print its message and exit with 1.

    So too where a file cannot be read or written: a disk may be full or read-only.
    """
    try:
        main()
    except (InputError, OSError) as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
