"""Students on the CPU against a plain PyTorch loop over one student, and what they depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.students import draws, one
from stages.students.configuration import Configuration, Phase
from stages.students.history import Trained
from stages.students.network import Student, initial
from stages.students.teacher import Teacher

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


def loop(c: Configuration, teacher: int, width: int, seed: int) -> np.ndarray:
    """The values after training, by PyTorch's autograd, losses and optimizer, in float64."""
    start = torch.from_numpy(initial(c, teacher, width, seed))
    # Adam takes a student's tensors one by one, but its update is by element
    values = torch.nn.Parameter(start)
    optimizer = torch.optim.Adam([values])
    taught = Teacher(c, teacher, CPU, torch.float64)
    step = 0
    for phase in c.phases:
        optimizer.param_groups[0]["lr"] = phase.learning_rate
        for _ in range(phase.steps):
            sample = np.arange(phase.batch_size)
            drawn = draws.inputs(c, teacher, draws.TRAINING, sample, step)
            inputs = torch.from_numpy(drawn).double()
            student = Student.of(values, c, width)
            outputs = student.hidden(inputs).relu() @ student.weights[2].T + student.biases[2]
            wanted = taught.values(inputs)
            if c.loss == "kl":
                logits = torch.stack([torch.zeros_like(wanted), wanted], 1)
                made = torch.nn.functional.log_softmax(outputs, 1)
                loss = torch.nn.functional.kl_div(
                    made, logits.log_softmax(1), log_target=True, reduction="batchmean"
                )
            else:
                loss = ((outputs[:, 0] - wanted).abs() ** c.loss).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return values.detach().numpy()


@KINDS
def test_students_are_those_of_a_plain_loop(kind: dict[str, object]) -> None:
    c = replace(SMALL, **kind)
    trained = train(c)
    tolerance = 1e-7 if c.precision == "float64" else 2e-3
    for width, values in zip(c.widths, trained.values, strict=True):
        for teacher, seed in ((0, 0), (1, 1)):
            expected = loop(c, teacher, width, seed)
            np.testing.assert_allclose(values[teacher, seed], expected, rtol=0, atol=tolerance)
            moved = np.abs(expected - initial(c, teacher, width, seed)).max()
            assert moved > 20 * tolerance
