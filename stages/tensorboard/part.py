"""The part of an imported sweep.

It has the columns of the CNN's parts. How many rows it has, the logs decide: it is checked that
each width has seeds 0, 1, ... and each of these its epochs, once and in order.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.base import parts
from stages.base.params import Import
from stages.cnn import part as cnn_part

PARTS = Path("metrics/runs/imports")


@dataclass(frozen=True)
class ImportPart(parts.PartFile):
    """What the part of an import must be."""

    verb = "import"

    def beside(self, kind: str) -> Path:
        """Where a table about it lies: of its "widths" or its "files"."""
        return self.path.with_name(f"{self.path.stem}-{kind}.csv")

    def fault(self, frame: pd.DataFrame) -> str:
        """Whether the rows are another sweep's, or not whole runs in order."""
        keys = pd.MultiIndex.from_frame(frame[["width", "seed", "epoch"]])
        seeds = frame.groupby("width")["seed"]
        in_order = (
            bool((frame["sweep"] == self.configuration["import"]).all())
            and keys.is_monotonic_increasing
            and keys.is_unique
            and bool((seeds.min() == 0).all())
            and bool((seeds.nunique() == seeds.max() + 1).all())
        )
        rows = "seeds 0, 1, ... of each width and their epochs, once and in order"
        return "" if in_order else f"its rows are not {rows}"


def import_part(name: str, spec: Import, path: Path | None = None) -> ImportPart:
    """The part of one import, at `path` or where the graph has it."""
    return ImportPart(
        f"import_runs@{name}",
        path or PARTS / f"{name}.parquet",
        cnn_part.SCHEMA,
        cnn_part.RANGES,
        {"import": name, "params": spec.model_dump()},
    )
