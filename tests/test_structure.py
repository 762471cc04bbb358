"""The shape of the house: which module may import which, and what a stage of the graph names."""

import ast
import re
import tomllib
from itertools import filterfalse, pairwise
from pathlib import Path

import networkx as nx
import pytest
import yaml
from dvc.repo import Repo
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stages.base.workspace import LOCKS
from stages.sweeping.graph import TRAINING
from tests.helpers.graph import (
    OURS,
    as_written,
    covers,
    file_of,
    graph,
    imports,
    modules,
    needs,
    paths,
    stage_modules,
    unnamed,
    used,
)
from tests.helpers.root import ROOT

# From the top down: a module imports from its own folder and from those on the floors below it.
FLOORS = [
    ["stages.commands"],
    ["stages.drawing", "stages.pages", "stages.sweeping"],
    ["stages.manifold", "stages.quanta", "stages.tensorboard"],
    ["stages.dimension"],
    ["stages.studies"],
    ["stages.cnn", "stages.parity", "stages.statistics", "stages.students"],
    ["stages.classification"],
    ["stages.images", "stages.networks", "stages.training"],
    ["stages.base"],
]


def room(module: str) -> tuple[int, str]:
    """The floor, 0 at the top, and the folder there; a stage is on the top floor, by itself."""
    for floor, names in enumerate(FLOORS, start=1):
        for name in names:
            if module == name or module.startswith(f"{name}."):
                return floor, name
    return 0, module


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module: str) -> None:
    floor, own = room(module)
    for name in imports(module):
        if name.startswith("stages."):
            other_floor, other = room(name)
            assert other == own or other_floor > floor, f"{module} must not import {name}"


def test_a_file_at_the_top_is_a_stage_and_a_stage_a_file_at_the_top() -> None:
    at_the_top = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    commands = [(stage.get("do") or stage)["cmd"] for stage in as_written().values()]
    assert at_the_top == {command.split()[2].removeprefix("stages.") for command in commands}


def test_every_folder_has_its_floor_and_its_tests() -> None:
    folders = {path.parent.name for path in (ROOT / "stages").glob("*/__init__.py")}
    assert folders == {name.removeprefix("stages.") for names in FLOORS for name in names}
    assert folders | {"helpers"} == {path.parent.name for path in (ROOT / "tests").glob("*/*.py")}


def test_tests_share_their_helpers_and_where_the_project_lies() -> None:
    for path in ROOT.glob("tests/**/*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        tests = {name for name in imports(module) if name.split(".")[0] == "tests"}
        assert all(name.startswith("tests.helpers") for name in tests), module
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "id")}
        assert "__file__" not in names or module == "tests.helpers.root", module


def test_nothing_imports_a_stage_module() -> None:
    for module in modules():
        assert not imports(module) & stage_modules(), module


def test_analysis_needs_no_torch() -> None:
    for module in modules():
        if module.startswith(("stages.manifold", "stages.quanta", "stages.statistics")):
            used = {name for needed in needs(module) for name in imports(needed)}
            assert not {name for name in used if name.partition(".")[0].startswith("torch")}, module


def test_packages_hold_no_code_of_their_own() -> None:
    # So that a stage may name a module and leave out the packages around it.
    for path in set(ROOT.glob("stages/**/__init__.py")) - {ROOT / "stages/base/params/__init__.py"}:
        tree = ast.parse(path.read_text())
        assert len(tree.body) == (ast.get_docstring(tree) is not None), path


def test_every_stage_runs_a_module_that_exists() -> None:
    for module in stage_modules():
        assert file_of(module), module


def test_every_command_that_is_named_is_there() -> None:
    for path in [*ROOT.glob("stages/**/*.py"), *ROOT.glob("docs/*.md"), *ROOT.glob("*.md")]:
        for module in re.findall(r"python -m (stages[\w.]*\w)", path.read_text()):
            assert file_of(module), f"{path}: {module}"


def test_every_stage_names_the_modules_that_it_uses() -> None:
    for stage in graph():
        named = paths(stage.deps)
        for module in filterfalse(unnamed, used(stage)):
            path = file_of(module)
            assert path
            assert any(covers(dep, path) for dep in named), f"{stage.name}: deps lack {path}"


def test_every_stage_uses_the_modules_that_it_names() -> None:
    # A module too many runs a stage again for nothing.
    for stage in graph():
        files = {file_of(module) for module in used(stage)}
        for dep in paths(stage.deps):
            if dep.parts[0] == "stages" and stage.name != "validate":
                assert any(path and covers(dep, path) for path in files), f"{stage.name}: {dep}"


def test_an_edit_of_how_parts_are_checked_checks_them_all_and_trains_nothing() -> None:
    parts = Path("stages/base/parts.py")
    named = {stage.name for stage in graph() if parts in paths(stage.deps)}
    assert named == {"aggregate_cnn", "aggregate_parity", "aggregate_students", "fit_method"}


def test_a_training_stage_uses_all_of_the_folders_that_it_names() -> None:
    # An edit of what is not training, in a folder that training depends on, would train again.
    for stage in graph():
        if stage.path_in_repo == TRAINING:
            files = {file_of(module) for module in used(stage)}
            for dep in paths(stage.deps):
                if (ROOT / dep).is_dir() and dep.parts[0] == "stages":
                    there = {path.relative_to(ROOT) for path in (ROOT / dep).glob("*.py")}
                    assert there - {dep / "__init__.py"} <= files, f"{stage.name}: {dep}"


# DVC's own use of a library that is about to change.
@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
def test_every_stage_runs_after_validation() -> None:
    with Repo(str(ROOT)) as repo:
        [validate] = [stage for stage in repo.index.stages if stage.name == "validate"]
        ours = {stage for stage in repo.index.stages if stage.path_in_repo in OURS}
        assert nx.ancestors(repo.index.graph, validate) >= ours - {validate}


def test_an_edit_of_parity_or_of_a_fit_trains_no_cnn() -> None:
    for stage in graph():
        named = {str(dep) for dep in paths(stage.deps)}
        if stage.name.startswith(("train_cnn", "train_study")):
            assert not {n for n in named if "parity" in n or "quanta" in n}
        if stage.path_in_repo == TRAINING:
            assert not {n for n in named if n.startswith(("stages/statistics", "stages/manifold"))}


def test_every_dependency_exists_or_is_made() -> None:
    made = {path for stage in graph() for path in paths(stage.outs)}
    for stage in graph():
        for dep in paths(stage.deps):
            there = (ROOT / dep).exists() or any(covers(dep, p) or covers(p, dep) for p in made)
            assert there, f"{stage.name}: {dep}"


def test_a_stage_that_fails_leaves_what_was_there() -> None:
    outs = [out for stage in graph() for out in stage.outs]
    assert [str(out) for out in outs if not out.persist or out.use_cache] == []


def test_the_graph_stays_small() -> None:
    # What DVC itself costs per stage grows with their number.
    assert len(graph()) < 120


def locked() -> list[str]:
    return (ROOT / "requirements.lock").read_text().splitlines()


def test_the_lock_names_versions_and_no_place_to_get_them_from() -> None:
    for line in locked():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.+!]+( ; [\w'<>=!.() ]+)?", line), line


def test_the_lock_is_sorted_and_has_one_version_of_each() -> None:
    names = [line.partition("==")[0] for line in locked()]
    assert all(a < b for a, b in pairwise(names))


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = {r.name: r for r in map(Requirement, locked())}
    for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]:
        wanted = Requirement(text)
        pin = pins[canonicalize_name(wanted.name)]
        version = str(pin.specifier).removeprefix("==")
        assert wanted.specifier.contains(version), f"{wanted} but {pin}"
        assert not pin.marker, f"{pin}: needed on every platform"


def test_no_command_of_the_graph_holds_what_params_say() -> None:
    # A shell runs a command, and whatever stands in it.
    for name, stage in as_written().items():
        assert "$" not in stage.get("do", stage)["cmd"], name


def test_the_locks_record_no_stage_that_is_gone() -> None:
    with Repo(str(ROOT)) as repo:
        there = {stage.addressing.rpartition(":")[2] for stage in repo.index.stages}
    for path in LOCKS:
        recorded = yaml.safe_load((ROOT / path).read_text())["stages"]
        assert not recorded.keys() - there, f"{path}: remove what has no stage"
