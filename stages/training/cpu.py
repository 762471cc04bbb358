"""Training on a CPU: runs side by side on threads, one core each.

So a run computes the same on any number of cores, and no core waits for another.
"""

import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL
from queue import Empty, SimpleQueue
from threading import Event
from typing import TypeVar

import torch

from stages.base.workers import cores

T = TypeVar("T")


def side_by_side(run: Callable[[int], Generator[None, None, T]], runs: int, stop: Event) -> list[T]:
    """What `run(0)` to `run(runs - 1)` return, as many at once as there are cores.

    Wherever a run yields, one that has waited longer takes its core: all end at about the same
    time, also where their number is no multiple of the cores'. An error or an interrupt in one
    sets `stop`, which ends the others where they yield, and is raised.
    """
    torch.set_num_threads(1)
    _keep_memory()
    waiting: SimpleQueue[tuple[int, Generator[None, None, T]]] = SimpleQueue()
    for i in range(runs):
        waiting.put((i, run(i)))
    results: dict[int, T] = {}

    def work() -> None:
        while not stop.is_set():
            try:
                i, turn = waiting.get_nowait()
            except Empty:
                return  # each run that is left has a core
            try:
                next(turn)
                waiting.put((i, turn))
            except StopIteration as end:
                results[i] = end.value

    with ThreadPoolExecutor(cores()) as pool:
        try:
            for worker in [pool.submit(work) for _ in range(cores())]:
                worker.result()
        except BaseException:
            stop.set()
            raise
    return [results[i] for i in range(runs)]


def _keep_memory() -> None:
    """Have glibc keep freed activations, rather than return and fault in their pages each step."""
    if sys.platform == "linux":
        libc = CDLL(None)
        threshold, trim = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
        libc.mallopt(threshold, 1 << 30)
        libc.mallopt(trim, 1 << 30)
