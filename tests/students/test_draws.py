"""Samples of teachers: what they depend on, that none is seen twice, and the GPU's kernel."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.students import draws
from stages.students.configuration import Configuration, Phase
from tests.helpers.students import SMALL

EVERY = replace(SMALL, phases=(Phase(40, 50, 0.1), Phase(20, 130, 0.1)), inputs=10)


def every(c: Configuration, teacher: int) -> np.ndarray:
    """The inputs of all steps, and of the evaluations after some."""
    found, step = [], 0
    for phase in c.phases:
        for _ in range(phase.steps):
            sample = np.arange(phase.batch_size)
            found.append(draws.inputs(c, teacher, draws.TRAINING, sample, step))
            step += 1
    for _, after in c.evaluated():
        found.append(draws.inputs(c, teacher, draws.EVALUATION, np.arange(50), after))
    return np.concatenate(found)


def test_no_sample_is_seen_twice() -> None:
    drawn = [every(EVERY, teacher) for teacher in (0, 1)]
    drawn.append(every(replace(EVERY, dimension=2), 0))
    samples = np.concatenate(drawn)
    assert len(np.unique(samples, axis=0)) == len(samples)


def test_inputs_are_uniform_and_independent() -> None:
    samples = every(EVERY, 0)
    assert samples.min() >= -0.5
    assert samples.max() < 0.5
    each = np.sqrt(1 / 12 / len(samples))  # standard error of a mean
    assert np.abs(samples.mean(0)).max() < 5 * each
    moments = np.cov(samples.T) * 12
    assert np.abs(moments - np.eye(10)).max() < 5 / np.sqrt(len(samples))


def test_samples_of_many_steps_are_those_of_each() -> None:
    number = np.arange(150)
    together = draws.inputs(EVERY, 1, draws.TRAINING, number % 50, 7 + number // 50)
    for step in (7, 8, 9):
        alone = draws.inputs(EVERY, 1, draws.TRAINING, np.arange(50), step)
        np.testing.assert_array_equal(together[(step - 7) * 50 :][:50], alone)


def test_relevant_inputs_are_the_first_of_all() -> None:
    few = replace(EVERY, inputs_seen="relevant")
    np.testing.assert_array_equal(every(few, 0), every(EVERY, 0)[:, :3])


@pytest.mark.parametrize("seen", [3, 10])
def test_the_kernel_draws_the_same_bits(seen: int) -> None:
    pytest.importorskip("triton", reason="PyTorch brings no Triton on this platform")
    from stages.students import kernels

    c = replace(EVERY, inputs=seen)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made = torch.zeros(2, 300, seen, device=device)
    done = torch.tensor(40, dtype=torch.int32, device=device)
    kernels.draw[(3, 2)](made, done, 300, 130, c.dimension, draws.TRAINING, seen, 128)
    number = np.arange(300)
    for teacher in (0, 1):
        expected = draws.inputs(c, teacher, draws.TRAINING, number % 130, 40 + number // 130)
        np.testing.assert_array_equal(made[teacher].cpu().numpy(), expected)
