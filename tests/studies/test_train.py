"""A study with each change of its training, in one part."""

from pathlib import Path

import pytest
import torch

from stages.base import params
from stages.base.params import Manifold, NamedImages, Study, StudyTraining
from stages.cnn import part as cnn_part
from stages.images import generated
from stages.studies import train
from stages.training import kept
from tests.helpers.frozen import FROZEN

CPU = torch.device("cpu")
MADE = Manifold(dimension=2, seed=0, patches=9, train=20, test=10)


def test_changes_that_were_stopped_between_two_go_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept, "PERIOD", 0.0)
    monkeypatch.setattr(kept, "SHARE", float("inf"))
    training = FROZEN.cnn.sweeps["paper"].model_dump() | {"batch_size": 8, "epochs": 2, "seeds": 2}
    study = Study(images="m", network="cnn", widths=[1, 2], training=StudyTraining(**training))
    changes = {"soft": {"label_temperature": 1}, "falling": {"schedule": "linear", "epochs": 3}}
    regime = params.Regime(studies=["m"], changes=changes)
    named = NamedImages("m", MADE)
    changed = regime.changed(study)
    part = cnn_part.regime_part(named, "m", changed)
    images = generated.images(MADE)

    train.train_changed(part, changed, images, CPU)
    whole = part.path.read_bytes()
    rows = part.read()
    assert rows.groupby("sweep", observed=True)["epoch"].max().to_dict() == {
        "soft": 2,
        "falling": 3,
    }
    assert not part.weights.exists()
    assert not list(kept.FOLDER.glob("*"))

    part.path.unlink()
    trained, seen = train._trained, []

    def stops(part: object, name: str, *rest: object) -> object:
        seen.append(name)
        if seen == ["soft", "falling"]:
            raise KeyboardInterrupt
        return trained(part, name, *rest)

    monkeypatch.setattr(train, "_trained", stops)
    with pytest.raises(KeyboardInterrupt):
        train.train_changed(part, changed, images, CPU)
    assert not part.path.exists()
    assert list(kept.FOLDER.glob("*-soft/*"))
    train.train_changed(part, changed, images, CPU)
    assert part.path.read_bytes() == whole
    assert not list(kept.FOLDER.glob("*/*"))
