"""The other programs that commands run: git and DVC."""

import subprocess
import sys

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

    Raises:
        KeyboardInterrupt: it came while DVC ran. It reaches DVC too, which ends its stage and then
            itself: that is waited for.
    """
    process = subprocess.Popen([*DVC, *arguments])
    interrupted = False
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if process.returncode:
        sys.exit(process.returncode)
