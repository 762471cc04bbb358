"""The whole graph on tiny params: it runs to its end, and then only what changed runs again."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from tests.helpers.clone import Clone, change, ran, stale

# DVC's own use of a library that is about to change.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def test_the_whole_graph_runs_and_leaves_nothing_to_do(finished: Clone) -> None:
    with Repo(str(finished.root)) as repo:
        for out in repo.index.outs:
            assert Path(out.fs_path).exists(), out
    assert stale(finished) == set()
    assert finished.changed() == []


def test_the_tables_hold_what_params_ask_for(finished: Clone) -> None:
    cnn = pd.read_parquet(finished.root / "metrics/cnn.parquet")
    runs = cnn.groupby(["sweep", "width", "seed"], observed=True)["epoch"].agg(list)
    assert list(runs.index) == [
        (sweep, width, seed)
        for sweep in ("notebook", "paper", "paper_keras", "perceptron")
        for width in (1, 2)
        for seed in (0, 1)
    ]
    assert all(epochs == [1, 2] for epochs in runs)
    evaluated = [name for name in cnn if name.startswith("evaluated_")]
    assert len(evaluated) == 2
    assert not cnn.drop(columns=evaluated).isna().any(axis=None)
    missing = cnn[evaluated].isna().groupby(cnn["sweep"], observed=True).all().all(axis=1)
    assert missing.to_dict() == dict.fromkeys(("notebook", "paper"), True) | dict.fromkeys(
        ("paper_keras", "perceptron"), False
    )
    assert not cnn.loc[cnn["sweep"] == "paper_keras", evaluated].isna().any(axis=None)
    losses, tasks, curves = (
        pd.read_parquet(finished.root / f"metrics/parity_{kind}.parquet")
        for kind in ("losses", "tasks", "curves")
    )
    assert set(losses["configuration"]) == {"notebook", "alpha_0.5"}
    losses, tasks = (table[table["configuration"] == "notebook"] for table in (losses, tasks))
    runs = losses.groupby(["width", "samples", "seed"])["step"].agg(list).to_dict()
    assert runs == {
        **{(width, 0, seed): [5, 10, 15, 20] for width in (8, 16) for seed in (0, 1)},
        **{(16, samples, seed): [5, 10] for samples in (50, 150) for seed in (0, 1)},
    }
    assert len(tasks) == len(runs) * 3
    assert set(zip(curves["width"], curves["samples"], strict=True)) == {(16, 0)}
    assert not losses.isna().any(axis=None)
    assert not curves.isna().any(axis=None)


@pytest.mark.parametrize("command", ["python -m stages.commands.repro", "dvc repro"])
def test_a_fresh_clone_needs_no_network_and_trains_nothing(
    fresh: Clone, offline: list[str], command: str
) -> None:
    assert fresh.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    said = fresh.run(*offline, *command.split()).stdout
    assert ran(said) == []
    assert "metrics/headline.json" in said or command == "dvc repro"
    assert fresh.changed() == []
    assert not (fresh.root / "data/cifar10").exists()


def test_a_light_experiment_needs_neither_images_nor_network(
    fresh: Clone, offline: list[str]
) -> None:
    command = ["dvc", "exp", "run", "-S", "fit.resamples=120"]  # as the README has it
    said = fresh.run(*offline, *command).stdout
    refitted = {"fit_cnn", "fit_method", "fit_students", "calibrate_cnn", "verdict", "report"}
    assert refitted < {*ran(said)}
    assert not {name for name in ran(said) if name.startswith(("train", "measure", "download"))}
    lines = fresh.run("git", "diff", "--numstat", "params.yaml").stdout.split()
    assert lines == ["1", "1", "params.yaml"]
    assert not (fresh.root / "data/cifar10").exists()


def test_the_committed_results_are_those_of_the_committed_code(
    clone: Clone, offline: list[str]
) -> None:
    # A stage listed here is older than its code or params: run `dvc repro`, commit what it makes.
    status = json.loads(clone.run(*offline, "dvc", "status", "--json").stdout)
    assert status == {}
    assert clone.changed() == []


def test_a_learning_rate_makes_its_own_sweep_stale(ready: Clone) -> None:
    change(ready, "cnn.sweeps.paper.learning_rate", 2e-3)
    found = stale(ready)
    assert {name for name in found if "train" in name} == {"train_cnn@paper-1", "train_cnn@paper-2"}
    assert "aggregate_cnn" in found
    assert not any("parity" in name for name in found)


def test_a_study_makes_only_itself_stale(ready: Clone) -> None:
    change(ready, "studies.paper_keras.training.learning_rate", 2e-3)
    found = stale(ready)
    assert {name for name in found if "train" in name} == {"train_study@paper_keras"}
    assert {"aggregate_cnn", "measure_study@paper_keras"} < found


def test_a_width_makes_only_itself_stale(ready: Clone) -> None:
    change(ready, "cnn.widths", [1, 2, 7])
    found = {name for name in stale(ready) if "train" in name}
    assert found == {"train_cnn@notebook-7", "train_cnn@paper-7"}


def test_a_parity_configuration_makes_only_itself_stale(ready: Clone) -> None:
    content = yaml.safe_load((ready.root / "params.yaml").read_text())
    another = content["parity"]["configurations"]["notebook"] | {"widths": [4]}
    change(ready, "parity.configurations.narrow", another)
    found = stale(ready)
    assert {name for name in found if "train" in name} == {"train_parity@narrow"}
    assert not any("cnn" in name for name in found)


def test_an_alpha_makes_only_itself_stale_and_what_all_share_makes_all_stale(ready: Clone) -> None:
    change(ready, "parity.alphas.values", [0.5, 0.25])
    assert {n for n in stale(ready) if "train" in n} == {"train_parity_alpha@0.25"}
    change(ready, "parity.alphas.training.steps", 40)
    family = {"train_parity_alpha@0.5", "train_parity_alpha@0.25"}
    assert {n for n in stale(ready) if "train" in n} == family


@pytest.mark.parametrize(
    ("path", "trained"),
    [
        ("stages/parity/part.py", {"train_parity", "train_parity_alpha"}),
        ("stages/cnn/part.py", {"train_cnn", "train_study"}),
        ("stages/statistics/power_law.py", set()),
        ("stages/manifold/verdict.py", set()),
        ("stages/drawing/style.py", set()),
        ("stages/base/tables.py", set()),
        ("stages/base/params/cnn.py", set()),
        ("stages/dimension/activations.py", set()),
    ],
)
def test_an_edit_trains_what_it_is_part_of(ready: Clone, path: str, trained: set[str]) -> None:
    with (ready.root / path).open("a") as file:
        file.write("# edited\n")
    names = {name.partition("@")[0] for name in stale(ready)}
    assert {n for n in names if n.startswith("train")} == trained


def test_an_edit_of_a_network_trains_its_own_studies(ready: Clone) -> None:
    for name, trained in (("mlp", {"perceptron"}), ("cnn", {"perceptron", "paper_keras"})):
        with (ready.root / f"stages/networks/{name}.py").open("a") as file:
            file.write("# edited\n")
        found = {n for n in stale(ready) if n.startswith("train_study")}
        assert found == {f"train_study@{study}" for study in trained}


def test_how_a_figure_looks_makes_only_figures_stale(ready: Clone) -> None:
    change(ready, "plot.width", 7.5)
    found = stale(ready) - {"validate"}
    with Repo(str(ready.root)) as repo:
        stages = list(repo.index.stages)
    assert found == {stage.name for stage in stages if stage.name.startswith("plot")}
    drawn = {out.fs_path for stage in stages if stage.name in found for out in stage.outs}
    used = {s.name for s in stages if any(dep.fs_path in drawn for dep in s.deps)}
    assert used == {"report"}


def test_a_removed_width_leaves_the_results(ready: Clone) -> None:
    change(ready, "cnn.widths", [2])
    said = ready.run("dvc", "repro", "aggregate_cnn").stdout
    assert ran(said) == ["validate", "aggregate_cnn"]
    table = pd.read_parquet(ready.root / "metrics/cnn.parquet")
    assert set(table[table["sweep"] == "paper"]["width"]) == {2}


@pytest.mark.slow
def test_a_new_sweep_has_its_figures_everywhere_and_is_named_in_no_list(ready: Clone) -> None:
    content = yaml.safe_load((ready.root / "params.yaml").read_text())
    change(ready, "cnn.sweeps.mine", content["cnn"]["sweeps"]["paper"] | {"seeds": 3})
    said = ready.run("dvc", "repro", timeout=600).stdout
    assert {name for name in ran(said) if "train" in name} == {
        "train_cnn@mine-1",
        "train_cnn@mine-2",
    }
    drawn = {f"plots/sweeps/cnn_{kind}_mine.svg" for kind in ("scaling", "violin")}
    ready.run("dvc", "plots", "diff", "HEAD")
    shown = (ready.root / "dvc_plots/index.html").read_text()
    report = (ready.root / "plots/report.html").read_text()
    for path in drawn:
        assert (ready.root / path).is_file()
        assert path in report
        assert path.replace("/", "_") in shown
    change(ready, "cnn.sweeps", content["cnn"]["sweeps"])
    ready.run("dvc", "repro", timeout=600)
    assert not any((ready.root / path).exists() for path in drawn)
    parts = {
        f"metrics/runs/cnn/mine-{n}.{kind}" for n in (1, 2) for kind in ("parquet", "safetensors")
    }
    assert {*ready.changed()} == parts | {"dvc.lock", "metrics/runs/dvc.lock"}  # all else as before
