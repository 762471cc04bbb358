"""A student: two hidden ReLU layers of one width.

Flat values lie in this order: the first layer's weights (inputs, width) and biases, the second's
(width, width) and biases, the output's (outputs, width) and biases. Of the inputs only those that a
student sees have weights here: the others are always 0.

Cross-entropy over two logits depends on their difference alone, the contrast: with two outputs,
that is what a network is taken to compute, the second output against the first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from stages.students.configuration import Configuration

BIAS = 0.5
"""The standard deviation of a bias at the start."""
_STUDENT = 0
"""First word of the key of a student's initial values; see also stages/students/teacher.py."""


def initial(
    configuration: Configuration, teacher: int, width: int, seed: int
) -> npt.NDArray[np.float64]:
    """The values that training starts from, (N,): weights N(0, 1 / fan-in), biases N(0, 0.5^2).

    They are drawn on the CPU from a generator keyed by all that tells a student from others.
    """
    c = configuration
    key = np.random.SeedSequence((_STUDENT, c.dimension, teacher, width, seed))
    draw = np.random.Generator(np.random.Philox(key))

    def layer(inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
        weights = draw.standard_normal((inputs, outputs)) / inputs**0.5
        return weights, draw.standard_normal(outputs) * BIAS

    first, first_bias = layer(c.inputs, width)
    second, second_bias = layer(width, width)
    output, output_bias = layer(width, c.outputs)
    parts = [first[: c.seen], first_bias, second, second_bias, output.T, output_bias]
    return np.concatenate([part.reshape(-1) for part in parts])


@dataclass(frozen=True)
class Student:
    """A student with values (N,), as plain PyTorch: what is evaluated, and the reference.

    Attributes:
        weights, biases: of the three layers, weights as (inputs, outputs) but for the last.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @classmethod
    def of(cls, values: Tensor, configuration: Configuration, width: int) -> "Student":
        """Views of `values`."""
        seen, n, outputs = configuration.seen, width, configuration.outputs
        shapes = [(seen, n), (n,), (n, n), (n,), (outputs, n), (outputs,)]
        parts = values.split([int(np.prod(shape)) for shape in shapes])
        views = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        return cls(tuple(views[::2]), tuple(views[1::2]))

    def first(self, inputs: Tensor) -> Tensor:
        """The first hidden layer before its ReLU, (samples, width), of inputs (samples, seen)."""
        return inputs @ self.weights[0] + self.biases[0]

    def hidden(self, inputs: Tensor) -> Tensor:
        """The last hidden layer before its ReLU, likewise."""
        return self.first(inputs).relu() @ self.weights[1] + self.biases[1]

    def values(self, inputs: Tensor) -> Tensor:
        """Its output, or the contrast of two, (samples,)."""
        outputs = self.hidden(inputs).relu() @ self.weights[2].T + self.biases[2]
        return outputs[:, -1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs[:, 0]
