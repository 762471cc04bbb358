"""The part of an imported sweep: a parquet file that knows the params which made it.

It has the columns of the CNN's parts. How many rows it has, the logs decide: its widths, their
seeds and the epochs of each are checked for order.
"""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages import runs
from stages.errors import InputError
from stages.params import Import, fingerprint

PARTS = Path("metrics/runs/imports")


def path(name: str) -> Path:
    """Where the part of an import lies."""
    return PARTS / f"{name}.parquet"


def quality_path(part: Path, of: str) -> Path:
    """Where its quality table lies, that of "widths" or "files"."""
    return part.with_name(f"{part.stem}-{of}.csv")


def write(frame: pd.DataFrame, where: Path, name: str, spec: Import) -> None:
    """Write a part, whole or not at all."""
    table = pa.Table.from_pandas(frame, runs.CNN_SCHEMA, preserve_index=False)
    configuration = _configuration(name, spec)
    metadata = {
        "schema_version": "1",
        "configuration": configuration,
        "fingerprint": fingerprint({"configuration": configuration}),
        "rows": str(len(frame)),
    }
    with runs.aside(where) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


def read(where: Path, name: str, spec: Import) -> pd.DataFrame:
    """Read a part.

    Raises:
        InputError: it is missing or damaged, from other params, or its rows are not in order.
    """
    mend = f"import it again: dvc repro --force --single-item import_tensorboard@{name}"
    if not where.exists():
        raise InputError(f"{where}: missing; {mend}")
    try:
        table = pq.read_table(where)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{where}: damaged ({str(error).splitlines()[0]}); {mend}") from None
    metadata = table.schema.metadata or {}
    wanted = fingerprint({"configuration": _configuration(name, spec)})
    if metadata.get(b"fingerprint", b"").decode() != wanted:
        raise InputError(f"{where}: made with other params; {mend}")
    frame: pd.DataFrame = table.to_pandas()
    if not _in_order(frame, name) or str(len(frame)) != metadata[b"rows"].decode():
        raise InputError(
            f"{where}: its rows are not seeds 0, 1, ... of each width with each epoch once and in "
            f"order; {mend}"
        )
    return frame


def _in_order(frame: pd.DataFrame, name: str) -> bool:
    keys = pd.MultiIndex.from_frame(frame[["width", "seed", "epoch"]])
    seeds = frame.groupby("width")["seed"]
    return (
        bool((frame["sweep"] == name).all())
        and keys.is_monotonic_increasing
        and keys.is_unique
        and bool((seeds.min() == 0).all())
        and bool((seeds.nunique() == seeds.max() + 1).all())
    )


def _configuration(name: str, spec: Import) -> str:
    return json.dumps({"import": name, "params": spec.model_dump()}, sort_keys=True)
