"""Sweeps of the real training stages: the same bytes as from `dvc repro`, and adoption by them."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.helpers.clone import Clone, change, ran
from tests.helpers.sweeps import PARTS, SWEEP, without


@pytest.mark.slow
def test_four_workers_make_what_dvc_repro_makes(ready: Clone) -> None:
    removed = without(ready, "parity/*", "cnn/*-1.*", "cnn/notebook-2.*")
    assert len(removed) == 12
    said = ready.run(*SWEEP, "--workers", "4").stdout
    assert "recorded 5 stages" in said
    assert ready.changed() == []
    assert ran(ready.run("dvc", "repro").stdout) == []


@pytest.fixture
def elsewhere(fresh: Clone, tmp_path: Path) -> Path:
    """The parts, in a folder that is no repository."""
    shutil.copytree(fresh.root / PARTS, tmp_path / "rented" / PARTS)
    return tmp_path / "rented"


def test_what_was_trained_elsewhere_is_adopted_if_it_fits(fresh: Clone, elsewhere: Path) -> None:
    without(fresh, "parity/*", "cnn/*")
    said = fresh.run(*SWEEP, "--adopt", str(elsewhere)).stdout
    assert "recorded" in said
    assert fresh.changed() == []
    assert not (fresh.root / "data/cifar10").exists()


def test_what_does_not_fit_is_not_adopted(fresh: Clone, elsewhere: Path) -> None:
    without(fresh, "cnn/*")
    change(fresh, "cnn.sweeps.paper.learning_rate", 0.01)
    cnn = elsewhere / PARTS / "cnn"
    (cnn / "notebook-1.safetensors").unlink()
    part = (cnn / "notebook-2.parquet").read_bytes()
    (cnn / "notebook-2.parquet").write_bytes(part[: len(part) // 2])
    before = (fresh.root / "dvc.lock").read_bytes()

    ended = fresh.run(*SWEEP, "--adopt", str(elsewhere), "train_cnn", check=False)
    assert ended.returncode == 1
    errors = {line.split(": ")[1]: line for line in ended.stderr.splitlines()}
    names = {"train_cnn@notebook-1", "train_cnn@notebook-2", "train_cnn@paper-1"}
    assert errors.keys() == names | {"train_cnn@paper-2"}
    assert "lacks metrics/runs/cnn/notebook-1.safetensors" in errors["train_cnn@notebook-1"]
    assert "damaged" in errors["train_cnn@notebook-2"]
    assert "params.learning_rate: 0.001, params.yaml has 0.01" in errors["train_cnn@paper-1"]
    assert (fresh.root / "dvc.lock").read_bytes() == before
    assert not list((fresh.root / PARTS).glob("cnn/*"))


def test_weights_of_others_and_other_images_are_not_adopted(fresh: Clone, elsewhere: Path) -> None:
    without(fresh, "cnn/paper-*")
    cnn = elsewhere / PARTS / "cnn"
    shutil.copy(cnn / "notebook-1.safetensors", cnn / "paper-1.safetensors")
    table = pq.read_table(cnn / "paper-2.parquet")
    metadata = table.schema.metadata | {b"images": b"0"}
    pq.write_table(table.replace_schema_metadata(metadata), cnn / "paper-2.parquet")
    before = (fresh.root / "dvc.lock").read_bytes()

    ended = fresh.run(*SWEEP, "--adopt", str(elsewhere), "train_cnn", check=False)
    assert ended.returncode == 1
    of_paper_1, of_paper_2 = sorted(ended.stderr.splitlines())
    assert "paper-1.safetensors: damaged, or another part's" in of_paper_1
    assert "paper-2.parquet: trained on other images (0; data/cifar10.json is " in of_paper_2
    assert (fresh.root / "dvc.lock").read_bytes() == before
    assert not list((fresh.root / PARTS).glob("cnn/paper-*"))
