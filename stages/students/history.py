"""What training students leaves: the loss of each at every evaluation, and some networks."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.students.configuration import Configuration

Report = Callable[[int, float], None]
"""Called with the student-steps that have just been taken and the students' mean loss."""


@dataclass(frozen=True)
class Trained:
    """Students in training, or trained.

    Attributes:
        losses: (teachers, widths, seeds, evaluations), as evaluated, in float64.
        values: of each width, the students' values, (teachers, seeds, N).
    """

    configuration: Configuration
    losses: npt.NDArray[np.float64]
    values: list[np.ndarray]

    def frame(self) -> pd.DataFrame:
        """The rows of a part, by teacher, width, seed and step, less the part's own name."""
        c = self.configuration
        evaluated = c.evaluated()
        keys = product(range(c.teachers), c.widths, range(c.seeds), evaluated)
        teacher, width, seed, evaluation = zip(*keys, strict=True)
        phase, step = zip(*evaluation, strict=True)
        columns = {"teacher": teacher, "width": width, "seed": seed, "phase": phase, "step": step}
        of_width = {n: (c.parameters(n), c.parameters(n, c.seen)) for n in c.widths}
        parameters, effective = zip(*(of_width[n] for n in width), strict=True)
        columns |= {"parameters": parameters, "effective_parameters": effective}
        return pd.DataFrame(columns | {"loss": self.losses.reshape(-1)})

    def networks(self) -> dict[str, npt.NDArray[np.float32]]:
        """The values of seed 0 of every teacher and width, as `<teacher>-<width>`."""
        c = self.configuration
        return {
            f"{teacher}-{width}": values[teacher, 0].astype(np.float32)
            for width, values in zip(c.widths, self.values, strict=True)
            for teacher in range(c.teachers)
        }
