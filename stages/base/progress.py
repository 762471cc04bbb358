"""How far long work is: a bar on a terminal, plain lines in a log."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

PERIOD = 10.0
"""Seconds between two lines of a log."""


class Progress:
    """Counts towards `total`, with a loss beside it. Writes to standard error; thread-safe.

    Use as a context manager; call it with what has just been done and the present loss (nats).
    """

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = self._before = 0
        self._loss = float("nan")
        self._start = self._last = time.monotonic()
        self._lock = threading.Lock()
        self._bar = (
            tqdm(desc=label, total=total, unit=f" {unit}", leave=False)
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, loss: float) -> None:
        with self._lock:
            self._show(done, loss)

    def skip(self, done: int) -> None:
        """Count what was done before the start."""
        with self._lock:
            self._done += done
            self._before += done
            if self._bar is not None:
                self._bar.initial += done
                self._bar.update(done)

    def say(self, text: str) -> None:
        """A line of its own, above a bar."""
        tqdm.write(f"{self._label}: {text}", file=sys.stderr)

    def _show(self, done: int, loss: float) -> None:
        self._done += done
        self._loss = loss
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            self._bar.update(done)
        elif time.monotonic() - self._last >= PERIOD:
            self._last = time.monotonic()
            each = (self._last - self._start) / (self._done - self._before)
            left = each * (self._total - self._done)
            self._line(f"loss {loss:.3f}, {left:.0f} s left")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None:
            took = f"took {time.monotonic() - self._start:.1f} s"
            before = f" after {self._before:,} taken up" if self._before else ""
            self._line(f"loss {self._loss:.3f}, {took}{before}")

    def _line(self, text: str) -> None:
        count = f"{self._done:,} of {self._total:,} {self._unit}"
        print(f"{self._label}: {count}, {text}", file=sys.stderr, flush=True)
