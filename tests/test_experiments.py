"""`dvc exp run -S`: a value, a list, a new configuration, one removed; and what moved by it."""

import json
from typing import Any

import pandas as pd

from conftest import Clone
from test_pipeline import ran

SMALL = (
    "{tasks: 2, bits: 8, subset_size: 2, alpha: 0.4, widths: [8], logits: 1, optimizer: adam, "
    "learning_rate: 1e-3, weight_decay: 0, batch_size: 16, steps: 4, evaluate_every: 2, "
    "evaluation_samples: 8, learned_below: 0.1, task_curves: 0, seeds: 1, precision: float32}"
)


def test_an_experiment_runs_what_it_changes_and_shows_what_moved(ready: Clone) -> None:
    said = ready.run(
        *("dvc", "exp", "run"),
        *("-S", "cnn.sweeps.paper.learning_rate=2e-3"),
        *("-S", "cnn.widths=[2]"),
        *("-S", f"+parity.configurations.small={SMALL}"),
        *("plot_cnn", "aggregate_parity"),
    ).stdout
    trained = [stage for stage in ran(said) if stage.startswith("train")]
    assert trained == [
        "train_cnn@paper-2",
        "train_parity@small",
    ]
    cnn = pd.read_parquet(ready.root / "metrics/cnn.parquet")
    assert set(cnn["width"]) == {2}
    parity = pd.read_parquet(ready.root / "metrics/parity_losses.parquet")
    assert set(parity["configuration"]) == {"notebook", "small"}

    moved = diff(ready, "params")["params.yaml"]
    assert moved["cnn.sweeps.paper.learning_rate"] == {"old": 0.001, "new": 0.002, "diff": 0.001}
    assert moved["cnn.widths"] == {"old": "[1, 2]", "new": "[2]"}
    assert moved["parity.configurations.small.tasks"] == {"old": None, "new": 2}
    numbers = diff(ready, "metrics")
    assert numbers["metrics/cnn.json"]["paper.runs"] == {"old": 4, "new": 2, "diff": -2}
    plots = json.loads(ready.run("dvc", "plots", "diff", "--json", "HEAD").stdout)["data"]
    (curves,) = plots["Validation loss by parameters"]
    points = {(row["rev"], row["parameters"]) for row in curves["content"]["data"]["values"]}
    assert points == {("HEAD", "5408"), ("HEAD", "10210"), ("workspace", "10210")}

    removed = ready.run(
        "dvc", "exp", "run", "-S", "~parity.configurations.small", "aggregate_parity"
    ).stdout
    assert not [stage for stage in ran(removed) if "train" in stage or "cnn" in stage]
    parity = pd.read_parquet(ready.root / "metrics/parity_losses.parquet")
    assert set(parity["configuration"]) == {"notebook"}


def diff(clone: Clone, what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clone.run("dvc", what, "diff", "--json", "HEAD").stdout)
    return found
