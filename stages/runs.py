"""Parts: the results of one configuration, as a parquet file that knows what made it.

A part's metadata hold the schema version, the exact params of its configuration, and their
fingerprint, so that a table is only ever made of the parts that params.yaml asks for.
Outputs of every kind are written aside and then renamed: each appears whole or not at all.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.errors import InputError
from stages.params import CnnSweep, Data, ParityConfiguration, fingerprint

CNN_PARTS = Path("metrics/runs/cnn")
PARITY_PARTS = Path("metrics/runs/parity")

CNN_SCHEMA = pa.schema(
    [
        ("sweep", pa.dictionary(pa.int8(), pa.string())),
        ("width", pa.int32()),
        ("parameters", pa.int32()),
        ("seed", pa.int32()),
        ("epoch", pa.int32()),  # from 1
        ("train_loss", pa.float32()),  # nats, mean over the epoch's batches
        ("train_accuracy", pa.float32()),  # in [0, 1], likewise
        ("validation_loss", pa.float32()),  # nats, on the test images after the epoch
        ("validation_accuracy", pa.float32()),
    ]
)

PARITY_SCHEMA = pa.schema(
    [
        ("configuration", pa.dictionary(pa.int8(), pa.string())),
        ("seed", pa.int32()),
        ("step", pa.int32()),  # optimizer steps taken, from 1
        ("task", pa.int32()),  # from 1, in order of falling frequency
        ("loss", pa.float32()),  # nats, on fresh samples of the task
        ("accuracy", pa.float32()),
        ("mean_loss", pa.float32()),  # nats, over the tasks weighted by frequency
    ]
)


@dataclass(frozen=True)
class Part:
    """What a part must be: its file, its columns, the params that make it, its row count."""

    path: Path
    schema: pa.Schema
    configuration: dict[str, Any]
    rows: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the configuration and the columns."""
        return fingerprint({"configuration": self.configuration, "columns": self.schema.names})

    @property
    def weights(self) -> Path:
        """Where the final weights of seed 0 lie, for parts that have them."""
        return self.path.with_suffix(".safetensors")

    def write(self, frame: pd.DataFrame) -> None:
        """Write the rows, whole or not at all; the bytes depend on nothing but the rows."""
        table = pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False)
        metadata = {
            "schema_version": "1",
            "configuration": json.dumps(self.configuration, sort_keys=True),
            "fingerprint": self.fingerprint,
        }
        with aside(self.path) as path:
            pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")

    def read(self) -> pd.DataFrame:
        """Read the rows back.

        Raises:
            InputError: the part is missing or damaged, from other params, or short of rows.
        """
        mend = f"train it again: dvc repro --force --single-item {self.stage}"
        if not self.path.exists():
            raise InputError(f"{self.path}: missing; {mend}, or restore it: git checkout")
        try:
            table = pq.read_table(self.path)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.path}: damaged ({reason}); {mend}") from None
        metadata = table.schema.metadata or {}
        if metadata.get(b"fingerprint", b"").decode() != self.fingerprint:
            differs = self._differences(metadata.get(b"configuration", b"{}").decode())
            raise InputError(f"{self.path}: made with other params ({differs}); {mend}")
        if table.num_rows != self.rows:
            raise InputError(f"{self.path}: {table.num_rows} rows, not {self.rows}; {mend}")
        frame: pd.DataFrame = table.to_pandas()
        return frame

    @property
    def stage(self) -> str:
        """The DVC stage that makes the part."""
        return f"train_{self.path.parent.name}@{self.path.stem}"

    def _differences(self, text: str) -> str:
        made, wanted = _flat(json.loads(text)), _flat(self.configuration)
        keys = [k for k in sorted(made | wanted) if made.get(k) != wanted.get(k)]
        shown = (f"{k}: {made.get(k)}, params.yaml has {wanted.get(k)}" for k in keys)
        return "; ".join(shown) or "other columns"


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def cnn_part(data: Data, name: str, sweep: CnnSweep, width: int) -> Part:
    """The part of one sweep and width: every seed and epoch."""
    return Part(
        CNN_PARTS / f"{name}-{width}.parquet",
        CNN_SCHEMA,
        {"data": data.model_dump(), "sweep": name, "width": width, "params": sweep.model_dump()},
        rows=sweep.seeds * sweep.epochs,
    )


def parity_part(name: str, configuration: ParityConfiguration) -> Part:
    """The part of one parity configuration: every seed, evaluated step and task."""
    evaluations = configuration.steps // configuration.evaluate_every
    return Part(
        PARITY_PARTS / f"{name}.parquet",
        PARITY_SCHEMA,
        {"configuration": name, "params": configuration.model_dump()},
        rows=configuration.seeds * evaluations * configuration.tasks,
    )


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
