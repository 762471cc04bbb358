"""What was trained before a SIGKILL is taken up again, and ends in the same bits."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.base.progress import Progress
from stages.cnn import train as cnn_train
from stages.cnn.part import sweep_part
from stages.images.arrays import open_images
from stages.training import kept
from tests.helpers.frozen import FROZEN
from tests.helpers.killed import ENGINES
from tests.helpers.root import ROOT


def train(engine: str, folder: Path, *trainings: str) -> dict[str, dict[str, np.ndarray]]:
    """What each of some trainings has made that was not killed; see `tests.helpers.killed`."""
    command = [sys.executable, "-m", "tests.helpers.killed", engine, folder, *trainings]
    # the kernels' own tests run them on a GPU; here Triton's interpreter does
    env = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=env, check=True)
    return {path.parent.name: dict(np.load(path)) for path in folder.glob("*/made.npz")}


@pytest.mark.parametrize("engine", ENGINES)
def test_training_goes_on_after_a_kill_to_the_same_bits(engine: str, tmp_path: Path) -> None:
    if engine.endswith("replicas") and not find_spec("triton"):
        pytest.skip("PyTorch brings no Triton on this platform")
    total = ENGINES[engine]
    kill = f"killed:key:{total // 2 + 1}"
    found = train(engine, tmp_path, "through:key:0", kill, "killed:key:0")
    made, expected = found["killed"], found["through"]
    assert expected.pop("reports") == total
    assert expected.pop("skipped") == 0
    assert made.pop("reports") < total
    assert made.pop("skipped") > 0
    assert made.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(made[name], value, err_msg=name)
    if engine.startswith("cnn."):  # what was best before the kill is none that training comes to
        best = {name: value for name, value in expected.items() if name.startswith("seed1/best/")}
        last = [expected[name.replace("best/", "")] for name in best]
        assert expected["validation_loss"][1].argmin() == 0
        assert any(not np.array_equal(a, b) for a, b in zip(best.values(), last, strict=True))


def test_what_is_kept_is_of_no_use_to_another_training(tmp_path: Path) -> None:
    found = train("parity.one", tmp_path, "killed:key:3", "killed:another:0")
    assert list((tmp_path / "killed/kept").iterdir())
    assert found["killed"]["skipped"] == 0


def test_what_is_kept_is_of_no_use_to_other_kernels(
    small_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in CUDA C++ are no module, and code all the same."""
    images = open_images(small_images)
    part = sweep_part(FROZEN.cnn_images, "paper", FROZEN.cnn.sweeps["paper"], 1)

    def key() -> str:
        with Progress("test", 1, "epochs") as report:
            return cnn_train.kept_of(part, images, torch.device("cpu"), report).key()

    before = key()
    copied = shutil.copytree(kept.STAGES, tmp_path / "stages")
    monkeypatch.setattr(kept, "STAGES", copied)
    assert key() == before
    kernels = copied / "cnn/fused.cu"
    kernels.write_text(kernels.read_text() + "\n")
    assert key() != before


@pytest.mark.parametrize("damage", ["cut short", "no file of ours", "another shape"])
def test_a_damaged_state_is_none(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PERIOD", 0.0)
    keeping = kept.Kept(tmp_path, lambda: "key")
    before = [torch.arange(10.0), np.arange(6).reshape(2, 3)[:, 1]]
    run = keeping.run("a", before, end=9)
    run.keep(3)
    state = [torch.zeros(10), np.zeros((2, 3), int)[:, 1]]
    assert keeping.run("a", state, end=9).done == 3
    assert torch.equal(state[0], before[0])
    assert np.array_equal(state[1], before[1])
    path = tmp_path / "a.safetensors"
    if damage == "another shape":
        state[0] = torch.zeros(11)
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "cut short" else b"nothing")
    state[1][:] = 0
    assert keeping.run("a", state, end=9).done == 0
    assert not state[1].any()


@pytest.mark.parametrize("why", ["no folder can be made", "the disk is full"])
def test_training_goes_on_where_nothing_can_be_kept(
    tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kept, "PERIOD", 0.0)
    folder = Path("/dev/full/kept") if why == "no folder can be made" else tmp_path
    if why == "the disk is full":

        def full(*_: object) -> None:
            raise kept.SafetensorError("I/O error: No space left on device (os error 28)")

        monkeypatch.setattr(kept, "save_file", full)
    with kept.Progress("training", 9, "epochs") as report:
        run = kept.Kept(folder, lambda: "key", report).run("a", [torch.zeros(3)], end=9)
        run.keep(1)
        run.keep(2)
    assert capfd.readouterr().err.count("training: a kill would lose what is trained") == 1
    assert not list(tmp_path.iterdir())


def test_short_training_never_touches_the_disk(tmp_path: Path) -> None:
    run = kept.Kept(tmp_path / "none", lambda: "key").run("a", [torch.zeros(3)], end=2)
    run.keep(1)
    run.keep(2)
    assert not (tmp_path / "none").exists()
