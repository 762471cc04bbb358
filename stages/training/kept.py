"""Training that goes on after a kill: what is trained so far is kept aside, and taken up again.

What is kept is the whole state of a run after an epoch or an evaluation: weights, moments, history.
It carries a hash of everything that makes the result, and is of no use to any other training.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from stages.base import files
from stages.base.parts import PartFile, fingerprint
from stages.base.progress import Progress

FOLDER = Path(".dvc/tmp/training")
"""In the workspace: a folder for each stage in training. Git and DVC pass over it."""
STAGES = Path(__file__).parents[1]
"""Where the rooms are whose code makes a part."""
PERIOD = 10.0
"""Seconds between two states that are kept of a run: what ends sooner never touches the disk."""
SHARE = 0.01
"""The most of its time that a run spends on being kept."""

Array = Tensor | npt.NDArray[Any]


class Kept:
    """What is kept of one part in training; without a folder, nothing is.

    `key` tells what makes the result. A state that cannot be written is no reason to stop training:
    the report says so, once, and nothing more is kept.
    """

    def __init__(
        self,
        folder: Path | None = None,
        key: Callable[[], str] = str,
        report: Progress | None = None,
    ) -> None:
        self.folder, self.key, self.report = folder, cache(key), report
        self.start = time.monotonic()

    def run(self, name: str, state: Sequence[Array], end: int, each: int = 1) -> "Run":
        """A run, or several side by side, whose whole state are these arrays.

        They are set to what was kept, if anything was. `end` is how many rounds, epochs say, there
        are; `each` what the report counts for one.
        """
        run = Run(self, name, state, end)
        if run.done and self.report:
            self.report.skip(run.done * each)
        return run

    def failed(self, error: Exception) -> None:
        """Keep nothing any more."""
        self.folder = None
        if self.report:
            self.report.say(f"a kill would lose what is trained: it cannot be kept aside ({error})")

    def remove(self) -> None:
        """Forget everything: the part is written."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


NOWHERE = Kept()
"""Keeps nothing."""


class Run:
    """One run, or several side by side, that are kept together.

    Attributes:
        done: the rounds that its state had behind it when it was taken up; 0 if there was none.
    """

    def __init__(self, kept: Kept, name: str, state: Sequence[Array], end: int) -> None:
        self._kept, self._file, self._end = kept, f"{name}.safetensors", end
        self._state = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in state]
        self._wait, self._last = PERIOD, time.monotonic()
        self.done = self._taken_up()

    def _taken_up(self) -> int:
        path = self._kept.folder and self._kept.folder / self._file
        if path is None or not path.is_file():
            return 0
        try:
            with safe_open(path, "np") as kept:
                about = kept.metadata() or {}
                if about.get("key") != self._kept.key():
                    return 0
                found = [
                    torch.from_numpy(kept.get_tensor(n)) for n in map(str, range(len(kept.keys())))
                ]
        except (OSError, SafetensorError):
            return 0
        if [(a.shape, a.dtype) for a in found] != [(a.shape, a.dtype) for a in self._state]:
            return 0
        for array, value in zip(self._state, found, strict=True):
            array.detach().copy_(value)
        return int(about["done"])

    def due(self, done: int) -> bool:
        """Whether the state after `done` rounds is to be kept: after some time, and at the end."""
        since = self._kept.start if done == self._end else self._last
        return self._kept.folder is not None and time.monotonic() - since >= self._wait

    def keep(self, done: int) -> None:
        """Keep the state, which is that after `done` rounds, if it is due."""
        folder = self._kept.folder
        if folder is None or not self.due(done):
            return
        start = time.monotonic()
        arrays = {
            str(i): np.array(array.detach().cpu().numpy(), order="C", copy=None)
            for i, array in enumerate(self._state)
        }
        try:
            with files.aside(folder / self._file) as path:
                save_file(arrays, path, {"key": self._kept.key(), "done": str(done)})
                with path.open("rb") as file:
                    os.fsync(file.fileno())  # half a state must not outlive a power cut
        except (OSError, SafetensorError) as error:
            self._kept.failed(error)
        self._last = time.monotonic()
        self._wait = max(PERIOD, (self._last - start) / SHARE)


def of(
    part: PartFile,
    device: torch.device,
    report: Progress,
    rooms: Sequence[str],
    data: Sequence[npt.NDArray[Any]] = (),
) -> Kept:
    """What is kept of a part that code in `rooms`, folders beside this one, trains from `data`."""
    return Kept(FOLDER / part.stage, partial(_key, part, device, rooms, data), report)


def _key(
    part: PartFile,
    device: torch.device,
    rooms: Sequence[str],
    data: Sequence[npt.NDArray[Any]],
) -> str:
    """Hash of what makes a part: its configuration, code and data, and what computes it."""
    folders = [STAGES / room for room in ("base", "training", *rooms)]
    code = [path for of in folders for kind in ("*.py", "*.cu") for path in of.glob(kind)]
    cuda = device.type == "cuda"
    return fingerprint(
        {
            "part": part.fingerprint,
            "code": {str(path.relative_to(STAGES)): _hash(path.read_bytes()) for path in code},
            "data": [_hash(np.ascontiguousarray(array).data) for array in data],
            "versions": [torch.__version__, np.__version__],
            "device": torch.cuda.get_device_name(device)
            if cuda
            else torch.backends.cpu.get_cpu_capability(),
        }
    )


def _hash(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()
