"""The one error that a user can mend, and how a stage ends on it."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

INTERRUPTED = "interrupted; run it again to go on"


class InputError(ValueError):
    """Input that cannot be used. The message says what, where, what is allowed, what to do."""


def remedy(path: Path, verb: str = "make") -> str:
    """What to do about a result that cannot be used: make it again, or train it, by `verb`."""
    first = "remove it and " if path.exists() else ""
    return f"{first}{verb} it again: dvc repro, or restore it: git checkout -- {path}"


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; on an `InputError` print its message and exit with 1.

    So too where a file cannot be read or written: a disk may be full or read-only.
    """
    try:
        main()
    except (InputError, OSError) as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        _say_what_puts_back()
        sys.exit(1)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        _say_what_puts_back()
        sys.exit(130)


def _say_what_puts_back() -> None:
    """How what an experiment changed in the working tree is put back, if this is a stage of one.

    DVC may set a value in the second in which it has git look at params.yaml, which takes the file
    for unchanged if it is as long as before: it becomes a second younger.
    """
    if "DVC_EXP_NAME" not in os.environ or ".dvc" in Path.cwd().parts:
        return
    params = Path("params.yaml")
    with suppress(OSError):
        was = params.stat()
        os.utime(params, ns=(was.st_atime_ns, was.st_mtime_ns + 10**9))
    back = f"git checkout -- {params} dvc.lock metrics plots"
    print(f"to put back what the experiment changed: {back}", file=sys.stderr)


def _end(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Show what no one has caught: of an interrupt, such as while PyTorch is imported, one line."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, where)
    _say_what_puts_back()


sys.excepthook = _end  # a process that Python ends on an interrupt has its exit code, 130, already
