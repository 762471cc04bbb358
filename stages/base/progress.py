"""How far long work is: a bar on a terminal, plain lines in a log, metrics for `dvc exp show`."""

import json
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from tqdm import tqdm

from stages.base import files

PERIOD = 10.0
"""Seconds between two lines of a log."""
LIVE = Path("metrics/live")
"""In a clone: metrics of what runs just now, a file a stage, which git passes over.

One of a stage that was killed outright stays until the stage goes on, or `workspace.prepare`.
"""
LIVE_PERIOD = 2.0
"""Seconds between two states of such a file."""


class Progress:
    """Counts towards `total`, with a word beside it. Writes to standard error; thread-safe.

    Use as a context manager; call it with what has just been done and the present loss (nats).
    What a `stage` with so many `runs` does is in `LIVE` too while it lasts, if that folder exists.
    """

    def __init__(self, label: str, total: int, unit: str, stage: str = "", runs: int = 1) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = self._before = 0
        self._text = ""
        self._start = self._last = time.monotonic()
        self._live = LIVE / f"{stage}.json" if stage and LIVE.is_dir() else None
        self._runs, self._written = runs, float("-inf")
        self._lock = threading.RLock()
        self._bar: tqdm | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(desc=label, total=total, unit=f" {unit}", leave=False)

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, loss: float) -> None:
        with self._lock:
            self.count(done, loss=f"{loss:.3f}")
            now = time.monotonic()
            if self._live and now - self._written >= LIVE_PERIOD:
                self._written = now
                unit, left = self._unit.rpartition("-")[2].removesuffix("s"), round(self._left())
                shown = {unit: self._done / self._runs, "loss": loss, "seconds_left": left}
                with suppress(OSError):
                    files.write(self._live, json.dumps(shown))

    def count(self, done: int, **beside: object) -> None:
        """Count what has just been done, which may be nothing, and show what is beside it."""
        with self._lock:
            self._done += done
            self._text = ", ".join(f"{name} {value}" for name, value in beside.items())
            now = time.monotonic()
            if self._bar is not None:
                self._bar.set_postfix(beside, refresh=not done)
                self._bar.update(done)
            elif now - self._last >= PERIOD:
                self._last = now
                left = f", {self._left():.0f} s left" if self._done > self._before else ""
                self._line(f"{self._text}{left}")

    def skip(self, done: int) -> None:
        """Count what was done before the start."""
        with self._lock:
            self._done += done
            self._before += done
            if self._bar is not None:
                for count in ("initial", "last_print_n", "n"):
                    setattr(self._bar, count, getattr(self._bar, count) + done)

    def say(self, text: str) -> None:
        """A line of its own, above a bar."""
        tqdm.write(f"{self._label}: {text}", file=sys.stderr)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._live:
            with suppress(OSError):
                self._live.unlink(missing_ok=True)
        if self._bar is not None:
            self._bar.close()
        if kind is None:
            took = f"took {time.monotonic() - self._start:.1f} s"
            before = f" after {self._before:,} taken up" if self._before else ""
            self._line(f"{self._text}, {took}{before}")

    def _left(self) -> float:
        """Seconds, if it goes on as since the start."""
        each = (time.monotonic() - self._start) / (self._done - self._before)
        return each * (self._total - self._done)

    def _line(self, text: str) -> None:
        count = f"{self._done:,} of {self._total:,} {self._unit}"
        print(f"{self._label}: {count}, {text}", file=sys.stderr, flush=True)
