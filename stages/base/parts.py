"""Parts: the results of one configuration, as a parquet file that knows what made it.

A part's metadata hold the schema version, the exact params of its configuration, and their
fingerprint, so that a table is only ever made of the parts that params.yaml asks for.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.base import files
from stages.base.errors import InputError, remedy


@dataclass(frozen=True)
class PartFile(ABC):
    """A table that knows what made it: its stage, file and columns, and the params it is of."""

    verb: ClassVar[str] = "train"
    """What its stage does, to make it again."""
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
        with files.aside(self.path) as path:
            pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")

    def read(self) -> pd.DataFrame:
        """Read the rows back.

        Raises:
            InputError: the part is missing or damaged, from other params, or has other rows.
        """
        mend = remedy(self.path, self.verb)
        if not self.path.exists():
            raise InputError(f"{self.path}: missing; {mend}")
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


def read_all(some: Sequence[PartFile]) -> tuple[list[pd.DataFrame], list[str]]:
    """The rows of the parts that can be used, and what is wrong with each of the others."""
    frames, faults = [], []
    for part in some:
        try:
            frames.append(part.read())
        except InputError as error:
            faults.append(str(error))
    return frames, faults


def aggregate(tables: Mapping[Path, Sequence[PartFile]]) -> None:
    """Write tables that hold the rows of some parts each, one part after the other.

    Raises:
        InputError: parts cannot be used, a line for each; nothing was written.
    """
    found = {path: read_all(some) for path, some in tables.items()}
    if faults := [fault for _, of_table in found.values() for fault in of_table]:
        raise InputError("\n".join(faults))
    for path, (frames, _) in found.items():
        frame = pd.concat(frames, ignore_index=True)
        with files.aside(path) as temporary:
            frame.to_parquet(temporary, index=False, schema=tables[path][0].schema)
        print(f"{path}: {len(frames)} parts, {len(frame):,} rows")


def keys(*products: dict[str, Sequence[int]]) -> pd.MultiIndex:
    """The rows of some products, one after the other."""
    first, *others = (
        pd.MultiIndex.from_product(list(product.values()), names=list(product))
        for product in products
    )
    rows: pd.MultiIndex = first.append(others)
    return rows


def fingerprint(configuration: dict[str, Any]) -> str:
    """SHA-256 (hex) of a configuration, independent of the order of its keys."""
    canonical = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
