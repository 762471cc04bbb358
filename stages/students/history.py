"""The course of training students, and what it leaves: losses at every evaluation, and networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.students.configuration import Configuration, Phase
from stages.training import kept

Report = Callable[[int, float], None]
"""Called with the student-steps that have just been taken and the students' mean loss."""


class Students(Protocol):
    """All students of a configuration in training, on a device."""

    @property
    def state(self) -> Sequence[kept.Array]:
        """All that the next step depends on, but for the number of steps taken."""

    def advance(self, phase: Phase, done: int) -> None:
        """Take the steps that follow `done` steps: `Configuration.ahead` of them."""

    def evaluate(self, done: int) -> npt.NDArray[np.float64]:
        """Losses after `done` steps, (teachers, widths, seeds)."""


def follow(
    c: Configuration, students: Students, report: Report, keeping: kept.Kept = kept.NOWHERE
) -> npt.NDArray[np.float64]:
    """Train through all phases; the losses, (teachers, widths, seeds, evaluations)."""
    evaluated, count = c.evaluated(), c.teachers * len(c.widths) * c.seeds
    losses = np.zeros((c.teachers, len(c.widths), c.seeds, len(evaluated)))
    run = keeping.run("students", [*students.state, losses], c.steps, count)
    done = run.done
    for i, (number, end) in enumerate(evaluated):
        phase, before = c.phases[number - 1], done
        for first in range(done, end, c.ahead(phase)):
            students.advance(phase, first)
        if end > done:
            done = end
            losses[..., i] = students.evaluate(done)
            report(count * (done - before), float(losses[..., i].mean()))
            run.keep(done)
    return losses


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
