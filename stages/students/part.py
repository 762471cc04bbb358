"""The part of students of one configuration: every student's loss at every evaluation."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.base.parts import Part, keys
from stages.students.configuration import Configuration

PARTS = Path("metrics/runs/students")

SCHEMA = pa.schema(
    [
        ("configuration", pa.dictionary(pa.int8(), pa.string())),
        ("dimension", pa.int32()),  # d; of one factor, where a teacher is a sum
        ("loss_function", pa.dictionary(pa.int8(), pa.string())),  # kl, or p of the mean |error|^p
        ("teacher", pa.int32()),
        ("width", pa.int32()),
        ("parameters", pa.int32()),  # of the whole network
        ("effective_parameters", pa.int32()),  # without the weights of inputs that do not count
        ("seed", pa.int32()),
        ("phase", pa.int32()),  # from 1
        ("step", pa.int32()),  # optimizer steps taken, in all phases
        ("loss", pa.float64()),  # on fresh samples, shared by the students of a teacher
    ]
)


def part(name: str, configuration: Configuration) -> Part:
    """The part of a configuration of some name: every teacher, width, seed and evaluation."""
    c = configuration
    made_by = json.loads(json.dumps(asdict(c)))  # as it is read back: lists for tuples
    rows: list[dict[str, Sequence[Any]]] = [
        {
            "configuration": [name],
            "dimension": [c.dimension],
            "loss_function": [str(c.loss)],
            "teacher": [teacher],
            "width": [width],
            "parameters": [c.parameters(width)],
            "effective_parameters": [c.parameters(width, c.seen)],
            "seed": range(c.seeds),
            "step": [step for _, step in c.evaluated()],
        }
        for teacher in range(c.teachers)
        for width in c.widths
    ]
    return Part(
        f"train_students@{name}",
        PARTS / f"{name}.parquet",
        SCHEMA,
        {"loss": (0.0, math.inf)},
        {"configuration": name, "params": made_by},
        keys(*rows),
        has_weights=True,
    )
