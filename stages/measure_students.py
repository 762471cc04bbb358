"""Stage `measure_students`: measured dimensions of students and their inputs, beside the true one.

Of each teacher's widest student of seed 0, on the samples of its last evaluation: the last hidden
layer before its ReLU, as Sharma & Kaplan have it, and behind it. Of the inputs, which are alike for
all teachers: those that a teacher depends on, and all that a student sees. Writes
metrics/students_dimension.csv; and as students_live.csv how many units of the students of seed 0,
of every width, are above 0 for any of these samples. About 4 s of one core per configuration.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from stages.base import errors, params, tables, workers
from stages.base.parts import Part
from stages.dimension.estimators import measure
from stages.students import draws
from stages.students.configuration import Configuration
from stages.students.network import Student
from stages.students.part import part
from stages.students.plan import configurations

METRICS = Path("metrics")
Cloud = tuple[str, int, NDArray[np.float32 | np.float64]]
"""A source, the number of its teacher, and points (samples, coordinates)."""


def clouds(c: Configuration, made: Part) -> Iterator[Cloud]:
    """Yield the points that are measured: inputs, and the widest students' hidden layers."""
    trained, width = load(made.read_weights()), c.widths[-1]
    for teacher in range(c.teachers):
        sample = np.arange(c.evaluation_samples)
        inputs = draws.inputs(c, teacher, draws.EVALUATION, sample, c.steps)
        if teacher == 0:
            yield "relevant_inputs", teacher, inputs[:, : c.dimension * c.factors]
            yield "inputs", teacher, inputs
        student = Student.of(trained[f"{teacher}-{width}"].double(), c, width)
        before = student.hidden(torch.from_numpy(inputs).double())
        yield "before_relu", teacher, before.numpy()
        yield "last_hidden", teacher, before.relu().numpy()


def live(c: Configuration, made: Part) -> Iterator[dict[str, int]]:
    """Live units of every student that was kept, and the parameters that they have in use.

    A unit that is 0 for all samples is not there, and an input that the teacher does not use need
    not be: what is left is a network of `parameters`.
    """
    trained, inputs = load(made.read_weights()), c.dimension * c.factors
    for teacher in range(c.teachers):
        sample = np.arange(c.evaluation_samples)
        drawn = draws.inputs(c, teacher, draws.EVALUATION, sample, c.steps)
        x = torch.from_numpy(drawn).double()
        for width in c.widths:
            student = Student.of(trained[f"{teacher}-{width}"].double(), c, width)
            first, second = (
                int((layer > 0).any(dim=0).sum()) for layer in (student.first(x), student.hidden(x))
            )
            used = (inputs + 1) * first + (first + 1) * second + (second + 1) * c.outputs
            units = {"first": first, "second": second, "live_parameters": used}
            yield {"teacher": teacher, "width": width} | units


def main() -> None:
    p = params.load()
    torch.set_num_threads(1)  # clouds are worked on side by side
    found, units = [], []
    with workers.threads() as apply:
        for name, c in configurations(p.students).items():
            sources, teachers, points = zip(*clouds(c, part(name, c)), strict=True)
            measured = apply(partial(measure, settings=p.dimension), points)
            for source, teacher, estimates in zip(sources, teachers, measured, strict=True):
                of_cloud = {"configuration": name, "source": source, "teacher": teacher}
                found += [of_cloud | vars(estimate) for estimate in estimates]
            units += [{"configuration": name} | row for row in live(c, part(name, c))]
    tables.write(pd.DataFrame(found), METRICS / "students_dimension.csv", digits=5)
    tables.write(pd.DataFrame(units), METRICS / "students_live.csv")


if __name__ == "__main__":
    errors.run(main)
