"""The CNN's parts: one of each sweep and width, of each study, and of each known dimension."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.base.params import CnnSweep, Method, Study
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


def sweep_part(data: dict[str, Any], name: str, sweep: CnnSweep, width: int) -> Part:
    """The part of one sweep and width on images of the origin `data`: every seed and epoch."""
    return Part(
        f"train_cnn@{name}-{width}",
        FOLDER / f"{name}-{width}.parquet",
        SCHEMA,
        {"data": data, "sweep": name, "width": width, "params": sweep.model_dump()},
        keys({"seed": range(sweep.seeds), "epoch": range(1, sweep.epochs + 1)}),
    )


def study_part(data: dict[str, Any], name: str, study: Study) -> Part:
    """The part of one study on images of the origin `data`: every width, seed and epoch."""
    made = {"data": data, "study": name}
    path = STUDY_FOLDER / f"{name}.parquet"
    return _of_widths(f"train_study@{name}", path, made, study.widths, study.training)


def method_part(settings: Method, dimension: int) -> Part:
    """The part of one known dimension: every width, seed and epoch."""
    made = {"data": settings.manifold(dimension).model_dump()}
    path = METHOD_FOLDER / f"{dimension}.parquet"
    stage = f"calibrate_method@{dimension}"
    return _of_widths(stage, path, made, settings.widths, settings.training)


def _of_widths(
    stage: str, path: Path, made: dict[str, Any], widths: list[int], sweep: CnnSweep
) -> Part:
    epochs = range(1, sweep.epochs + 1)
    return Part(
        stage,
        path,
        SCHEMA,
        made | {"widths": widths, "params": sweep.model_dump()},
        keys({"width": widths, "seed": range(sweep.seeds), "epoch": epochs}),
    )


def parameters(width: int, classes: int = 10) -> int:
    """N, the trained parameters of `stages.cnn.network`: 54n^2 + 4640n + 714 for ten classes."""
    return 54 * width**2 + 4640 * width + 64 + 65 * classes
