"""One large file over HTTP, from where the last attempt left it, with its progress."""

import time
from collections.abc import Iterable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, TextIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from stages.base.errors import InputError

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
SLOW, MINUTE = 1000.0, 60.0  # bytes a second, over so many seconds, below which it is given up
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds


class _CutError(Exception):
    """The transfer failed, and may go on later; `reached` bytes of the file are there."""

    def __init__(self, reason: str, reached: int = 0) -> None:
        super().__init__(reason)
        self.reached = reached


class _Progress:
    """Bytes arrived: a bar on a terminal, else a plain line for every 10 %."""

    def __init__(self, name: str, log: TextIO) -> None:
        self.name, self.log = name, log
        self.total: int | None = None
        self.tenth = -1
        self.bar: tqdm[Any] | None = None

    def begin(self, done: int, total: int | None) -> None:
        self.end()
        self.total, self.tenth = total, -1
        if self.log.isatty():
            self.bar = tqdm(
                desc=self.name, file=self.log, unit="B", unit_scale=True, initial=done, total=total
            )
        self.at(done)

    def at(self, done: int) -> None:
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
        elif self.total and 10 * done // self.total > self.tenth:
            self.tenth = 10 * done // self.total
            self.note(f"{10 * self.tenth} % of {self.total / 1e6:.0f} MB")

    def end(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def note(self, text: str) -> None:
        print(f"{self.name}: {text}", file=self.log, flush=True)


def fetch(url: str, path: Path, log: TextIO, pauses: Iterable[float] = PAUSES) -> None:
    """Bring the file at `url` to `path`, going on from the bytes that lie there already.

    After a cut it tries again: `pauses` are the seconds to wait before each further attempt, and
    start anew whenever an attempt gets further than all before it. Where nothing has come yet
    there is no second attempt. What has come stays at `path` for the next call. Whether it is
    the right file is for the caller to check.

    Raises:
        InputError: the address cannot be reached, refuses, cuts the connection for good, or is so
            slow that it would take days.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    furthest = 0
    waits: Iterator[float] = iter(())
    progress = _Progress(url.rpartition("/")[2], log)
    while True:
        try:
            return _receive(url, path, progress)
        except _CutError as cut:
            if cut.reached > furthest:
                furthest, waits = cut.reached, iter(pauses)
            pause = next(waits, None)
            if pause is None:
                after = f"cut after {path.stat().st_size:,} bytes" if furthest else "cannot be had"
                raise InputError(f"{url}: {after} ({cut})") from None
            progress.note(f"connection cut ({cut}); trying again in {pause:g} s")
            time.sleep(pause)
        finally:
            progress.end()


def _receive(url: str, path: Path, progress: _Progress) -> None:
    response, done = _open(url, path.stat().st_size if path.exists() else 0)
    with response, path.open("ab" if done else "wb") as file:
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdecimal() else None
        progress.begin(done, total)
        mark, since = done, time.monotonic()
        while True:
            try:
                chunk = response.read1(CHUNK)
            except (OSError, HTTPException) as error:
                raise _CutError(_reason(error), done) from None
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            progress.at(done)
            if (seconds := time.monotonic() - since) > MINUTE:
                if done - mark < SLOW * seconds:
                    raise InputError(f"{url}: slower than {SLOW / 1000:g} kB/s; use another")
                mark, since = done, time.monotonic()
        if total is not None and done < total:
            raise _CutError("closed by the server", done)


def _open(url: str, start: int) -> tuple[HTTPResponse, int]:
    """The file from byte `start`, or from 0 where the server cannot do that; and which it is."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if start and error.code == 416:  # shorter than what we have, which is then no part of it
            return _open(url, 0)
        raise _CutError(f"HTTP {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _CutError(_reason(error)) from None
    begin = start if response.status == 206 else 0
    if not begin or response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
        return response, begin
    response.close()
    return _open(url, 0)


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return _reason(error.reason)
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(text.split())
