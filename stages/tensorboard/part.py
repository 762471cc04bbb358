"""The part of an imported sweep: a parquet file that knows the params which made it.

It has the columns of the CNN's parts. How many rows it has, the logs decide: it is checked that
each width has seeds 0, 1, ... and each of these its epochs, once and in order.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages import runs
from stages.errors import InputError
from stages.params import Import, fingerprint

PARTS = Path("metrics/runs/imports")


@dataclass(frozen=True)
class ImportPart:
    """What the part of an import must be: its name and params, and its file."""

    name: str
    spec: Import
    path: Path
    schema = runs.CNN_SCHEMA

    def beside(self, kind: str) -> Path:
        """Where a table about it lies: of its "widths" or its "files"."""
        return self.path.with_name(f"{self.path.stem}-{kind}.csv")

    @property
    def configuration(self) -> str:
        """What made it, as JSON."""
        return json.dumps({"import": self.name, "params": self.spec.model_dump()}, sort_keys=True)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the configuration and the columns."""
        columns = self.schema.names
        return fingerprint({"configuration": self.configuration, "columns": columns})

    def write(self, frame: pd.DataFrame) -> None:
        """Write the rows, whole or not at all."""
        table = pa.Table.from_pandas(frame, self.schema, preserve_index=False)
        metadata = {
            "schema_version": "1",
            "configuration": self.configuration,
            "fingerprint": self.fingerprint,
            "rows": str(len(frame)),
        }
        with runs.aside(self.path) as path:
            pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")

    def read(self) -> pd.DataFrame:
        """Read the rows back.

        Raises:
            InputError: the part is missing or damaged, from other params, or out of order.
        """
        mend = f"import it again: dvc repro --force --single-item import_tensorboard@{self.name}"
        if not self.path.exists():
            raise InputError(f"{self.path}: missing; {mend}")
        try:
            table = pq.read_table(self.path)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.path}: damaged ({reason}); {mend}") from None
        metadata = table.schema.metadata or {}
        if metadata.get(b"fingerprint", b"").decode() != self.fingerprint:
            raise InputError(f"{self.path}: made with other params; {mend}")
        frame: pd.DataFrame = table.to_pandas()
        if metadata[b"rows"].decode() != str(len(frame)) or not self._in_order(frame):
            raise InputError(
                f"{self.path}: its rows are not seeds 0, 1, ... of each width and their epochs, "
                f"once and in order; {mend}"
            )
        return frame

    def _in_order(self, frame: pd.DataFrame) -> bool:
        keys = pd.MultiIndex.from_frame(frame[["width", "seed", "epoch"]])
        seeds = frame.groupby("width")["seed"]
        return (
            bool((frame["sweep"] == self.name).all())
            and keys.is_monotonic_increasing
            and keys.is_unique
            and bool((seeds.min() == 0).all())
            and bool((seeds.nunique() == seeds.max() + 1).all())
        )


def import_part(name: str, spec: Import) -> ImportPart:
    """The part of one import, where the graph has it."""
    return ImportPart(name, spec, PARTS / f"{name}.parquet")
