"""Training on a CPU: runs side by side on threads, one core each.

So a run computes the same on any number of cores, and no core waits for another.
"""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL
from queue import Empty, SimpleQueue
from threading import Event

import torch


def side_by_side(run: Callable[[int], Iterator[None]], runs: int, stop: Event) -> None:
    """Go through `run(0)` to `run(runs - 1)`, as many at once as there are cores.

    Wherever a run yields, another that has waited may take its core: all end at about the same
    time, also where their number is no multiple of the cores'. An error or an interrupt in one
    sets `stop`, which ends the others there, and is raised.
    """
    torch.set_num_threads(1)
    _keep_memory()
    waiting: SimpleQueue[Iterator[None]] = SimpleQueue()
    for i in range(runs):
        waiting.put(run(i))

    def work() -> None:
        while not stop.is_set():
            try:
                turn = waiting.get_nowait()
            except Empty:
                return  # each run left has a core
            for _ in turn:
                waiting.put(turn)
                break

    with ThreadPoolExecutor(cores()) as pool:
        try:
            for worker in [pool.submit(work) for _ in range(cores())]:
                worker.result()
        except BaseException:
            stop.set()
            raise


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _keep_memory() -> None:
    """Have glibc keep freed activations, rather than return and fault in their pages each step."""
    if sys.platform == "linux":
        libc = CDLL(None)
        threshold, trim = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
        libc.mallopt(threshold, 1 << 30)
        libc.mallopt(trim, 1 << 30)
