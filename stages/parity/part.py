"""The parts of a parity configuration: its losses, its tasks' learning, and their curves."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.base.params import FAMILY, ParityConfiguration
from stages.base.parts import Part, keys
from stages.parity.plan import curve_steps, families

FOLDER = Path("metrics/runs/parity")
_RUN = [
    ("configuration", pa.dictionary(pa.int8(), pa.string())),
    ("width", pa.int32()),
    ("samples", pa.int64()),  # in the training set; 0: fresh ones without end
    ("seed", pa.int32()),
]
SCHEMAS = {
    "losses": pa.schema(
        [
            *_RUN,
            ("step", pa.int32()),  # optimizer steps taken
            ("mean_loss", pa.float32()),  # nats, over the tasks weighted by frequency
        ]
    ),
    "tasks": pa.schema(
        [
            *_RUN,
            ("task", pa.int32()),  # from 1, in order of falling frequency
            ("not_before", pa.int32()),  # last evaluated step that is not under; 0 if none
            ("learned", pa.int32()),  # first evaluated step under for good; null if it is not
            ("first_under", pa.int32()),  # first evaluated step under learned_below; null if none
            ("began", pa.int32()),  # last evaluated step before `learned` with loss >= 0.9 ln 2
            ("loss", pa.float32()),  # nats, on fresh samples of the task, at the end
            ("accuracy", pa.float32()),
        ]
    ),
    "curves": pa.schema(
        [
            *_RUN,
            ("step", pa.int32()),
            ("task", pa.int32()),
            ("loss", pa.float32()),
            ("accuracy", pa.float32()),
        ]
    ),
}
"""What a parity configuration leaves, each a part of its own."""

SHARE = (0.0, 1.0)


def ranges(configuration: ParityConfiguration) -> dict[str, dict[str, tuple[float, float]]]:
    """What the measured columns of each of `SCHEMAS` may hold."""
    steps = (0.0, float(max(family.steps for family in families(configuration))))
    of_tasks = {"loss": (0.0, math.inf), "accuracy": SHARE}
    at = dict.fromkeys(["not_before", "learned", "first_under", "began"], steps)
    mean = {"mean_loss": (math.ulp(0.0), math.inf)}
    return {"losses": mean, "tasks": at | of_tasks, "curves": of_tasks}


def configuration_parts(name: str, configuration: ParityConfiguration) -> dict[str, Part]:
    """The parts of one parity configuration, by their names in `SCHEMAS`."""
    c = configuration
    tasks = range(1, c.tasks + 1)
    own: dict[str, Sequence[Any]] = {"configuration": [name]}
    trained = [
        ({**own, "width": f.widths, "samples": f.samples, "seed": f.seeds}, f.evaluated)
        for f in families(c)
    ]
    widest = {**own, "width": [max(c.widths)], "samples": [0], "seed": range(c.seeds)}
    rows = {
        "losses": keys(*({**family, "step": steps} for family, steps in trained)),
        "tasks": keys(*({**family, "task": tasks} for family, _ in trained)),
        "curves": keys({**widest, "step": curve_steps(c), "task": tasks}),
    }
    allowed = ranges(c)
    return {
        kind: Part(
            _stage(name),
            FOLDER / f"{name}{'' if kind == 'losses' else f'-{kind}'}.parquet",
            schema,
            allowed[kind],
            {"configuration": name, "params": c.model_dump()},
            rows[kind],
        )
        for kind, schema in SCHEMAS.items()
    }


def _stage(name: str) -> str:
    alpha = name.removeprefix(FAMILY)
    return f"train_parity@{name}" if alpha == name else f"train_parity_alpha@{alpha}"
