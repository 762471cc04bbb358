"""The workspace as an accident may have left it: what can be mended is, before DVC starts in it.

DVC overwrites files in place, `.dvc/tmp/rwlock` and each dvc.lock, so a disk that fills up leaves
more behind than the error that says so.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.base.errors import InputError
from stages.base.progress import LIVE

LOCKS = Path("dvc.lock"), Path("metrics/runs/dvc.lock")
"""Of all stages but training, and of training."""
LEAST = 50_000_000
"""Bytes that are free before anything starts, whatever the locks say."""
COPIES = 3
"""How often what a stage makes is on the disk at once: a new one, the one before, and git's."""


def prepare(root: Path) -> None:
    """See that DVC can work in the workspace, and mend what it would not start with.

    Raises:
        InputError: it is no clone, cannot be written to, has another command of DVC in it or a
            damaged dvc.lock, or its disk is too full for what stages write.
    """
    if not (root / ".git").exists():
        raise InputError(
            f"{root.resolve()}: no git repository, which DVC needs; work in a clone, or make it "
            "one: git init && git add --all && git commit -m 'As it came'"
        )
    if not os.access(root, os.W_OK):
        raise InputError(f"{root.resolve()}: cannot be written to; work in a copy: git clone")
    stages = [stage for lock in LOCKS for stage in _locked(root / lock).values()]
    outs = [out for stage in stages for out in stage.get("outs", [])]
    see_free(root, max(LEAST, COPIES * sum(out.get("size", 0) for out in outs)))
    for path in (root / LIVE).glob("*.json"):  # what runs just now is there again in a moment
        path.unlink(missing_ok=True)
    _mend_rwlock(root / ".dvc/tmp")


def working_tree() -> Path:
    """The clone that a stage runs in, or, of an experiment in a copy, the clone of whoever asked.

    DVC runs `dvc exp run --temp` and `--queue` in copies of what is in git: no images are in them.
    """
    here = Path.cwd()
    copies = (folder for folder in here.parents if folder.parts[-3:] == (".dvc", "tmp", "exps"))
    copy = next(copies, None)
    return copy.parents[2] if copy else here


def see_free(root: Path, needed: int) -> None:
    """See that so many bytes are free where `root` lies.

    Raises:
        InputError: they are not.
    """
    free = shutil.disk_usage(root).free
    if free < needed:
        raise InputError(
            f"{root.resolve()}: {free / 1e6:.0f} MB are free on this disk, and what is to be "
            f"written needs {needed / 1e6:.0f} MB; make room"
        )


def _locked(path: Path) -> dict[str, Any]:
    """What a lock knows of each of its stages.

    Raises:
        InputError: it is no dvc.lock. DVC takes an empty one for none, and would train everything.
    """
    if not path.exists():
        return {}
    try:
        stages: dict[str, Any] = YAML(typ="safe").load(path)["stages"]
        [out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    except (YAMLError, ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"{path}: damaged; restore it: git checkout -- {path}") from None
    return stages


def _mend_rwlock(folder: Path) -> None:
    """Remove DVC's list of what is read and written just now, if it is none.

    Under the lock that DVC holds when it changes the list: a command that runs is not disturbed.
    """
    from dvc.lock import Lock, LockError  # a third of a second, on which no other module waits

    path = folder / "rwlock"
    if not path.exists() or _is_object(path):
        return
    try:
        with Lock(str(folder / "rwlock.lock")):
            if not _is_object(path):
                path.unlink()
    except LockError:
        raise InputError("a command of DVC runs in this workspace; wait for its end") from None


def _is_object(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        return False
