"""What tests of students share: a small configuration, kinds of it, and training on the CPU."""

import pytest
import torch

from stages.students import one
from stages.students.configuration import Configuration, Phase
from stages.students.history import Trained

CPU = torch.device("cpu")
SMALL = Configuration(
    dimension=3,
    loss=2,
    widths=(5, 9),
    teachers=2,
    seeds=2,
    phases=(Phase(6, 7, 0.01), Phase(4, 1301, 0.001)),
    evaluations=2,
    evaluation_samples=50,
    inputs=6,
    hidden=11,
    precision="float64",
)
KINDS = pytest.mark.parametrize(
    "kind",
    [
        {},
        {"loss": "kl"},
        {"loss": 1},
        {"loss": 3},
        {"inputs_seen": "relevant"},
        {"dimension": 2, "factors": 3, "precision": "float32"},
    ],
    ids=["squared", "divergence", "absolute", "cubed", "relevant inputs", "product, float32"],
)


def train(configuration: Configuration) -> Trained:
    return one.train(configuration, lambda done, loss: None)
