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
from stages.students.history import Report, Trained, follow
from stages.students.network import initial
from stages.students.schedule import schedule
from stages.students.teacher import Teacher
from stages.training import kept

PIECE = 500
"""Samples that a core makes at a time."""


class Students:
    """All students of a configuration in training.

    `run` calls a function with each of some tuples of arguments, as many at once as there are
    cores.
    """

    def __init__(self, configuration: Configuration, run: "Run") -> None:
        self._c = c = configuration
        self._run, self._real = run, np.dtype(c.precision)
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

    @property
    def state(self) -> list[np.ndarray]:
        """All that the next step depends on, but for the number of steps taken."""
        return [*self.values, *self._moments]

    def _initial(self, width: int) -> np.ndarray:
        c = self._c
        starts = [
            [initial(c, teacher, width, seed) for seed in range(c.seeds)]
            for teacher in range(c.teachers)
        ]
        return np.array(starts, self._real)

    def advance(self, phase: Phase, done: int) -> None:
        """Take the steps that follow `done` steps."""
        c, batch, steps = self._c, phase.batch_size, self._c.ahead(phase)
        inputs = np.empty((c.teachers, steps * batch, c.seen), self._real)
        targets = np.empty(inputs.shape[:2], self._real)

        @torch.no_grad()
        def draw(teacher: int, start: int) -> None:
            number = np.arange(start, min(start + PIECE, steps * batch))
            drawn = draws.inputs(c, teacher, draws.TRAINING, number % batch, done + number // batch)
            piece = slice(start, start + len(number))
            inputs[teacher, piece] = drawn
            made = self._teachers[teacher].targets(torch.from_numpy(inputs[teacher, piece]))
            targets[teacher, piece] = made.numpy()

        self._run(draw, product(range(c.teachers), range(0, steps * batch, PIECE)))

        def learn(column: int, teacher: int, seed: int) -> None:
            compiled.train(
                inputs[teacher].reshape(steps, batch, c.seen),
                targets[teacher].reshape(steps, batch),
                c.widths[column],
                c.exponent,
                self._schedule[done : done + steps],
                self.values[column][teacher, seed],
                self._moments[column][teacher, seed],
            )

        # the widest first: what is left at the end is short
        columns = sorted(range(len(c.widths)), key=lambda column: -c.widths[column])
        self._run(learn, product(columns, range(c.teachers), range(c.seeds)))

    def evaluate(self, done: int) -> np.ndarray:
        """Losses after `done` steps, (teachers, widths, seeds)."""
        found = np.empty((self._c.teachers, len(self._c.widths), self._c.seeds))

        def evaluate(teacher: int) -> None:
            values = [torch.from_numpy(of_width[teacher]) for of_width in self.values]
            found[teacher] = self._evaluations[teacher].losses(done, values)

        self._run(evaluate, product(range(self._c.teachers)))
        return found


Run = Callable[[Callable[..., None], Iterable[tuple[Any, ...]]], None]


def train(
    configuration: Configuration, report: Report, keeping: kept.Kept = kept.NOWHERE
) -> Trained:
    """Train all students of a configuration."""
    torch.set_num_threads(1)
    with threadpool_limits(1), ThreadPoolExecutor(workers.cores()) as pool:

        def run(call: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> None:
            list(pool.map(lambda values: call(*values), arguments))

        students = Students(configuration, run)
        losses = follow(configuration, students, report, keeping)
    return Trained(configuration, losses, students.values)
