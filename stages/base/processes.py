"""The other programs that commands run: git and DVC."""

import subprocess
import sys
from contextlib import suppress

from stages.base.errors import InputError

DVC = [sys.executable, "-m", "dvc"]


def git(*arguments: str) -> str:
    """What git prints.

    Raises:
        InputError: it fails; the message is its own.
    """
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def dvc_output(*arguments: str) -> str:
    """What a command of DVC prints; where it fails it has said why, and this process ends."""
    done = subprocess.run([*DVC, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def dvc(*arguments: str) -> None:
    """Run a command of DVC in sight; where it fails, this process ends as it did.

    An interrupt reaches DVC too, which ends its stage and then itself: it is waited for.
    """
    process = subprocess.Popen([*DVC, *arguments])
    while process.returncode is None:
        with suppress(KeyboardInterrupt):
            process.wait()
    if process.returncode:
        sys.exit(process.returncode)
