"""What a worker does: run one training stage in a folder of its own, and return what it wrote.

It runs the module that the stage's command names, as `dvc repro` does, so the bytes are the same.
But it does so in a process that has imported torch already, and that needs the code alone: no DVC,
no git, no file system shared with the head.
"""

import gc
import os
import runpy
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from stages.base import item, progress

KEPT = ".dvc/tmp/training"
"""Where a stage that was killed is taken up again; `stages.training.kept`, which imports torch."""


@dataclass(frozen=True)
class Task:
    """A training stage, for a worker that knows no DVC. Paths are relative to the workspace."""

    name: str
    module: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    """What it reads beside code: files and folders."""
    outs: tuple[str, ...]
    key: str
    """A hash of its command, params, code and data: from another key comes another part."""


@dataclass(frozen=True)
class Result:
    """What came of a task: the bytes of all its outs, or why there are none."""

    task: Task
    seconds: float = 0.0
    outs: dict[str, bytes] = field(default_factory=dict)
    fault: str = ""
    """One line; empty if all went well."""

    def of(self, task: Task) -> Self:
        """What a worker returned, as the result of the task that the head gave to it.

        It may say anything: that it is another task's, or has files that are no outs. Only the
        head's own task says where a file belongs.
        """
        fault = self.fault
        if not fault and {*self.outs} != {*task.outs}:
            fault = f"its worker returned {', '.join(sorted(self.outs)) or 'nothing'}"
        return replace(self, task=task, fault=fault, outs={} if fault else self.outs)


@dataclass(frozen=True)
class Share:
    """What of its machine a worker uses. No result depends on it, only the time does."""

    cores: tuple[int, ...] = ()
    """The cores that it keeps to; all that there are, if empty."""
    gpu: int | None = None
    """Index of a CUDA device; none on a CPU."""
    memory: float = 1.0
    """The share of that device's memory that this worker takes at most."""


def run(task: Task, inputs: Path, scratch: Path, log: Path, share: Share) -> Result:
    """Run a task, with what it says in `log`.

    `inputs` holds the task's inputs, by their relative paths. `scratch` is where it runs and
    writes: a new folder, removed afterwards. Whatever the stage raises is a fault of the result.
    """
    start = time.monotonic()
    home = Path.cwd()
    inputs, scratch = inputs.resolve(), scratch.resolve()
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        live = progress.LIVE.as_posix()
        with suppress(OSError):  # without them, training goes on
            for path in (KEPT, live):
                (inputs / path).mkdir(parents=True, exist_ok=True)
        for path in (*task.inputs, KEPT, live):
            link = scratch / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(inputs / path)
        for path in task.outs:
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with _said_in(log):
            os.chdir(scratch)
            fault = _run(task, share)
        fault = fault and (_last_line(log) or fault)
        outs = {} if fault else {path: (scratch / path).read_bytes() for path in task.outs}
    except OSError as error:
        outs, fault = {}, str(error)
    finally:
        os.chdir(home)
        shutil.rmtree(scratch, ignore_errors=True)
    return Result(task, time.monotonic() - start, outs, fault)


def _run(task: Task, share: Share) -> str:
    """Run the module; what went wrong, in a line."""
    arguments = sys.argv
    sys.argv = [task.module, *task.arguments]
    os.environ[item.VARIABLE] = task.name  # as DVC does
    try:
        with _on(share):
            runpy.run_module(task.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:  # `errors.run` has said why
        return f"exit status {end.code}" if end.code else ""
    except BaseException as error:
        traceback.print_exc()
        return repr(error)
    finally:
        sys.argv = arguments
        del os.environ[item.VARIABLE]
        gc.collect()
    return ""


@contextmanager
def _on(share: Share) -> Iterator[None]:
    """Keep to a share of the machine."""
    if share.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share.cores)
    if share.gpu is None:
        yield
        return
    import torch  # seconds to import: not by a stage that needs none

    torch.cuda.set_device(share.gpu)
    torch.cuda.set_per_process_memory_fraction(share.memory)
    try:
        yield
    finally:
        gc.collect()
        torch.cuda.empty_cache()  # for the others on this device


@contextmanager
def _said_in(log: Path) -> Iterator[None]:
    """Send standard output and error into a file, those of C libraries too."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    with log.open("w", encoding="utf-8", buffering=1) as file:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            with redirect_stdout(file), redirect_stderr(file):
                yield
        finally:
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)


def _last_line(log: Path) -> str:
    """The last thing that a log says, or nothing."""
    with suppress(OSError, IndexError):
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
    return ""


def gpus() -> int:
    """How many CUDA devices training would use here: none where it is to use the CPU."""
    import torch

    from stages.training import device

    return torch.cuda.device_count() if device.choose().type == "cuda" else 0


def shares(cores: Sequence[int], devices: int, workers: int) -> list[Share]:
    """Equal shares of a machine, one for each worker; a core that there are too few of serves more.

    `cores` may be empty where the system tells no worker which to use.
    """
    on_one = -(-workers // devices) if devices else 1
    parts = [
        cores[i * len(cores) // workers : (i + 1) * len(cores) // workers] for i in range(workers)
    ]
    return [
        Share(
            tuple(part or cores[i % len(cores) : i % len(cores) + 1] if cores else ()),
            i % devices if devices else None,
            1.0 if on_one == 1 else 0.95 / on_one,
        )
        for i, part in enumerate(parts)
    ]
