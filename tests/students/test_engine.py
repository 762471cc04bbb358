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
from tests.helpers.students import CPU, KINDS, SMALL, train


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


def same(one: Trained, other: Trained) -> bool:
    values = zip(one.values, other.values, strict=True)
    return np.array_equal(one.losses, other.losses) and all(np.array_equal(a, b) for a, b in values)


def test_trained_again_and_on_any_number_of_cores_they_are_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c = replace(SMALL, precision="float32")
    first = train(c)
    assert same(first, train(c))
    monkeypatch.setattr(one.workers, "cores", lambda: 3)
    assert same(first, train(c))


def test_a_student_does_not_depend_on_those_beside_it() -> None:
    c = replace(SMALL, precision="float32", teachers=3, seeds=3)
    alone = train(replace(c, widths=(9,), teachers=1, seeds=1))
    beside = train(c)
    np.testing.assert_array_equal(alone.values[0][0, 0], beside.values[1][0, 0])
    np.testing.assert_array_equal(alone.losses[0, 0, 0], beside.losses[0, 1, 0])


def test_students_of_teachers_and_seeds_differ() -> None:
    values = train(SMALL).values[0].reshape(4, -1)
    assert len(np.unique(values, axis=0)) == 4


def test_students_learn_their_teacher() -> None:
    c = replace(SMALL, phases=(Phase(2000, 50, 0.01), Phase(200, 500, 0.001)), precision="float32")
    losses = train(c).losses
    random = torch.rand(2000, 6, dtype=torch.float64) - 0.5
    for teacher in range(2):
        spread = float(Teacher(c, teacher, CPU, torch.float64).values(random).var())
        assert losses[teacher, ..., -1].max() < 0.1 * spread
    assert np.median(losses[..., -1]) < np.median(losses[..., 1])


def test_evaluations_are_where_they_say() -> None:
    c = replace(SMALL, phases=(Phase(6, 7, 0.01), Phase(4, 11, 0.01)))
    assert c.evaluated() == [(1, 3), (1, 6), (2, 8), (2, 10)]
    whole = train(c)
    earlier = train(replace(c, phases=c.phases[:1]))
    np.testing.assert_array_equal(whole.losses[..., :2], earlier.losses)


def test_rows_are_by_teacher_width_seed_and_step() -> None:
    frame = train(SMALL).frame()
    assert len(frame) == 2 * 2 * 2 * 4
    keys = ["teacher", "width", "seed", "step"]
    assert frame[keys].equals(frame[keys].sort_values(keys))
    row = frame[(frame.teacher == 1) & (frame.width == 9) & (frame.seed == 0)].iloc[-1]
    trained = train(SMALL)
    assert row.loss == trained.losses[1, 1, 0, -1]
    assert (row.phase, row.step) == (2, 10)
    assert trained.networks()["1-9"].shape == (SMALL.parameters(9),)
