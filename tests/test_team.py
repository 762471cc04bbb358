"""The recipes of docs/team.md, run as they stand there, between two clones and a project beside."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.helpers.clone import Clone, ran
from tests.helpers.root import ROOT

PAGE = (ROOT / "docs/team.md").read_text()

# DVC's own use of a library that is about to change.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def recipes(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run(clone: Clone, recipe: str, **names: str) -> str:
    with_names = Clone(clone.root, clone.env | names)
    return with_names.run("bash", "-euo", "pipefail", "-c", recipe).stdout


def test_results_and_experiments_reach_another_clone(
    ready: Clone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote, share, take, imported = recipes("sh")
    bare = tmp_path / "origin.git"
    ready.run("git", "clone", "--quiet", "--bare", ".", str(bare))
    ready.run("git", "remote", "set-url", "origin", str(bare))
    ready.run("git", "push", "--quiet", "origin", "HEAD:main")

    other = Clone(tmp_path / "other", ready.env)
    ready.run("git", "clone", "--quiet", str(bare), str(other.root))
    assert ran(other.run("dvc", "repro").stdout) == []
    assert not (other.root / "data/cifar10").exists()

    run(ready, remote, FOLDER=str(tmp_path / "remote"))
    assert ready.run("dvc", "push", "--run-cache").stdout == "Everything is up to date.\n"
    assert not (tmp_path / "remote").exists()
    graph = ready.root / "dvc.yaml"
    mine = "stages:\n  mine: {cmd: echo 1 > large, outs: [large]}\n"
    graph.write_text(graph.read_text().replace("stages:\n", mine, 1))
    ready.run("dvc", "repro", "--single-item", "mine")
    ready.run("git", "add", "--all")
    ready.run("git", "commit", "--quiet", "--message=What is large")
    ready.run("git", "push", "--quiet", "origin", "HEAD:main")
    assert ready.run("dvc", "push").stdout == "1 file pushed\n"
    other.run("git", "pull", "--quiet")
    other.run("dvc", "pull")
    assert (other.root / "large").read_text() == "1\n"

    run(ready, share)
    run(other, take)
    assert "tolerance: 0.05" in (other.root / "params.yaml").read_text()
    for name in ("params.yaml", "dvc.lock", "metrics/headline.json"):
        assert (other.root / name).read_bytes() == (ready.root / name).read_bytes()

    beside = Clone(tmp_path / "beside", ready.env)
    beside.root.mkdir()
    for command in ("git init --quiet", "dvc init --quiet"):
        beside.run(*command.split())
    run(beside, imported, REPO=str(bare))
    table = (beside.root / "cnn_fits.csv").read_bytes()
    assert table == (ready.root / "metrics/cnn_fits.csv").read_bytes()
    names: dict[str, Any] = {"REPO": str(bare)}
    [python] = recipes("python")
    exec(compile(python, "team.md", "exec"), names)
    sweeps = pd.read_csv(ready.root / "metrics/cnn_fits.csv")["sweep"].unique().tolist()
    assert names["median"]["sweep"].unique().tolist() == sweeps
    assert "dimension" in capsys.readouterr().out
