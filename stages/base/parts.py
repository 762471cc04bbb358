"""Parts: the results of one configuration, as a parquet file that knows what made it.

A part's metadata hold the schema version, the exact params of its configuration, and their
fingerprint, so that a table is only ever made of the parts that params.yaml asks for. They hold
too what it was trained on and left beside it, as hashes. What comes back is checked as if a
stranger sent it: its pages by their checksums, its columns by name and type, those that are known
before training value by value, and what is measured by its range.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.base import files, tables
from stages.base.errors import InputError, remedy
from stages.base.params import Params


@dataclass(frozen=True)
class PartFile(ABC):
    """A table that knows what made it: its stage, file and columns, and the params it is of."""

    verb: ClassVar[str] = "train"
    """What its stage does, to make it again."""
    stage: str
    """The DVC stage that makes it."""
    path: Path
    schema: pa.Schema
    ranges: Mapping[str, tuple[float, float]]
    """The least and the most that a column may hold where it holds a number, by its name."""
    configuration: dict[str, Any]

    @abstractmethod
    def fault(self, frame: pd.DataFrame) -> str:
        """What is wrong with the rows of a part that is whole; empty if nothing is."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the configuration and the columns."""
        return fingerprint({"configuration": self.configuration, "columns": self.schema.names})

    def hashes(self) -> dict[str, str]:
        """Hashes of other files that the rows belong with."""
        return {}

    def write(self, frame: pd.DataFrame) -> None:
        """Write the rows, whole or not at all; the bytes depend on them and on `hashes`."""
        table = pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False)
        metadata = {
            "schema_version": "2",
            "configuration": json.dumps(self.configuration, sort_keys=True),
            "fingerprint": self.fingerprint,
        }
        table = table.replace_schema_metadata(metadata | self.hashes())
        with files.aside(self.path) as path:
            pq.write_table(table, path, compression="zstd", write_page_checksum=True)

    def read(self) -> pd.DataFrame:
        """Read the rows back.

        Raises:
            InputError: the part is missing or damaged, from other params, or has other columns,
                rows or numbers than it can have.
        """
        table, _ = self._open()
        if not table.schema.equals(self.schema):
            raise self.refused(f"other columns or types than {', '.join(self.schema.names)}")
        frame: pd.DataFrame = table.to_pandas()
        if fault := self.fault(frame) or self._out_of_range(frame):
            raise self.refused(fault)
        return frame

    def _open(self) -> tuple[pa.Table, dict[str, str]]:
        """What a file holds that says that it was made with these params; the rows may be any."""
        if not self.path.exists():
            raise self.refused("missing")
        try:
            table = pq.read_table(self.path, page_checksum_verification=True)
            table.validate(full=True)
            held = table.schema.metadata or {}
            metadata = {key.decode(): value.decode() for key, value in held.items()}
            made = _flat(json.loads(metadata.get("configuration", "{}")))
        except Exception as error:  # whatever a library does with a damaged file
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise self.refused(f"damaged ({reason})") from None
        if metadata.get("fingerprint") != self.fingerprint:
            raise self.refused(f"made with other params ({self._differences(made)})")
        return table, metadata

    def refused(self, why: str, path: Path | None = None) -> InputError:
        """An error that names the part, or what lies beside it, why, and what to do."""
        path = path or self.path
        return InputError(f"{path}: {why}; {remedy(path, self.verb)}")

    def _out_of_range(self, frame: pd.DataFrame) -> str:
        for column, (least, most) in self.ranges.items():
            values = frame[column].dropna().astype(float)  # a run that diverged is a result
            outside = values[~values.between(least, most)]
            if len(outside):
                return f"{column} {outside.iloc[0]:g} is not from {least:g} to {most:g}"
        return ""

    def _differences(self, made: dict[str, Any]) -> str:
        wanted = _flat(self.configuration)
        keys = [k for k in sorted(made | wanted) if made.get(k) != wanted.get(k)]
        shown = (f"{k}: {made.get(k)}, params.yaml has {wanted.get(k)}" for k in keys)
        return "; ".join(shown) or "other columns"


@dataclass(frozen=True)
class Part(PartFile):
    """The part of a training stage."""

    keys: pd.MultiIndex
    """The columns that are known before training: all of their values, in order."""
    images: Path | None = None
    """The record of the images that it is trained on, if they have one."""
    has_weights: bool = False

    @property
    def weights(self) -> Path:
        """Where the weights of its networks lie, for parts that have them."""
        return self.path.with_suffix(".safetensors")

    def hashes(self) -> dict[str, str]:
        """Hashes of its images and weights, where they are there: `check` asks for both."""
        found = {}
        if self.images and self.images.exists():
            found["images"] = files.digest(self.images)
        if self.has_weights and self.weights.exists():
            found["weights"] = hashlib.sha256(self.weights.read_bytes()).hexdigest()
        return found

    def check(self, hashes: Mapping[str, str]) -> None:
        """See that the part is what `read` accepts, with its weights and of the right images.

        `hashes` are those of files and folders, by their paths, as dvc.lock has them.

        Raises:
            InputError: it is not.
        """
        self.read()
        _, metadata = self._open()
        if self.images and metadata.get("images") != (here := hashes.get(str(self.images))):
            made = metadata.get("images", "it does not say which")
            raise self.refused(f"trained on other images ({made}; {self.images} is {here})")
        if self.has_weights:
            self.read_weights()

    def read_weights(self) -> bytes:
        """The content of the weights beside the part, which are those that it was written with.

        Raises:
            InputError: they are not, or one of the two cannot be read or is of other params.
        """
        _, metadata = self._open()
        try:
            content = self.weights.read_bytes()
        except OSError as error:
            raise self.refused(str(error.strerror), self.weights) from None
        if hashlib.sha256(content).hexdigest() != metadata.get("weights"):
            raise self.refused("damaged, or another part's", self.weights)
        return content

    def fault(self, frame: pd.DataFrame) -> str:
        """Whether rows are missing, another's, twice there or out of order."""
        if len(frame) != len(self.keys):
            return f"{len(frame)} rows, not {len(self.keys)}"
        for name in map(str, self.keys.names):
            wanted = self.keys.get_level_values(name).to_numpy()
            wrong = np.flatnonzero(frame[name].to_numpy() != wanted)
            if len(wrong):
                found = frame[name].iat[wrong[0]]
                return f"{name} {found} in row {wrong[0]}, not {wanted[wrong[0]]}"
        return ""


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


def aggregate(made: Mapping[Path, Sequence[PartFile]], p: Params, *sections: str) -> None:
    """Write tables that hold the rows of some parts each, one part after the other.

    They carry the sections of params.yaml that name these parts: see `stages.base.tables`.

    Raises:
        InputError: parts cannot be used, a line for each; nothing was written.
    """
    found = {path: read_all(some) for path, some in made.items()}
    if faults := [fault for _, of_table in found.values() for fault in of_table]:
        raise InputError("\n".join(faults))
    carried = p.model_dump(mode="json", include={*sections})
    for path, (frames, _) in found.items():
        frame = pd.concat(frames, ignore_index=True)
        tables.write_parquet(frame, path, made[path][0].schema, carried)
        print(f"{path}: {len(frames)} parts, {len(frame):,} rows")


def keys(*products: Mapping[str, Sequence[Any]]) -> pd.MultiIndex:
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
