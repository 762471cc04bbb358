"""The CNN's parts: one of each sweep and width, of each study, and of each known dimension."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.base.params import CnnSweep, Method, NamedImages, Study
from stages.base.parts import Part, keys

FOLDER = Path("metrics/runs/cnn")
STUDY_FOLDER = Path("metrics/runs/studies")
METHOD_FOLDER = Path("metrics/runs/manifold")

SCHEMA = pa.schema(
    [
        ("sweep", pa.dictionary(pa.int8(), pa.string())),
        ("width", pa.int32()),
        ("parameters", pa.int32()),
        ("seed", pa.int32()),
        ("epoch", pa.int32()),  # from 1
        ("train_loss", pa.float32()),  # nats, mean over the epoch's batches
        ("train_accuracy", pa.float32()),  # in [0, 1], likewise
        ("evaluated_train_loss", pa.float32()),  # on the training images after the epoch; or null
        ("evaluated_train_accuracy", pa.float32()),
        ("validation_loss", pa.float32()),  # nats, on the test images after the epoch
        ("validation_accuracy", pa.float32()),
    ]
)

POSITIVE = (math.ulp(0.0), math.inf)
SHARE = (0.0, 1.0)
RANGES = {name: POSITIVE for name in SCHEMA.names if name.endswith("_loss")}
RANGES |= {name: SHARE for name in SCHEMA.names if name.endswith("_accuracy")}


def sweep_part(images: NamedImages, name: str, sweep: CnnSweep, width: int) -> Part:
    """The part of one sweep and width: every seed and epoch."""
    data = images.settings.origin
    return Part(
        f"train_cnn@{name}-{width}",
        FOLDER / f"{name}-{width}.parquet",
        SCHEMA,
        RANGES,
        {"data": data, "sweep": name, "width": width, "params": sweep.model_dump()},
        keys(_rows(name, sweep, width, images.settings.classes)),
        images.record,
        has_weights=True,
    )


def study_part(images: NamedImages, name: str, study: Study) -> Part:
    """The part of one study: every width, seed and epoch."""
    made: dict[str, Any] = {"data": images.settings.origin, "study": name}
    path = STUDY_FOLDER / f"{name}.parquet"
    classes = images.settings.classes
    rows = keys(*(_rows(name, study.training, width, classes) for width in study.widths))
    made |= {"widths": study.widths, "params": study.training.model_dump()}
    stage = f"train_study@{name}"
    return Part(stage, path, SCHEMA, RANGES, made, rows, images.record, has_weights=True)


def method_part(settings: Method, dimension: int) -> Part:
    """The part of one known dimension: every width, seed and epoch."""
    sweep, widths = settings.training, settings.widths
    made: dict[str, Any] = {"data": settings.manifold(dimension).model_dump()}
    made |= {"widths": widths, "params": sweep.model_dump()}
    path, stage = METHOD_FOLDER / f"{dimension}.parquet", f"calibrate_method@{dimension}"
    rows = keys(*(_rows(f"d{dimension}", sweep, width) for width in widths))
    return Part(stage, path, SCHEMA, RANGES, made, rows, has_weights=True)


def _rows(
    name: str, sweep: CnnSweep, width: int, classes: int = 10
) -> dict[str, Sequence[int | str]]:
    return {
        "sweep": [name],
        "width": [width],
        "parameters": [parameters(width, classes)],
        "seed": range(sweep.seeds),
        "epoch": range(1, sweep.epochs + 1),
    }


def parameters(width: int, classes: int = 10) -> int:
    """N, the trained parameters of `stages.cnn.network`: 54n^2 + 4640n + 714 for ten classes."""
    return 54 * width**2 + 4640 * width + 64 + 65 * classes
