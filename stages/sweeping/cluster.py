"""Training on a Ray cluster: Ray places the stages, sends the data, and retries what it loses.

Its workers get the code from here, as Ray's working directory, and the data from Ray's object
store, once per node. They return what a stage wrote; they need PyTorch and Ray, but no DVC, no git
and no file system shared with the head. Ray keeps a worker process for stage after stage, so it
imports torch once.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import ray
from numpy.typing import NDArray

from stages.base.errors import InputError
from stages.base.workers import allowed
from stages.sweeping import work
from stages.sweeping.work import Result, Share, Task

Files = dict[str, NDArray[np.uint8]]
"""Contents by path. Ray maps arrays into each process, where it would copy bytes."""

PERIOD = 10.0
"""Seconds between two looks at whether the head of the cluster is still there."""
PATIENCE = 20.0
"""Seconds for Ray to say that it is there."""
RETRIES = 3
"""Tries more that a stage gets whose worker or node was lost, before it fails."""

CODE = "stages"

_ALLOWED = allowed()
"""Cores of this process before a stage has it keep to some of them."""


class Cluster:
    """The Ray cluster at `address`, or else the one that is running here, or else a new one here.

    A stage takes `cpus` cores and `gpus` GPUs, which may be a fraction: 0.5 lets two share one.
    `logs` gets what each stage says. Use as a context manager: its end kills what still runs.
    """

    def __init__(
        self, root: Path, logs: Path, address: str | None, cpus: float, gpus: float | None
    ) -> None:
        self._root, self._logs, self._address = root, logs, address
        self._cpus, self._gpus = cpus, gpus
        self._pending: dict[Any, Task] = {}
        self._ready: list[Result] = []
        self._stack = ExitStack()
        self._room = 0

    def __enter__(self) -> Self:
        if self._address and self._address.rpartition(":")[2].isdecimal():
            _see_that_it_answers(self._address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        code = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copytree(
            self._root / CODE, code / CODE, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
        env = {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
        if device := os.environ.get("SCALING_DEVICE"):
            env["SCALING_DEVICE"] = device
        try:
            ray.init(
                self._address,
                runtime_env={"working_dir": str(code), "env_vars": env},
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            self._stack.close()
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"Ray at {self._address or 'this machine'}: {reason}") from None
        self._stack.callback(ray.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def running(self) -> int:
        """How many stages run just now: all that are left, or what the cluster had room for."""
        return min(len(self._pending), self._room)

    def run(self, tasks: list[Task]) -> Iterator[Result | None]:
        """The results as they come; None whenever a second has passed without one."""
        if self._gpus is None:
            self._gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        self._room = self._see_that_there_is_room()
        checked = time.monotonic()
        inputs = {path for task in tasks for path in task.inputs}
        files = _files(self._root, inputs)
        train = ray.remote(
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_retries=RETRIES,
            max_calls=0,  # or Ray would start a process, and import torch, for each stage on a GPU
        )(_train)
        there, digest = ray.put(files), _digest(files)
        for task in tasks:
            self._pending[train.remote(task, there, digest, self._cpus, self._gpus)] = task
        while self._pending or self._ready:
            self._collect(seconds=1)
            while self._ready:
                yield self._ready.pop()
            yield None
            if time.monotonic() - checked > PERIOD:
                _see_that_it_answers(ray.get_runtime_context().gcs_address)
                checked = time.monotonic()

    def _see_that_there_is_room(self) -> int:
        """Return for how many stages at a time the cluster has room.

        Raises:
            InputError: for none: Ray would wait for a node without end.
        """
        wanted = {"CPU": self._cpus, "GPU": self._gpus or 0.0}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        rooms = [
            min(int(node.get(kind, 0) // each) for kind, each in wanted.items() if each)
            for node in nodes
        ]
        if not sum(rooms):
            largest = {kind: max(node.get(kind, 0) for node in nodes) for kind in wanted}
            raise InputError(
                f"Ray: no node has {self._cpus:g} cores and {wanted['GPU']:g} GPUs for a stage; "
                f"the most are {largest['CPU']:g} and {largest['GPU']:g}: see --cpus and --gpus"
            )
        return sum(rooms)

    def ended(self) -> list[Result]:
        """The results that are there and that `run` has not given yet."""
        self._collect(seconds=0)
        return self._ready

    def _collect(self, seconds: float) -> None:
        if references := list(self._pending):
            ready, _ = ray.wait(references, num_returns=len(references), timeout=seconds)
            self._ready += [self._result(self._pending.pop(r), r) for r in ready]

    def _result(self, task: Task, reference: Any) -> Result:
        result: Result
        try:
            result, said = ray.get(reference)
            result = result.of(task)
        except ray.exceptions.RayError as error:
            result, said = Result(task, fault=" ".join(str(error).split())[:300]), str(error)
        self._logs.mkdir(parents=True, exist_ok=True)
        (self._logs / f"{task.name}.log").write_text(said)
        return result


def _see_that_it_answers(address: str) -> None:
    """See that Ray answers at an address `host:port`: its own client would try for minutes.

    Raises:
        InputError: nothing does, or something else.
    """
    client = address.startswith("ray://")  # of another protocol, that Ray cannot ask after
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        if not client:
            ask = ["-m", "ray.scripts.scripts", "health-check", "--address", address]
            subprocess.run(
                [sys.executable, *ask], capture_output=True, timeout=PATIENCE, check=True
            )
        return
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
    except subprocess.SubprocessError:
        reason = "what listens there does not answer as Ray"
    raise InputError(f"Ray at {address}: {reason}; `ray start --head` says where it is")


def _train(task: Task, files: Files, digest: str, cpus: float, gpus: float) -> tuple[Result, str]:
    """Train one task in a worker; its result, and what it said."""
    here = Path.cwd()  # Ray's copy of the code, which all workers of a node share
    inputs = here / f"inputs-{digest}"
    scratch = here / f"work-{uuid.uuid4().hex}"
    log = scratch.with_suffix(".log")
    with ExitStack() as stack:
        stack.callback(log.unlink, missing_ok=True)
        with (here / "inputs.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not inputs.exists():
                aside = inputs.with_suffix(".tmp")
                shutil.rmtree(aside, ignore_errors=True)
                for path, content in files.items():
                    (aside / path).parent.mkdir(parents=True, exist_ok=True)
                    content.tofile(aside / path)
                os.replace(aside, inputs)
        share = Share(_cores(here, cpus, stack), _gpu() if gpus else None, min(1.0, gpus or 1.0))
        result = work.run(task, inputs, scratch, log, share)
        return result, log.read_text(errors="replace") if log.exists() else ""


def _cores(here: Path, count: float, stack: ExitStack) -> tuple[int, ...]:
    """As many cores as Ray has given this worker, and no other worker, until the stack closes.

    Ray counts cores, but leaves it to the system which they are.
    """
    cores: list[int] = []
    for core in _ALLOWED:
        lock = stack.enter_context((here / f"core-{core}.lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        cores.append(core)
        if len(cores) >= count:
            break
    return tuple(cores)


def _gpu() -> int:
    """The GPU that Ray has given this worker, counted as PyTorch counts those it may see."""
    given = str(ray.get_runtime_context().get_accelerator_ids()["GPU"][0])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",").index(given) if visible else int(given)


def _files(root: Path, paths: set[str]) -> Files:
    found = [root / path for path in sorted(paths)]
    files = [p for f in found for p in (sorted(f.rglob("*")) if f.is_dir() else [f])]
    return {
        path.relative_to(root).as_posix(): np.fromfile(path, np.uint8)
        for path in files
        if path.is_file()
    }


def _digest(files: Files) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for path, content in files.items():
        digest.update(f"{path} {content.size} ".encode())
        digest.update(content.data)
    return digest.hexdigest()
