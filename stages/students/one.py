"""Students on the CPU: each step of a student runs on one core, students side by side.

The samples of some steps are made by all cores, then every student takes these steps, its weights
in its core's cache. So a student computes the same on any number of cores, beside any others.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from stages.base import workers
from stages.students import compiled, draws
from stages.students.configuration import Configuration, Phase
from stages.students.evaluation import Evaluation
from stages.students.history import Report, Trained
from stages.students.network import initial
from stages.students.schedule import schedule
from stages.students.teacher import Teacher

PIECE = 500
"""Samples that a core makes at a time."""


class Students:
    """All students of a configuration in training."""

    def __init__(self, configuration: Configuration) -> None:
        self._c = c = configuration
        self._real = np.dtype(c.precision)
        kind = torch.from_numpy(np.empty(0, self._real)).dtype
        here = torch.device("cpu")
        self._teachers = [Teacher(c, t, here, kind) for t in range(c.teachers)]
        self._evaluations = [Evaluation(c, t, here) for t in range(c.teachers)]
        self._schedule = schedule(c).astype(self._real)
        self.values = [self._initial(width) for width in c.widths]
        self._moments = [
            np.zeros((*of_width.shape[:2], 2, of_width.shape[2]), self._real)
            for of_width in self.values
        ]

    def _initial(self, width: int) -> np.ndarray:
        c = self._c
        starts = [
            [initial(c, teacher, width, seed) for seed in range(c.seeds)]
            for teacher in range(c.teachers)
        ]
        return np.array(starts, self._real)

    def train(self, phase: Phase, first: int, steps: int, run: "Run") -> None:
        """Take the steps that follow `first` steps."""
        c, batch = self._c, phase.batch_size
        inputs = np.empty((c.teachers, steps * batch, c.seen), self._real)
        targets = np.empty(inputs.shape[:2], self._real)

        @torch.no_grad()
        def draw(teacher: int, start: int) -> None:
            number = np.arange(start, min(start + PIECE, steps * batch))
            drawn = draws.inputs(
                c, teacher, draws.TRAINING, number % batch, first + number // batch
            )
            piece = slice(start, start + len(number))
            inputs[teacher, piece] = drawn
            made = self._teachers[teacher].targets(torch.from_numpy(inputs[teacher, piece]))
            targets[teacher, piece] = made.numpy()

        run(draw, product(range(c.teachers), range(0, steps * batch, PIECE)))

        def learn(column: int, teacher: int, seed: int) -> None:
            compiled.train(
                inputs[teacher].reshape(steps, batch, c.seen),
                targets[teacher].reshape(steps, batch),
                c.widths[column],
                c.exponent,
                self._schedule[first : first + steps],
                self.values[column][teacher, seed],
                self._moments[column][teacher, seed],
            )

        # the widest first: what is left at the end is short
        columns = sorted(range(len(c.widths)), key=lambda column: -c.widths[column])
        run(learn, product(columns, range(c.teachers), range(c.seeds)))

    def evaluate(self, step: int, run: "Run") -> np.ndarray:
        """Losses after `step` steps, (teachers, widths, seeds)."""
        found = np.empty((self._c.teachers, len(self._c.widths), self._c.seeds))

        def evaluate(teacher: int) -> None:
            values = [torch.from_numpy(of_width[teacher]) for of_width in self.values]
            found[teacher] = self._evaluations[teacher].losses(step, values)

        run(evaluate, product(range(self._c.teachers)))
        return found


Run = Callable[[Callable[..., None], Iterable[tuple[Any, ...]]], None]
"""Calls a function with each of some tuples of arguments, as many at once as there are cores."""


def train(configuration: Configuration, report: Report) -> Trained:
    """Train all students of a configuration."""
    c = configuration
    torch.set_num_threads(1)
    students = Students(c)
    losses, done = [], 0
    count = c.teachers * len(c.widths) * c.seeds
    with threadpool_limits(1), ThreadPoolExecutor(workers.cores()) as pool:

        def run(call: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> None:
            list(pool.map(lambda values: call(*values), arguments))

        for phase in c.phases:
            ahead = c.ahead(phase)
            for _ in range(c.evaluations):
                for _ in range(phase.steps // c.evaluations // ahead):
                    students.train(phase, done, ahead, run)
                    done += ahead
                losses.append(students.evaluate(done, run))
                report(count * (phase.steps // c.evaluations), float(losses[-1].mean()))
    return Trained(c, np.stack(losses, axis=-1), students.values)
