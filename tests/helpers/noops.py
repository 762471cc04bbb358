"""A workspace whose training stages take no time: what a sweep does with them is the same."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.clone import Clone, isolated
from tests.helpers.root import ROOT
from tests.helpers.tiny import write_params

STAGE = '''"""Write two small files; first do what control/<name>.do says."""

import os
import sys
import time
from pathlib import Path

name = sys.argv[1]
control = Path(os.environ["NOOP_CONTROL"])
with (control / f"{name}.started").open("a") as file:
    print(os.getpid(), file=file)
todo = control / f"{name}.do"
match todo.read_text() if todo.exists() else "":
    case "raise":
        raise ValueError("no such luck")
    case "wait":
        while not (control / "go").exists():
            time.sleep(0.02)
    case "fill":
        Path("full").write_bytes(bytes(10**7))
Path("out").mkdir(exist_ok=True)
Path(f"out/{name}.a").write_text(name + Path("data/things").read_text())
Path(f"out/{name}.b").write_text("b")
'''

GRAPH: dict[str, Any] = {
    "things": {
        "cmd": "python -m stages.things",
        "deps": ["stages/things.py"],
        "outs": [{"data/things": {"persist": True}}],
    },
    "total": {
        "cmd": "cat out/*.a > total",
        "deps": ["out"],
        "outs": [{"total": {"cache": False}}],
    },
}
TRAIN: dict[str, Any] = {
    "wdir": "../..",
    "matrix": {},
    "cmd": "python -m stages.noop ${item.name}",
    "params": ["cnn.sweeps.paper"],
    "deps": ["stages/noop.py", "data/things"],
    "outs": [{f"out/${{item.name}}.{kind}": {"cache": False}} for kind in "ab"],
}


def make(home: Path, params: dict[str, Any], names: Sequence[str]) -> Clone:
    """A repository with `train_cnn@<name>` for each name, and with the data that these need."""
    root = home / "noops"
    shutil.copytree(ROOT / "stages", root / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "stages/noop.py").write_text(STAGE)
    (root / "stages/things.py").write_text("open('data/things', 'w').write(' and things')\n")
    (root / "data").mkdir()
    train = {"train_cnn": TRAIN | {"matrix": {"name": list(names)}}}
    (root / "metrics/runs").mkdir(parents=True)
    for path, stages in ((".", GRAPH), ("metrics/runs", train)):
        text = yaml.safe_dump({"stages": stages}, sort_keys=False)
        (root / path / "dvc.yaml").write_text(text)
    write_params(root, params)
    clone = _at(home)
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    clone.run("dvc", "repro", "things")
    return clone


def copy(made: Clone, home: Path) -> Clone:
    """Copy a repository to another place."""
    shutil.copytree(made.root, home / "noops", symlinks=True)
    return _at(home)


def _at(home: Path) -> Clone:
    control = home / "control"
    control.mkdir()
    env = isolated(home) | {"NOOP_CONTROL": str(control), "SCALING_DEVICE": "cpu"}
    return Clone(home / "noops", env)


class Control:
    """What the stages of a workspace are to do, and which have begun."""

    def __init__(self, clone: Clone) -> None:
        self._folder = Path(clone.env["NOOP_CONTROL"])

    def do(self, what: str, *names: str) -> None:
        for name in names:
            (self._folder / f"{name}.do").write_text(what)

    def go(self) -> None:
        (self._folder / "go").touch()

    def processes(self, name: str) -> list[int]:
        """The ids of the processes in which a stage was begun, oldest first."""
        path = self._folder / f"{name}.started"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def begun(self, *names: str) -> bool:
        return all(self.processes(name) for name in names)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not so after {seconds} s", pytrace=False)
        time.sleep(0.05)
