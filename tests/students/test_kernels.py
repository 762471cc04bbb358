"""The students' kernels against the CPU's engine, which is tested on its own.

They run on a GPU or, where there is none, in Triton's interpreter (see conftest.py).
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="PyTorch brings no Triton on this platform")

from stages.students import replicas
from stages.students.configuration import Configuration, Phase
from stages.students.history import Trained
from tests.helpers.students import KINDS, SMALL
from tests.helpers.students import train as reference

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles and shares of a small batch, and programs that own a part of the units.

    On a GPU the tiles are those that train.
    """
    if DEVICE.type == "cuda":
        return
    monkeypatch.setattr(replicas, "TILES", {units: (16, 16, 4) for units in replicas.TILES})
    monkeypatch.setattr(replicas, "SHARES", 2)


def train(configuration: Configuration) -> Trained:
    return replicas.train(configuration, DEVICE, lambda done, loss: None)


@KINDS
def test_students_are_those_of_the_cpu(kind: dict[str, object]) -> None:
    phases = Phase(4, 50, 0.01), Phase(2, 70, 0.001)
    c = replace(SMALL, widths=(5, 20), phases=phases, **kind)
    tolerance = 1e-7 if c.precision == "float64" else 2e-3
    trained, expected = train(c), reference(c)
    for ours, theirs in zip(trained.values, expected.values, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    np.testing.assert_allclose(trained.losses, expected.losses, rtol=100 * tolerance)
