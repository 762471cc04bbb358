"""Input that cannot be used: a clear line, a non-zero exit, and every earlier output untouched.

DVC removes the outputs of a stage before it runs it. What is wrong has to be found before.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.clone import Clone, change

PART = Path("metrics/runs/cnn/paper-2.parquet")
VALID = "metrics/params-valid.txt"


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of a command that failed in which a stage says why."""
    assert done.returncode
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def test_bad_params_end_a_run_before_anything_is_lost(ready: Clone) -> None:
    change(ready, "cnn.sweeps.paper.learning_rat", 1e-3)
    change(ready, "cnn.widths", [1, 2, 0])
    below, unknown = sorted(errors(ready.run("dvc", "repro", check=False)), reverse=True)
    assert below.startswith("error: params.yaml: cnn.widths.2: Input should be greater than 0")
    assert unknown.startswith("error: params.yaml: cnn.sweeps.paper.learning_rat: unknown key")
    assert ready.changed() == ["params.yaml"]


def test_a_network_that_is_not_there_ends_a_run_before_anything_is_lost(ready: Clone) -> None:
    change(ready, "studies.perceptron.network", "transformer")
    (line,) = errors(ready.run("dvc", "repro", check=False))
    assert line.startswith("error: params.yaml: studies.perceptron.network: no stages/networks/tra")
    assert "there is cnn, mlp, mnist_cnn" in line
    assert ready.changed() == ["params.yaml"]


def test_a_network_that_cannot_be_trained_ends_its_stage_in_one_line(ready: Clone) -> None:
    path = ready.root / "stages/networks/mlp.py"
    path.write_text(path.read_text().replace('last_hidden = "linear2"', 'last_hidden = "linear4"'))
    stage = "metrics/runs/dvc.yaml:train_study@perceptron"
    (line,) = errors(ready.run("dvc", "repro", stage, check=False))
    assert line.startswith("error: stages/networks/mlp.py: at width 1 there is no layer 'linear4'")
    path.write_text("from torch import nn\n\nclass Net(nn.Module):\n    pass\n")
    (line,) = errors(ready.run("dvc", "repro", stage, check=False))
    assert line.startswith("error: stages/networks/mlp.py: no class Network(nn.Module)")


def test_a_bad_override_ends_an_experiment_before_anything_is_lost(ready: Clone) -> None:
    overrides = ["-S", "cnn.sweeps.paper.learning_rate=-1", "-S", "fit.confidence=2"]
    lines = errors(ready.run("dvc", "exp", "run", *overrides, check=False))
    assert [line.split(": ")[2] for line in lines] == [
        "cnn.sweeps.paper.learning_rate",
        "fit.confidence",
    ]
    assert ready.changed() == ["params.yaml"]


def test_an_override_of_no_key_ends_an_experiment_before_it_starts(ready: Clone) -> None:
    done = ready.run("dvc", "exp", "run", "-S", "cnn.sweeps.paper.epoch=3", check=False)
    assert done.returncode
    assert "'epoch'" in done.stderr
    assert ready.changed() == []


def test_bad_params_a_missing_part_and_no_data_lose_nothing_more(
    fresh: Clone, offline: list[str]
) -> None:
    (fresh.root / PART).unlink()
    change(fresh, "cnn.sweeps.notebook.epochs", 0)
    (line,) = errors(fresh.run(*offline, "python", "-m", "stages.commands.repro", check=False))
    assert line.startswith("error: params.yaml: cnn.sweeps.notebook.epochs: ")
    assert fresh.changed() == sorted([str(PART), "params.yaml"])


def test_training_without_data_and_network_says_what_to_do_and_loses_nothing(
    fresh: Clone, offline: list[str]
) -> None:
    change(fresh, "cnn.sweeps.paper.learning_rate", 2e-3)
    (line,) = errors(fresh.run(*offline, "python", "-m", "stages.commands.repro", check=False))
    assert "check the network" in line
    assert "CIFAR10_SOURCE" in line
    assert fresh.changed() == ["dvc.lock", "params.yaml"]


def test_an_experiment_that_fails_says_how_to_put_the_files_back(
    fresh: Clone, offline: list[str]
) -> None:
    override = "cnn.sweeps.paper.learning_rate=0.002"
    said = fresh.run(*offline, "dvc", "exp", "run", "-S", override, check=False).stderr
    (back,) = re.findall(r"^to put back what the experiment changed: (git .*)$", said, re.MULTILINE)
    assert "params.yaml" in fresh.changed()
    fresh.run(*back.split())
    assert fresh.changed() == []


def test_training_by_hand_without_data_and_network_says_why(
    fresh: Clone, offline: list[str]
) -> None:
    command = ["python", "-m", "stages.train_cnn", "paper", "1"]
    (line,) = errors(fresh.run(*offline, *command, check=False))
    assert "CIFAR10_SOURCE" in line
    assert fresh.changed() == []


@pytest.mark.parametrize(("damage", "said"), [("missing", "missing; "), ("truncated", "damaged (")])
def test_aggregation_refuses_a_part_and_dvc_keeps_the_table(
    ready: Clone, damage: str, said: str
) -> None:
    part = ready.root / PART
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:1000])
    stage = ["dvc", "repro", "--force", "--single-item", "aggregate_cnn"]
    (line,) = errors(ready.run(*stage, check=False))
    assert line.startswith(f"error: {PART}: {said}")
    assert ready.changed() == [str(PART)]


def test_a_truncated_part_is_trained_again_to_the_same_bytes(ready: Clone) -> None:
    part = ready.root / PART
    part.write_bytes(part.read_bytes()[:1000])
    ready.run("dvc", "repro", "aggregate_cnn")
    assert ready.changed() == []
