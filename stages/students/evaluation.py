"""The losses of students on fresh samples, in float64 whatever they are trained in."""

import numpy as np
import torch
from torch import Tensor

from stages.students import draws
from stages.students.configuration import Configuration
from stages.students.network import Student
from stages.students.teacher import Teacher, loss


class Evaluation:
    """The students of one teacher are evaluated on the same samples, new in each evaluation."""

    def __init__(self, configuration: Configuration, teacher: int, device: torch.device) -> None:
        self._c, self._number, self._device = configuration, teacher, device
        self._teacher = Teacher(configuration, teacher, device, torch.float64)

    @torch.no_grad()
    def losses(self, step: int, values: list[Tensor]) -> np.ndarray:
        """Of students after `step` steps, (widths, seeds); `values` of each width (seeds, N)."""
        c = self._c
        drawn = draws.inputs(
            c, self._number, draws.EVALUATION, np.arange(c.evaluation_samples), step
        )
        inputs = torch.from_numpy(drawn).to(self._device, torch.float64)
        wanted = self._teacher.values(inputs)
        found = [
            [loss(c, Student.of(one, c, width).values(inputs), wanted) for one in of_width.double()]
            for width, of_width in zip(c.widths, values, strict=True)
        ]
        return torch.stack([torch.stack(of_width) for of_width in found]).cpu().numpy()
