"""Teachers: random networks of which only some inputs count, and the losses of their students.

Weights are N(0, 1 / fan-in), biases zero. What a teacher is depends on its number and on d alone:
students by other losses and of other widths learn the same functions, with two outputs for the
divergence.
"""

import numpy as np
import torch
from torch import Tensor

from stages.students.configuration import Configuration

_TEACHER = 1
"""First word of the key of a teacher's weights; see also stages/students/network.py."""


class Teacher:
    """One teacher on a device."""

    def __init__(
        self, configuration: Configuration, number: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._loss = configuration.loss
        self._networks = [
            [torch.from_numpy(weight).to(device, dtype) for weight in _weights(configuration, key)]
            for key in ((number, factor) for factor in range(configuration.factors))
        ]

    def values(self, inputs: Tensor) -> Tensor:
        """Its output, or the contrast of two, (samples,), of inputs (samples, seen)."""
        return sum(
            (((inputs @ first).relu_() @ second).relu_() @ output)
            for first, second, output in self._networks
        )  # type: ignore[return-value]

    def targets(self, inputs: Tensor) -> Tensor:
        """What students learn, (samples,): the output, or the second output's probability."""
        values = self.values(inputs)
        return values.sigmoid_() if self._loss == "kl" else values


def _weights(configuration: Configuration, key: tuple[int, int]) -> list[np.ndarray]:
    """Of one network: (seen, hidden), (hidden, hidden) and (hidden,), that of the contrast."""
    c, (number, factor) = configuration, key
    draw = np.random.Generator(
        np.random.Philox(np.random.SeedSequence((_TEACHER, c.dimension, number, factor)))
    )
    first = np.zeros((c.seen, c.hidden))
    rows = slice(factor * c.dimension, (factor + 1) * c.dimension)
    first[rows] = draw.standard_normal((c.dimension, c.hidden)) / c.inputs**0.5
    second, output = draw.standard_normal((c.hidden, c.hidden)), draw.standard_normal((c.hidden, 2))
    contrast = output[:, 1] - output[:, 0] if c.outputs == 2 else output[:, 0]
    return [first, second / c.hidden**0.5, contrast * (c.scale / c.hidden**0.5)]


def loss(configuration: Configuration, student: Tensor, teacher: Tensor) -> Tensor:
    """The mean loss of a student's values, (samples,), against its teacher's.

    The divergence is in nats: with p the teacher's probability of its second output and D the
    difference of the contrasts, it is ln(1 + p (exp(D) - 1)) - p D, which loses no digits to the
    size of the contrasts.
    """
    if configuration.loss == "kl":
        probability, difference = teacher.sigmoid(), student - teacher
        return (torch.log1p(probability * difference.expm1()) - probability * difference).mean()
    return (student - teacher).abs().pow(configuration.loss).mean()
