"""A sweep: have an engine train tasks, and record each that ends well."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from stages.base.errors import InputError
from stages.base.parts import Part
from stages.base.progress import Progress
from stages.sweeping.finished import Finished
from stages.sweeping.graph import Graph
from stages.sweeping.work import Result, Task

if TYPE_CHECKING:
    from stages.sweeping.cluster import Cluster
    from stages.sweeping.local import Local

SHARE = 0.1
"""The most of the time that recording takes: the larger dvc.lock, the more stages at once."""

Expected = Callable[[], Mapping[str, list[Part]]]
"""The parts that params.yaml, as it is at that moment, wants of each stage."""


Engine: TypeAlias = "Local | Cluster"
"""Where stages are trained. A context manager, whose end stops what still runs."""


class Recorder:
    """Puts finished stages in their places and into dvc.lock: those that fit, and no other.

    One fits if it was made from the command, params, code and data that it would be made from at
    this moment, and if its parts are those that params.yaml asks for (`parts.Part.check`).
    """

    def __init__(self, graph: Graph, finished: Finished, expected: Expected) -> None:
        self._graph, self._finished, self._expected = graph, finished, expected
        self._due = 0.0
        self.recorded = 0
        self.refused: dict[str, str] = {}
        """Why a finished stage was not recorded; it is stale as before."""

    def record(self) -> None:
        """Record all that is finished.

        Raises:
            OSError: a file cannot be written; what was not recorded is kept for the next time.
        """
        start = time.monotonic()
        keys = self._finished.keys()
        if not keys:
            return
        expected = self._expected()

        def place(name: str) -> None:
            outs = self._finished.outs(name)
            for part in expected.get(name, []):
                replace(part, path=outs / part.path).check(self._graph.hashes(name))
            self._finished.place(name, self._graph.root)

        refused = self._graph.record(keys, place)
        for name in keys:
            self._finished.remove(name)
        self.refused |= refused
        self.recorded += len(keys) - len(refused)
        end = time.monotonic()
        self._due = end + (end - start) * (1 / SHARE - 1)

    def record_if_due(self) -> None:
        """Record it, unless recording has taken more than its share of the time so far."""
        if time.monotonic() >= self._due:
            self.record()


def sweep(
    engine: Engine, tasks: list[Task], finished: Finished, recorder: Recorder, progress: Progress
) -> dict[str, str]:
    """Train tasks and record them; why those that failed did.

    Raises:
        KeyboardInterrupt: also where the process is told to end by SIGTERM.
        OSError: a file cannot be written.

    Whatever it raises, what had ended is recorded, or kept to be recorded the next time.
    """
    faults: dict[str, str] = {}

    def show(done: int) -> None:
        progress.count(done, running=engine.running, failed=len(faults))

    def keep(result: Result) -> None:
        if result.fault:
            faults[result.task.name] = result.fault
            progress.say(f"{result.task.name} failed: {result.fault}")
        else:
            finished.add(result)
        show(1)

    with _interrupts_wait() as interrupted:
        try:
            for result in engine.run(tasks):
                if result is not None:
                    keep(result)
                if interrupted():
                    raise KeyboardInterrupt
                recorder.record_if_due()
                show(0)
        finally:
            for result in engine.ended():
                keep(result)
            recorder.record()
    return faults | recorder.refused


@contextmanager
def _interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came; a second one does not wait until it is asked for."""
    came = False

    def come(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    signals = [signal.SIGINT, signal.SIGTERM]  # a cluster's way to say that time is up
    before = [signal.signal(number, come) for number in signals]
    try:
        yield lambda: came
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def adopt(
    folder: Path, tasks: list[Task], finished: Finished, recorder: Recorder
) -> dict[str, str]:
    """Record what lies in another workspace, `folder`, if it fits; why some of it does not.

    A stage of which nothing is there is passed over.

    Raises:
        InputError: nothing is there of any.
    """
    faults: dict[str, str] = {}
    there = {task.name: [p for p in task.outs if (folder / p).is_file()] for task in tasks}
    if tasks and not any(there.values()):
        raise InputError(
            f"{folder}: holds no part of a stale stage; name a workspace, with metrics/runs in it"
        )
    for task in tasks:
        present = there[task.name]
        if len(present) == len(task.outs):
            finished.add(Result(task, outs={p: (folder / p).read_bytes() for p in task.outs}))
        elif present:
            faults[task.name] = f"{folder}: lacks {', '.join({*task.outs} - {*present})}"
    recorder.record()
    return faults | recorder.refused
