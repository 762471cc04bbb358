"""A study's files of weights, and one with each change of its training, in one part."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from stages.base import params
from stages.base.params import Manifold, NamedImages, Study, StudyTraining
from stages.classification.modules import Kind
from stages.cnn import part as cnn_part
from stages.dimension import activations
from stages.images import generated
from stages.studies import train
from stages.training import kept
from tests.helpers.frozen import FROZEN

CPU = torch.device("cpu")
MADE = Manifold(dimension=2, seed=0, patches=9, train=20, test=10)


@pytest.mark.parametrize("network", ["cnn", "mlp"])
def test_further_weights_stand_beside_the_first_seeds_by_their_own_names(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images, files = generated.images(MADE), []
    for more in ({}, {"weights_seeds": 2, "best_weights": True}):
        usual = FROZEN.cnn.sweeps["paper"].model_dump() | {"batch_size": 8, "epochs": 2, "seeds": 3}
        training = StudyTraining(**usual | more)
        study = Study(images="m", network=network, widths=[1, 2], training=training)
        part = cnn_part.study_part(NamedImages("m", MADE), "study", study)
        train.train(part, "study", study, images, CPU)
        part.check({str(part.images): None})
        files.append(load(part.read_weights()))
    one, more = files
    assert all(torch.equal(more[name], value) for name, value in one.items())
    prefixes = ["", "seed1/", "best/", "seed1/best/"]
    assert set(more) == {prefix + name for prefix in prefixes for name in one}
    assert {name.partition(".")[0] for name in one} == {"1", "2"}
    for snapshot in training.snapshots:
        for width in (1, 2):
            kind = Kind(network, (3, 32, 32), 10)
            read = activations.trained(part, kind.build(width), width, snapshot).state_dict()
            for name, value in read.items():
                kept = more[f"{snapshot.prefix}{width}.{name}"]
                assert torch.equal(value, kept.float())


def test_changes_keep_no_weights_whatever_the_study_keeps() -> None:
    training = FROZEN.cnn.sweeps["paper"].model_dump()
    changes = {"soft": {"label_temperature": 1}}
    regime, made = params.Regime(studies=["m"], changes=changes), []
    for more in ({}, {"weights_seeds": 5, "best_weights": True}):
        of = StudyTraining(**training | more)
        study = Study(images="m", network="cnn", widths=[1, 2], training=of)
        made.append(cnn_part.regime_part(NamedImages("m", MADE), "m", regime.changed(study)))
    assert made[0].fingerprint == made[1].fingerprint


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
