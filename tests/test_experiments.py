"""The recipes of docs/experiments.md, run as they stand there, and configurations by `-S`."""

import json
import re
import time

import pandas as pd
import pytest
import yaml

from tests.helpers.clone import Clone, ran
from tests.helpers.root import ROOT

RECIPES = ROOT / "docs/experiments.md"


def recipes() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", RECIPES.read_text(), re.DOTALL | re.MULTILINE)


def wait_for_the_queue(clone: Clone) -> None:
    deadline = time.monotonic() + 240
    while re.search(r"Queued|Running", status := clone.run("dvc", "queue", "status").stdout):
        assert time.monotonic() < deadline, status
        time.sleep(1)
    clone.run("dvc", "queue", "stop")
    assert status.count("Success") == 2, status


def tolerance(clone: Clone) -> float:
    content: dict[str, dict[str, float]] = yaml.safe_load((clone.root / "params.yaml").read_text())
    return content["verdict"]["tolerance"]


@pytest.mark.slow
def test_the_recipes_do_what_they_say(ready: Clone) -> None:
    said = []
    for recipe in recipes():
        done = ready.run("bash", "-euo", "pipefail", "-c", recipe)
        said.append(done.stdout)
        if "queue start" in recipe:
            wait_for_the_queue(ready)
    override, _, training, _, compared, kept, back, added, graph = said
    assert ran(override) == ["validate", "verdict"]
    assert re.search(r"verdict\.fit\.epochs +best +last", override)
    assert ran(training) == ["validate", "train_cnn@paper-2", "aggregate_cnn"]
    assert re.search(r"\[fast\].* \[2\] +0\.002 ", compared)
    assert not re.search(r"\b[0-9a-f]{32}\b", compared)  # no column of hashes
    assert max(map(len, graph.splitlines())) < 60
    tolerances = re.findall(r"Success .* (0\.05|0\.2) ", compared)
    assert sorted(tolerances) == ["0.05", "0.2"]
    assert re.search(r"verdict\.fit\.epochs +best +last", compared)
    assert "'faster-learning' has been created" in kept
    assert ran(back) == []
    more = ["validate", "train_study@mine", "aggregate_cnn"]
    assert ran(added) == [*more, "validate", "aggregate_cnn"]
    assert ready.changed() == []
    assert tolerance(ready) == 0.1
    assert "epochs: last" in ready.run("git", "show", "HEAD:params.yaml").stdout
    branch = ready.run("git", "show", "faster-learning:params.yaml").stdout
    assert "learning_rate: 0.002" in branch


def test_a_configuration_is_added_and_left_out_by_an_override(ready: Clone) -> None:
    content = yaml.safe_load((ready.root / "params.yaml").read_text())
    first = next(iter(content["parity"]["configurations"].values()))
    small = json.dumps(first | {"seeds": 1}).replace('"', "")  # the grammar quotes no keys
    overrides = [f"+parity.configurations.small={small}", "~parity.configurations.notebook"]
    options = [part for override in overrides for part in ("-S", override)]
    assert parity(ready) == {"notebook", "alpha_0.5"}
    said = ready.run("dvc", "exp", "run", *options, "aggregate_parity").stdout
    assert ran(said) == ["validate", "train_parity@small", "aggregate_parity"]
    assert parity(ready) == {"small", "alpha_0.5"}


def parity(clone: Clone) -> set[str]:
    return set(pd.read_parquet(clone.root / "metrics/parity_losses.parquet")["configuration"])


@pytest.mark.parametrize("columns", [110])
def test_the_headline_fits_a_terminal(clone: Clone, columns: int) -> None:
    for line in clone.run("dvc", "metrics", "show").stdout.splitlines():
        assert len(line) <= columns, line
