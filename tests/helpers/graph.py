"""The graph of both dvc.yaml, and the modules that its stages run."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo
from dvc.stage import PipelineStage

from stages.base import params
from stages.sweeping.graph import TRAINING
from tests.helpers.root import ROOT

OURS = ("dvc.yaml", TRAINING)
"""Whoever brings a stage of their own has it elsewhere: docs/import.md."""
UNNAMED = {
    f"stages.base.{name}"
    for name in (
        *("errors", "files", "item", "params", "parts", "progress", "tables", "workers"),
        "workspace",
    )
}
"""What a stage may use without naming it: of stages/base, what no number depends on.

params only validates: what a stage gets from it is its section of params.yaml, which is a
dependency by value. The others say how a stage fails, how far it is, how much it does at once, and
how files and parts are read, checked and written and whether there is room, not what is in them. An
edit of these must not train anything again. `parts` is named where all parts are read, so that an
edit of it holds every part against it once more.
"""


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate.relative_to(ROOT)
    return None


@cache
def imports(module: str) -> set[str]:
    """Everything that a module imports, at its top or within: full names, `stages`' as modules."""
    path = file_of(module)
    assert path, f"no module {module}"
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inner if name.startswith("stages.") and file_of(name)}
            names |= modules | ({node.module} if modules != inner else set())
    return names


RECORDED = "stages.images.stored"
"""What it opens is held against a record, and that is what a stage depends on: not on how images
are fetched or made. Only the stage that makes the record does."""


def needs(module: str) -> set[str]:
    """The modules of `stages` that run when a module runs, itself included."""
    found, todo = set(), {module}
    beyond = set() if module == "stages.download" else {RECORDED}
    while todo:
        found |= todo
        todo = {n for m in todo for n in imports(m) if n.startswith("stages.")} - found - beyond
    return found


NETWORKS = "stages.networks."
MADE = "stages.images.generated"
"""What the images of a record bring along for training: fresh ones, and soft labels."""


def used(stage: PipelineStage) -> set[str]:
    """The modules that run when a stage runs: of networks, where it is of a study, the study's."""
    found = needs(module_of(stage))
    family, _, item = stage.name.partition("@")
    if family in ("train_study", "train_regime"):
        found.add(MADE)
    if family in ("train_regime", "train_study", "measure_study"):
        network = f"{NETWORKS}{params.load(ROOT / 'params.yaml').studies[item].network}"
        found = {name for name in found if not name.startswith(NETWORKS)} | needs(network)
    return found


def modules() -> list[str]:
    files = (path.relative_to(ROOT) for path in ROOT.glob("stages/**/*.py"))
    return sorted(".".join(path.with_suffix("").parts) for path in files)


@cache
def graph() -> list[PipelineStage]:
    with Repo(str(ROOT)) as repo:
        return [stage for stage in repo.index.stages if stage.path_in_repo in OURS]


def as_written() -> dict[str, Any]:
    """The stages of both files as they stand there: of a foreach over nothing, DVC has none."""
    stages = {}
    for path in ("dvc.yaml", TRAINING):
        stages |= yaml.safe_load((ROOT / path).read_text())["stages"]
    return stages


def module_of(stage: PipelineStage) -> str:
    found = re.match(r"python -m (stages\.\w+)\b", stage.cmd)
    assert found, f"{stage.name}: {stage.cmd!r} runs no module of stages"
    return found[1]


def unnamed(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in UNNAMED)


def stage_modules() -> set[str]:
    return {module_of(stage) for stage in graph()}


def paths(entries: list[Any]) -> set[Path]:
    return {Path(entry.fs_path).relative_to(ROOT) for entry in entries}


def covers(path: Path, other: Path) -> bool:
    return path == other or path in other.parents
