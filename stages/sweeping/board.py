"""How far a sweep is: one bar on a terminal, plain lines in a log."""

import sys
import time
from typing import Self

from tqdm import tqdm

PERIOD = 10.0
"""Seconds between two lines of a log."""


class Board:
    """Counts stages that run, are done and failed, and says about how long the rest takes.

    Writes to standard error. Use as a context manager, and have it `show` often.
    """

    def __init__(self, total: int) -> None:
        self._ended = self._failed = 0
        self._total = total
        self._start = self._last = time.monotonic()
        self._bar: tqdm | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, unit=" stages", desc="sweep", smoothing=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def ended(self, failed: bool) -> None:
        """Count one more stage."""
        self._ended += 1
        self._failed += failed

    def show(self, running: int) -> None:
        """Show where the sweep is."""
        now = time.monotonic()
        if self._bar is not None:
            self._bar.set_postfix(running=running, failed=self._failed, refresh=False)
            self._bar.n = self._ended
            self._bar.refresh()
        elif now - self._last >= PERIOD:
            self._last = now
            said = f"{self._ended} of {self._total} stages ended, {running} running"
            said += f", {self._failed} failed" if self._failed else ""
            if self._ended:
                left = (now - self._start) * (self._total / self._ended - 1)
                said += f", about {left:.0f} s left"
            self.say(said)

    def say(self, line: str) -> None:
        """A line of its own, above the bar."""
        tqdm.write(f"sweep: {line}", file=sys.stderr)
        sys.stderr.flush()
