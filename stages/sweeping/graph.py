"""The workspace's DVC graph: which training stages are stale, and recording those that are done.

It uses DVC's Python API, of which `commands/review.py` and `base/workspace.py` need two calls. That
API is internal to DVC, and this is written for 3.67: an upgrade runs tests/sweeping first.

It does what `dvc status` and `dvc commit` do, which read params.yaml and write dvc.lock again for
every stage, in a time that grows with the square of their number. Here each file is read and hashed
once, and stages are recorded many at a time. The lock file is replaced, not overwritten: it is
never half there.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from fnmatch import fnmatchcase
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Self

from dvc.dependency.param import ParamsDependency, read_param_file
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage.serialize import to_single_stage_lockfile
from dvc.utils.serialize import dump_yaml, loads_yaml
from filelock import FileLock, Timeout

from stages.base.errors import InputError, remedy
from stages.base.workspace import LOCKS
from stages.sweeping.work import Task

TRAINING = "metrics/runs/dvc.yaml"
"""The stages that a sweep trains, which take long and depend on no other such, and the imports."""
LOCK = LOCKS[1].as_posix()
IMPORT = "import_runs"
"""The one of these stages that trains nothing: `dvc repro` runs it."""

FOLDER = Path(".dvc/tmp/sweep")
"""Where a sweep keeps its own files: logs, and what is finished and not yet recorded."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """No other sweep runs in the workspace meanwhile.

    Raises:
        InputError: one does.
    """
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(root / FOLDER / "lock").acquire(timeout=0)
    except Timeout:
        raise InputError("another sweep runs in this workspace; wait for its end") from None
    with lock:
        yield


class Graph:
    """The graph as it was when it was opened; `keys` looks again at what stages depend on.

    Use as a context manager.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        try:
            self._repo = Repo(str(self.root), _wait_for_lock=True)
            with self._repo.lock:
                order = plan_repro(get_active_graph(self._repo.index.graph))
                self._stages = {stage.name: stage for stage in order}
                self._locked = {
                    name: [dep.hash_info for dep in stage.deps]
                    for name, stage in self._stages.items()
                }
                self._graph = self._repo.index.graph
                self._lock_file = self._lock_bytes()
                self._contents = _parsed(self._lock_file)
        except DvcException as error:
            raise InputError(f"dvc: {error}") from None
        self._before = self._names_before()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._repo.close()

    def training(self, patterns: Collection[str] = ()) -> list[str]:
        """The training stages, in DVC's order; of them those that `patterns` name, if any.

        A pattern is a stage, such as `train_cnn@paper-3`, a family, `train_cnn`, or has wildcards,
        `train_cnn@paper-*`.

        Raises:
            InputError: a pattern names no training stage.
        """
        names = [
            name
            for name, stage in self._stages.items()
            if stage.path_in_repo == TRAINING and name.partition("@")[0] != IMPORT
        ]
        if not patterns:
            return names
        matched: set[str] = set()
        for pattern in patterns:
            found = {n for n in names if fnmatchcase(n, pattern) or n.partition("@")[0] == pattern}
            if not found:
                families = ", ".join(sorted({name.partition("@")[0] for name in names}))
                raise InputError(
                    f"{pattern}: no training stage of {TRAINING}; name one of {families}, "
                    "one of their items, such as train_cnn@paper-3, or a glob in quotes"
                )
            matched |= found
        return [name for name in names if name in matched]

    def stale(self, names: Iterable[str]) -> list[str]:
        """List those of `names` that have changed.

        Nothing is said of what changes once `upstream` has run.
        """
        with self._repo.lock:
            measure = _Measure()
            return [name for name in names if self._is_stale(self._stages[name], measure)]

    def upstream(self, names: Collection[str]) -> list[str]:
        """The stages before `names` that have changed, in DVC's order."""
        below = plan_repro(self._graph, [self._stages[name] for name in names])
        found = {stage.name for stage in below} - {*names}
        return self.stale(name for name in self._stages if name in found)

    def _is_stale(self, stage: Any, measure: "_Measure") -> bool:
        if stage.is_callback or stage.always_changed or stage.changed_stage():
            return True
        for dep, locked in zip(stage.deps, self._locked[stage.name], strict=True):
            try:
                measure(dep)
            except InputError:
                return True  # it is not here
            if dep.hash_info.value != locked.value:
                return True
        return any(out.status() for out in stage.outs)

    def tasks(self, names: Collection[str]) -> list[Task]:
        """What workers need to run `names`.

        Raises:
            InputError: a stage's command is not `python -m module`, or what it needs is missing.
        """
        return [self._task(name, key) for name, key in self.keys(names).items()]

    def _task(self, name: str, key: str) -> Task:
        stage = self._stages[name]
        match shlex.split(stage.cmd):
            case ["python", "-m", module, *arguments]:
                pass
            case _:
                raise InputError(f"{TRAINING}: {name}: not `python -m module`, but {stage.cmd}")
        deps = {self._relative(dep.fs_path) for dep in stage.deps}
        deps |= {path.removesuffix(".json") for path in deps if path.startswith("data/")}
        return Task(
            name,
            module,
            tuple(arguments),
            tuple(sorted(path for path in deps if not path.endswith(".py"))),
            tuple(sorted(self._relative(out.fs_path) for out in stage.outs)),
            key,
        )

    def _relative(self, path: str) -> str:
        return Path(path).relative_to(self.root).as_posix()

    def keys(self, names: Iterable[str]) -> dict[str, str]:
        """What tells apart everything that a stage depends on, at this moment, for each of `names`.

        Raises:
            InputError: something that a stage depends on is missing.
        """
        with self._repo.lock:
            measure = _Measure()
            return {name: self._key(name, measure) for name in names}

    def _key(self, name: str, measure: "_Measure") -> str:
        """Sets the stage's dependencies to what they are now."""
        stage = self._stages[name]
        for dep in stage.deps:
            measure(dep)
        depends = to_single_stage_lockfile(stage)
        depends.pop("outs", None)
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()

    def hashes(self, name: str) -> dict[str, str]:
        """Hashes of the files and folders that a stage depends on, as `keys` last found them."""
        files = [d for d in self._stages[name].deps if not isinstance(d, ParamsDependency)]
        return {self._relative(dep.fs_path): dep.hash_info.value for dep in files}

    def record(self, keys: dict[str, str], place: Callable[[str], None]) -> dict[str, str]:
        """Write stages that were made from `keys` into their lock; why the others were not.

        `place(name)` puts the outs of a stage where they belong, or raises an InputError.

        Raises:
            OSError: a file cannot be written; the lock is as before.
        """
        refused, entries = {}, {}
        with self._repo.lock, self._repo.scm_context(quiet=True) as scm:
            if (found := self._lock_bytes()) != self._lock_file:
                self._lock_file, self._contents = found, _parsed(found)
            measure = _Measure()
            for name, key in keys.items():
                try:
                    if name not in self._stages or self._key(name, measure) != key:
                        raise InputError("its command, params, code or data have changed since")
                    place(name)
                except InputError as error:
                    refused[name] = str(error)
                    continue
                stage = self._stages[name]
                stage.save_outs()
                for out in stage.outs:
                    out.commit()
                entry = to_single_stage_lockfile(stage)
                entries[name] = deepcopy(entry)  # YAML marks what is shared
                self._locked[name] = [dep.hash_info for dep in stage.deps]
                stage.cmd_changed = False
            if entries:
                self._write_lock(entries)
                scm.track_file(LOCK)
        return refused

    def _write_lock(self, entries: dict[str, Any]) -> None:
        contents = {"schema": "2.0"} | self._contents
        recorded = contents.get("stages", {}) | entries
        old = [name for name in recorded if name in self._before]
        order = [name for name in self._stages if name in recorded and name not in self._before]
        others = [name for name in recorded if name not in {*old, *order}]
        stages = {name: recorded[name] for name in [*old, *order, *others]}
        path = self.root / LOCK
        aside = path.with_name(f".{path.name}.tmp")
        try:
            dump_yaml(str(aside), contents | {"stages": stages})
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        self._contents = contents | {"stages": stages}
        self._lock_file = self._lock_bytes()
        remembered = {"before": self._before, "lock": _md5(self._lock_file)}
        (self.folder / "order.json").write_text(json.dumps(remembered))

    def _names_before(self) -> list[str]:
        """The stages in the lock when the sweep began, also if that sweep was killed.

        DVC writes new stages behind them, in its own order, whatever the order that they end in.
        """
        with_lock = list(self._contents.get("stages", {}))
        try:
            remembered = json.loads((self.folder / "order.json").read_text())
        except (OSError, ValueError):
            return with_lock
        same = remembered["lock"] == _md5(self._lock_file)
        return list(remembered["before"]) if same else with_lock

    def _lock_bytes(self) -> bytes:
        path = self.root / LOCK
        return path.read_bytes() if path.exists() else b""


class _Measure:
    """Sets dependencies to what they are now; reads each file once."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Any, Any]] = {}
        self._params: dict[str, dict[str, Any]] = {}

    def __call__(self, dep: Any) -> None:
        if isinstance(dep, ParamsDependency):
            dep.fill_values(self._values(dep))
            return
        if dep.hash_name == "md5-dos2unix":  # what DVC takes one for that its lock does not have
            dep.hash_name = "md5"
        if dep.fs_path not in self._files:
            if not dep.exists:
                raise InputError(f"{dep}: missing; {remedy(Path(dep.def_path))}")
            dep.save()
            self._files[dep.fs_path] = dep.hash_info, dep.meta
        dep.hash_info, dep.meta = self._files[dep.fs_path]

    def _values(self, dep: Any) -> dict[str, Any]:
        if dep.fs_path not in self._params:
            self._params[dep.fs_path] = read_param_file(dep.repo.fs, dep.fs_path)
        content, values = self._params[dep.fs_path], {}
        for key in dep.params:
            try:
                values[key] = reduce(getitem, key.split("."), content)
            except (KeyError, TypeError):
                raise InputError(f"{dep}: no {key}, which dvc.yaml names") from None
        return values or content


def _parsed(lock: bytes) -> dict[str, Any]:
    return loads_yaml(lock.decode()) or {} if lock else {}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
