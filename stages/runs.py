"""Parts: the results of one configuration, as a parquet file that knows what made it.

A part's metadata hold the schema version, the exact params of its configuration, and their
fingerprint, so that a table is only ever made of the parts that params.yaml asks for.
Outputs of every kind are written aside and then renamed: each appears whole or not at all.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.errors import InputError
from stages.params import CnnSweep, Method, ParityConfiguration, fingerprint

CNN_PARTS = Path("metrics/runs/cnn")
PARITY_PARTS = Path("metrics/runs/parity")
METHOD_PARTS = Path("metrics/runs/manifold")

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

_PARITY_RUN = [
    ("configuration", pa.dictionary(pa.int8(), pa.string())),
    ("width", pa.int32()),
    ("samples", pa.int64()),  # in the training set; 0: fresh ones without end
    ("seed", pa.int32()),
]
PARITY_SCHEMAS = {
    "losses": pa.schema(
        [
            *_PARITY_RUN,
            ("step", pa.int32()),  # optimizer steps taken
            ("mean_loss", pa.float32()),  # nats, over the tasks weighted by frequency
        ]
    ),
    "tasks": pa.schema(
        [
            *_PARITY_RUN,
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
            *_PARITY_RUN,
            ("step", pa.int32()),
            ("task", pa.int32()),
            ("loss", pa.float32()),
            ("accuracy", pa.float32()),
        ]
    ),
}
"""What a parity configuration leaves, each a part of its own."""


@dataclass(frozen=True)
class PartFile(ABC):
    """A table that knows what made it: its stage, file and columns, and the params it is of."""

    remedy: ClassVar[str] = "train it again"
    stage: str
    """The DVC stage that makes it."""
    path: Path
    schema: pa.Schema
    configuration: dict[str, Any]

    @abstractmethod
    def fault(self, frame: pd.DataFrame) -> str:
        """What is wrong with the rows of a part that is whole; empty if nothing is."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the configuration and the columns."""
        return fingerprint({"configuration": self.configuration, "columns": self.schema.names})

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
            InputError: the part is missing or damaged, from other params, or has other rows.
        """
        mend = f"{self.remedy}: dvc repro --force --single-item {self.stage}"
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
        frame: pd.DataFrame = table.to_pandas()
        if fault := self.fault(frame):
            raise InputError(f"{self.path}: {fault}; {mend}")
        return frame

    def _differences(self, text: str) -> str:
        made, wanted = _flat(json.loads(text)), _flat(self.configuration)
        keys = [k for k in sorted(made | wanted) if made.get(k) != wanted.get(k)]
        shown = (f"{k}: {made.get(k)}, params.yaml has {wanted.get(k)}" for k in keys)
        return "; ".join(shown) or "other columns"


@dataclass(frozen=True)
class Part(PartFile):
    """The part of a training stage."""

    keys: pd.MultiIndex
    """The columns that tell its rows apart: all of their values, in order."""

    @property
    def weights(self) -> Path:
        """Where the final weights of seed 0 lie, for parts that have them."""
        return self.path.with_suffix(".safetensors")

    def fault(self, frame: pd.DataFrame) -> str:
        """Whether rows are missing, twice there or out of order."""
        if len(frame) != len(self.keys):
            return f"{len(frame)} rows, not {len(self.keys)}"
        if pd.MultiIndex.from_frame(frame[list(self.keys.names)]).equals(self.keys):
            return ""
        values = zip(self.keys.names, self.keys.levels, strict=True)
        allowed = ", ".join(f"each {name} {v[0]} to {v[-1]}" for name, v in values)
        return f"its rows are not {allowed}, once and in order"


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def cnn_part(data: dict[str, Any], name: str, sweep: CnnSweep, width: int) -> Part:
    """The part of one sweep and width on images of the origin `data`: every seed and epoch."""
    return Part(
        f"train_cnn@{name}-{width}",
        CNN_PARTS / f"{name}-{width}.parquet",
        CNN_SCHEMA,
        {"data": data, "sweep": name, "width": width, "params": sweep.model_dump()},
        _keys({"seed": range(sweep.seeds), "epoch": range(1, sweep.epochs + 1)}),
    )


def method_part(settings: Method, dimension: int) -> Part:
    """The part of one known dimension: every width, seed and epoch."""
    sweep, widths = settings.training, settings.widths
    origin = settings.manifold(dimension).model_dump()
    epochs = range(1, sweep.epochs + 1)
    return Part(
        f"calibrate_method@{dimension}",
        METHOD_PARTS / f"{dimension}.parquet",
        CNN_SCHEMA,
        {"data": origin, "widths": widths, "params": sweep.model_dump()},
        _keys({"width": widths, "seed": range(sweep.seeds), "epoch": epochs}),
    )


def parity_parts(name: str, configuration: ParityConfiguration) -> dict[str, Part]:
    """The parts of one parity configuration, by their names in `PARITY_SCHEMAS`."""
    c = configuration
    tasks = range(1, c.tasks + 1)
    families = [
        ({"width": f.widths, "samples": f.samples, "seed": f.seeds}, f.evaluated)
        for f in c.families()
    ]
    widest = {"width": [max(c.widths)], "samples": [0], "seed": range(c.seeds)}
    keys = {
        "losses": _keys(*({**family, "step": steps} for family, steps in families)),
        "tasks": _keys(*({**family, "task": tasks} for family, _ in families)),
        "curves": _keys({**widest, "step": c.curve_steps(), "task": tasks}),
    }
    return {
        kind: Part(
            f"train_parity@{name}",
            PARITY_PARTS / f"{name}{'' if kind == 'losses' else f'-{kind}'}.parquet",
            schema,
            {"configuration": name, "params": c.model_dump()},
            keys[kind],
        )
        for kind, schema in PARITY_SCHEMAS.items()
    }


def _keys(*products: dict[str, Sequence[int]]) -> pd.MultiIndex:
    """The rows of some products, one after the other."""
    first, *others = (
        pd.MultiIndex.from_product(list(product.values()), names=list(product))
        for product in products
    )
    keys: pd.MultiIndex = first.append(others)
    return keys


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
