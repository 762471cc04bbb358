"""docs/network.md as it stands: its networks train, on images of any shape, and are measured."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.base import params
from stages.images import stored
from tests.helpers.clone import Clone
from tests.helpers.root import ROOT
from tests.helpers.tiny import dumped, tiny

PAGE = (ROOT / "docs/network.md").read_text()
MINE = (12, 10, 2)


def blocks(kind: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


@pytest.fixture
def workspace(clone: Clone, small_images: Path) -> Clone:
    """A clone with the files of the page, small images, and images of one's own as docs/data.md."""
    residual, check, elsewhere = blocks("python")
    (clone.root / "stages/networks/residual.py").write_text(residual)
    (clone.root / "stages/networks/theirs.py").write_text(elsewhere)
    (clone.root / "check.py").write_text(check)
    [images] = blocks("yaml", (ROOT / "docs/data.md").read_text())
    (own,) = yaml.safe_load(images)["images"].values()
    own |= {"folder": "my_images", "shape": [*MINE]}
    made, study = tiny(), yaml.safe_load(blocks("yaml")[0])["residual"]
    made["images"]["mine"] = own
    for name, network, of in (
        ("residual", "residual", "cifar10"),
        ("perceptron", "mlp", "mine"),
        ("theirs", "theirs", "mine"),
    ):
        made["studies"][name] = study | {"network": network, "images": of}
    (clone.root / "params.yaml").write_text(dumped(made))
    shutil.copytree(small_images, clone.root / "data/cifar10")
    there = stored.Place(clone.root / "data", "cifar10", params.PublishedImages(source="cifar10"))
    stored.write_record(there)
    random = np.random.default_rng(0)
    (clone.root / "my_images").mkdir()
    for split, count in (("train", 24), ("test", 12)):
        pixels = random.integers(256, size=(count, *MINE), dtype=np.uint8)
        np.save(clone.root / f"my_images/{split}_images.npy", pixels)
        np.save(clone.root / f"my_images/{split}_labels.npy", np.arange(count) % 3)
    return clone


def test_the_page_adds_networks_that_train_and_are_measured(workspace: Clone) -> None:
    printed = workspace.run("python", "check.py").stdout.strip()
    assert printed in PAGE
    workspace.run("dvc", "repro", "--single-item", "download@mine")
    for name in ("residual", "perceptron", "theirs"):
        if name == "residual":
            train = f"metrics/runs/dvc.yaml:train_study@{name}"
            workspace.run("dvc", "repro", "--single-item", train)
        else:
            workspace.run("python", "-m", "stages.train_study", name)
        workspace.run("python", "-m", "stages.measure_study", name)
        part = workspace.root / f"metrics/runs/studies/{name}.parquet"
        rows = pd.read_parquet(part)
        assert rows.groupby("width").size().to_dict() == dict.fromkeys([2, 4, 8, 16], 5 * 10)
        if name == "residual":
            assert str(rows["parameters"].unique().tolist()) == printed
        trained = rows[rows["epoch"] == 10]["train_loss"].mean()
        assert trained < rows[rows["epoch"] == 1]["train_loss"].mean()
        read = pd.read_csv(workspace.root / f"metrics/dimension_studies/{name}.csv")
        assert {*read["width"].dropna()} == {2, 4, 8, 16}


def test_what_does_not_fit_is_one_line_and_leaves_nothing(workspace: Clone) -> None:
    path = workspace.root / "params.yaml"
    made = yaml.safe_load(path.read_text())
    workspace.run("dvc", "repro", "--single-item", "download@mine")
    made["studies"]["theirs"]["network"] = "cnn"
    path.write_text(dumped(made))
    done = workspace.run("python", "-m", "stages.train_study", "theirs", check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "the network cnn takes" in line
    assert "12x10x2" in line
    assert "choose another network" in line
    assert not (workspace.root / "metrics/runs/studies/theirs.parquet").exists()
