"""How much is worked on at once; no result depends on it."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from threadpoolctl import threadpool_limits

Apply = Callable[..., Iterable[Any]]
"""A function that is called and returns like the built-in `map`."""


def allowed() -> list[int]:
    """The processors that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def cores() -> int:
    """How many processors this process may use."""
    return len(allowed()) or os.cpu_count() or 1


@contextmanager
def processes(most: int = 2) -> Iterator[Apply]:
    """A `map` over up to `most` processes, started anew: what they work on is sent to them."""
    with ProcessPoolExecutor(min(most, cores()), get_context("spawn")) as pool:
        yield pool.map


@contextmanager
def threads() -> Iterator[Apply]:
    """A `map` that works on as many pieces at a time as there are cores, each on one core."""
    with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
        yield pool.map
