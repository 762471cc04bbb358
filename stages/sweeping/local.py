"""Training on this machine: processes that import torch once and then train stage after stage.

Each is an executor of its own, so that one that is killed takes no other with it.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ParamSpec, Self, TypeVar

from stages.base.workers import allowed, cores
from stages.sweeping import work
from stages.sweeping.work import Result, Share, Task

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 3
"""Processes that a stage may lose, say to a kernel that is short of memory, before it fails."""


class Local:
    """Worker processes on this machine: `workers`, or else 1 for each GPU, or 1 for each CPU core.

    More than one on a GPU share its memory. No result depends on their number. Stages run in
    `folder`; `logs` gets what each one says. Use as a context manager: its end kills what runs.
    """

    def __init__(self, root: Path, folder: Path, logs: Path, workers: int | None) -> None:
        self.root, self.folder, self.logs = root, folder, logs
        self.waiting: SimpleQueue[Task] = SimpleQueue()
        self.results: SimpleQueue[Result] = SimpleQueue()
        self.stopped = threading.Event()
        self._workers = workers
        self._lanes: list[_Lane] = []

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)  # of a sweep that was killed
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for lane in self._lanes:
            lane.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> int:
        """How many stages run just now."""
        return sum(lane.busy for lane in self._lanes)

    def run(self, tasks: list[Task]) -> Iterator[Result | None]:
        """The results as they come; None whenever a second has passed without one."""
        for task in tasks:
            self.waiting.put(task)
        self._lanes = [_Lane(self, share) for share in self._shares(len(tasks))]
        for lane in self._lanes:
            lane.start()
        left = len(tasks)
        while left:
            try:
                yield self.results.get(timeout=1)
                left -= 1
            except Empty:
                yield None

    def ended(self) -> list[Result]:
        """The results that are there and that `run` has not given yet."""
        return [self.results.get() for _ in range(self.results.qsize())]

    def _shares(self, tasks: int) -> list[Share]:
        devices = 0
        if _has_driver():
            process = _Process(self.root)
            devices = process.call(work.gpus)
            process.kill()
        count = min(tasks, self._workers or devices or cores())
        return work.shares(allowed(), devices, count)


class _Lane(threading.Thread):
    """Takes task after task to a process of its own, and replaces that process when it is lost."""

    def __init__(self, engine: Local, share: Share) -> None:
        super().__init__(daemon=True)
        self._engine, self._share = engine, share
        self._process: _Process | None = None
        self.busy = False

    def run(self) -> None:
        with suppress(Empty):
            while not self._engine.stopped.is_set():
                task = self._engine.waiting.get_nowait()
                self.busy = True
                try:
                    result = self._train(task)
                except Exception as error:  # of the machine, not of the stage
                    result = Result(task, fault=repr(error))
                self.busy = False
                self._engine.results.put(result)
        if self._process:
            self._process.close()

    def _train(self, task: Task) -> Result:
        engine = self._engine
        folder, log = engine.folder / task.name, engine.logs / f"{task.name}.log"
        for _ in range(ATTEMPTS):
            if engine.stopped.is_set():
                break
            try:
                self._process = self._process or _Process(engine.root)
                result = self._process.call(work.run, task, engine.root, folder, log, self._share)
                return result.of(task)
            except BrokenProcessPool:
                self._process = None
        return Result(task, fault=f"its process was killed, {ATTEMPTS} times in a row")

    def end(self) -> None:
        """End the process, whatever it does, and then the thread."""
        while self.is_alive():
            if process := self._process:
                process.kill()
            self.join(0.05)


class _Process:
    """One process that runs calls, one after the other. It does not outlive this one."""

    def __init__(self, root: Path) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share locks of threads
        self._executor = ProcessPoolExecutor(1, context, _begin, (str(root),))
        self._id = self._executor.submit(os.getpid).result()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns.

        Raises:
            BrokenProcessPool: the process was killed.
        """
        return self._executor.submit(function, *args, **kwargs).result()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._id, signal.SIGKILL)

    def close(self) -> None:
        self._executor.shutdown()


def _begin(root: str) -> None:
    """Make a new process ready: it finds the code, and leaves Ctrl-C to the head."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.insert(0, root)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _has_driver() -> bool:
    """Whether there may be a GPU here that training is to use; asking PyTorch takes seconds."""
    asked = os.environ.get("SCALING_DEVICE")
    return asked != "cpu" and any(map(os.path.exists, ["/dev/nvidiactl", "/dev/dxg"]))
