"""Parts of networks trained on images: one of each sweep and width, and of each study."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from stages.base.params import BY_HAND, CnnSweep, NamedImages, Study
from stages.base.parts import Part, keys

FOLDER = Path("metrics/runs/cnn")
STUDY_FOLDER = Path("metrics/runs/studies")
REGIME_FOLDER = Path("metrics/runs/regime")

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
    classes = images.settings.classes
    made = {"data": images.settings.origin, "sweep": name, "width": width}
    return Part(
        f"train_cnn@{name}-{width}",
        FOLDER / f"{name}-{width}.parquet",
        SCHEMA,
        RANGES,
        made | {"params": sweep.configuration},
        keys(_rows(name, sweep, width) | {"parameters": [parameters(width, classes)]}),
        images.record,
        has_weights=True,
    )


@dataclass(frozen=True)
class CountedPart(Part):
    """A part of networks whose N is counted as they are made: one for each width, and growing."""

    def fault(self, frame: pd.DataFrame) -> str:
        """What of the keys is wrong, or of N."""
        if fault := super().fault(frame):
            return fault
        sizes = frame[["width", "parameters"]].drop_duplicates().sort_values("width")
        if sizes["width"].duplicated().any():
            return "several N at one width"
        return (
            "" if sizes["parameters"].diff().iloc[1:].gt(0).all() else "N does not grow with width"
        )


def study_part(images: NamedImages, name: str, study: Study) -> Part:
    """The part of one study: every width, seed and epoch.

    N of the network of Figure 6 is known, that of others is counted as they are trained.
    """
    made: dict[str, Any] = {"data": images.settings.origin, "study": name}
    if known := study.network == BY_HAND:
        sizes = {n: [parameters(n, images.settings.classes)] for n in study.widths}
    else:
        made["network"] = study.network
    made |= {"widths": study.widths, "params": study.training.configuration}
    rows = (
        _rows(name, study.training, n) | ({"parameters": sizes[n]} if known else {})
        for n in study.widths
    )
    return (Part if known else CountedPart)(
        f"train_study@{name}",
        STUDY_FOLDER / f"{name}.parquet",
        SCHEMA,
        RANGES,
        made,
        keys(*rows),
        images.record,
        has_weights=True,
    )


def regime_part(images: NamedImages, name: str, changed: Mapping[str, Study]) -> Part:
    """The part of a study with each change of its training: the rows of each, without weights."""
    first, *others = (study_part(images, change, study) for change, study in changed.items())
    return replace(
        first,
        stage=f"train_regime@{name}",
        path=REGIME_FOLDER / f"{name}.parquet",
        configuration={"study": name, "changes": [p.configuration for p in (first, *others)]},
        keys=first.keys.append([part.keys for part in others]),
        has_weights=False,
    )


def _rows(name: str, sweep: CnnSweep, width: int) -> dict[str, Sequence[int | str]]:
    return {
        "sweep": [name],
        "width": [width],
        "seed": range(sweep.seeds),
        "epoch": range(1, sweep.epochs + 1),
    }


def parameters(width: int, classes: int = 10) -> int:
    """N, the trained parameters of `stages.cnn.network`: 54n^2 + 4640n + 714 for ten classes."""
    return 54 * width**2 + 4640 * width + 64 + 65 * classes
