"""Teachers and students against plain NumPy, and the losses against their definitions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from stages.students.configuration import Configuration
from stages.students.network import Student, initial
from stages.students.teacher import Teacher, _weights, loss
from tests.helpers.students import CPU, SMALL

PAPER = Configuration(4, 2, (8, 22), 1, 1, (), 1)


def test_teacher_is_a_relu_network_of_some_inputs() -> None:
    for outputs, kind in ((1, 2.0), (2, "kl")):
        c = replace(PAPER, loss=kind)
        random = np.random.default_rng(0)
        inputs = random.uniform(-0.5, 0.5, (100, 20))
        first, second, output = _weights(c, (0, 0))
        expected = np.maximum(np.maximum(inputs @ first, 0) @ second, 0) @ output
        made = Teacher(c, 0, CPU, torch.float64)
        values = made.values(torch.from_numpy(inputs)).numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-12)
        inputs[:, 4:] = random.uniform(-0.5, 0.5, (100, 16))
        np.testing.assert_array_equal(made.values(torch.from_numpy(inputs)).numpy(), values)
        assert np.isclose(first[:4].std(), 20**-0.5, rtol=0.1)
        assert np.isclose(second.std(), 600**-0.5, rtol=0.01)
        assert np.isclose(output.std(), 6 * (outputs / 600) ** 0.5, rtol=0.1)


def test_a_product_is_a_sum_of_teachers_with_inputs_of_their_own() -> None:
    c = replace(PAPER, dimension=3, factors=3, inputs=9)
    inputs = torch.rand(50, 9, dtype=torch.float64) - 0.5
    teacher = Teacher(c, 1, CPU, torch.float64)
    nothing = torch.zeros(50, 9, dtype=torch.float64)
    apart = []
    for factor in range(3):
        of_factor = nothing.clone()
        columns = slice(3 * factor, 3 * factor + 3)
        of_factor[:, columns] = inputs[:, columns]
        apart.append(teacher.values(of_factor))
    torch.testing.assert_close(teacher.values(inputs), sum(apart))
    assert len({round(float(values.std()), 12) for values in apart}) == 3


def test_inputs_that_do_not_count_do_not_make_the_teacher() -> None:
    few = replace(PAPER, inputs_seen="relevant")
    inputs = torch.rand(50, 20, dtype=torch.float64) - 0.5
    values = Teacher(few, 2, CPU, torch.float64).values(inputs[:, :4])
    torch.testing.assert_close(values, Teacher(PAPER, 2, CPU, torch.float64).values(inputs))


def test_parameters_are_those_of_the_network() -> None:
    for c in (PAPER, replace(PAPER, loss="kl"), replace(PAPER, inputs=9)):
        for width in c.widths:
            layers = [torch.nn.Linear(c.inputs, width), torch.nn.Linear(width, width)]
            layers.append(torch.nn.Linear(width, c.outputs))
            count = sum(p.numel() for layer in layers for p in layer.parameters())
            assert c.parameters(width) == count == initial(c, 0, width, 0).size
    few = replace(PAPER, inputs_seen="relevant")
    assert few.parameters(8) == 249
    assert few.parameters(8, few.seen) == initial(few, 0, 8, 0).size == 121


def test_students_start_as_the_authors_did() -> None:
    start = torch.from_numpy(initial(replace(PAPER, loss="kl"), 0, 200, 0))
    student = Student.of(start, replace(PAPER, loss="kl"), 200)
    assert [tuple(w.shape) for w in student.weights] == [(20, 200), (200, 200), (2, 200)]
    for weights, fan_in in zip(student.weights, (20, 200, 200), strict=True):
        assert np.isclose(weights.std(), fan_in**-0.5, rtol=0.1)
    assert np.isclose(torch.cat(student.biases).std(), 0.5, rtol=0.1)


def test_a_student_starts_alike_whichever_inputs_it_sees() -> None:
    few = replace(PAPER, inputs_seen="relevant")
    whole, part = initial(PAPER, 1, 8, 3), initial(few, 1, 8, 3)
    np.testing.assert_array_equal(whole[: 4 * 8], part[: 4 * 8])
    np.testing.assert_array_equal(whole[20 * 8 :], part[4 * 8 :])


def test_student_is_a_plain_network() -> None:
    c = replace(SMALL, loss="kl")
    values = torch.from_numpy(initial(c, 0, 5, 0))
    student = Student.of(values, c, 5)
    inputs = np.random.default_rng(0).uniform(-0.5, 0.5, (30, 6))
    (w1, w2, w3), (b1, b2, b3) = (
        [tensor.numpy() for tensor in tensors] for tensors in (student.weights, student.biases)
    )
    hidden = np.maximum(inputs @ w1 + b1, 0) @ w2 + b2
    outputs = np.maximum(hidden, 0) @ w3.T + b3
    made = torch.from_numpy(inputs)
    np.testing.assert_allclose(student.hidden(made).numpy(), hidden, rtol=1e-12)
    np.testing.assert_allclose(student.values(made), outputs[:, 1] - outputs[:, 0], rtol=1e-9)


@pytest.mark.parametrize("spread", [1.0, 1e-5])
def test_divergence_is_that_of_the_softmax(spread: float) -> None:
    random = torch.Generator().manual_seed(0)
    teacher = torch.randn(1000, generator=random, dtype=torch.float64)
    student = teacher + spread * torch.randn(1000, generator=random, dtype=torch.float64)
    logits = [torch.stack([torch.zeros_like(v), v], 1).log_softmax(1) for v in (student, teacher)]
    expected = F.kl_div(*logits, log_target=True, reduction="batchmean")
    made = loss(replace(PAPER, loss="kl"), student, teacher)
    assert float(made) == pytest.approx(float(expected), rel=1e-4)
    p = teacher.sigmoid()
    if spread < 1:  # to second order
        second = (p * (1 - p) * (student - teacher) ** 2 / 2).mean()
        assert float(made) == pytest.approx(float(second), rel=1e-4)


def test_losses_are_mean_powers_of_the_error() -> None:
    student, teacher = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([1.5, 0.0, -1.0])
    for power, expected in ((1, 2.5 / 3), (2, 4.25 / 3), (3, 8.125 / 3)):
        assert float(loss(replace(PAPER, loss=power), student, teacher)) == pytest.approx(expected)
