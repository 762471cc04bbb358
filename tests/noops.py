"""A workspace whose training stages take no time: what a sweep does with them is the same."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT, Clone, isolated

NOOP = """
import os, sys, time
from pathlib import Path

name = sys.argv[1]
Path("out").mkdir(exist_ok=True)
control = Path(os.environ["NOOP_CONTROL"])
with (control / f"{name}.started").open("a") as file:
    print(os.getpid(), file=file)
todo = control / f"{name}.do"
match todo.read_text() if todo.exists() else "":
    case "raise":
        print("about to fail")
        raise ValueError("no such luck")
    case "wait":
        while not (control / "go").exists():
            time.sleep(0.02)
    case size if size:
        Path(f"out/{name}.b").write_bytes(bytes(int(size)))
Path(f"out/{name}.a").write_text(name + Path("data/things").read_text())
Path(f"out/{name}.b").write_text("b")
"""


def make(home: Path, params: dict[str, Any], names: Sequence[str]) -> Clone:
    """A repository with a training stage for each name, and its environment."""
    root, control = home / "noops", home / "control"
    shutil.copytree(ROOT / "stages", root / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "stages/noop.py").write_text(NOOP)
    (root / "stages/things.py").write_text("open('data/things', 'w').write(' and things')\n")
    control.mkdir()
    graph = {
        "things": {
            "cmd": "mkdir -p data && python -m stages.things",
            "deps": ["stages/things.py"],
            "outs": ["data/things"],
        },
        "train_cnn": {
            "matrix": {"name": list(names)},
            "cmd": "python -m stages.noop ${item.name}",
            "params": ["data", "cnn.sweeps.paper.epochs"],
            "deps": ["stages/noop.py", "data/things"],
            "outs": [{f"out/${{item.name}}.{kind}": {"cache": False}} for kind in "ab"],
        },
        "sum": {
            "cmd": "cat out/*.a > sum",
            "deps": ["out"],
            "outs": [{"sum": {"cache": False}}],
        },
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": graph}, sort_keys=False))
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    env = isolated(home) | {"NOOP_CONTROL": str(control), "SCALING_DEVICE": "cpu"}
    clone = Clone(root, env)
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    return clone
