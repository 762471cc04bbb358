"""Tables and numbers that one stage leaves for others: parquet, CSV and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.base import files
from stages.base.errors import InputError, remedy

EXACT = 17
"""Significant digits of what another stage rounds: all that a number of 64 bits has."""


def read(path: Path, columns: Sequence[str] = (), texts: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table of results.

    Args:
        path: a parquet file, or a CSV file.
        columns: what it must have; other columns are kept.
        texts: columns of a CSV file that stay text, even where all their values are numbers.

    Raises:
        InputError: it is missing, damaged, empty, or lacks columns.
    """
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=dict.fromkeys(texts, str))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_reason(error)}; {remedy(path)}") from None
    lacking = [f"column {name}" for name in columns if name not in table.columns]
    lacking += ["rows"] if columns and table.empty else []
    if lacking:
        raise InputError(f"{path}: no {', '.join(lacking)}; {remedy(path)}")
    return table


def read_json(path: Path) -> Any:
    """Read what a stage wrote as JSON.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_reason(error)}; {remedy(path)}") from None


def write(table: pd.DataFrame, path: Path, digits: int = 6) -> None:
    """Write a table as CSV, its numbers to so many significant digits, whole or not at all."""
    with files.aside(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g")


def write_json(value: Any, path: Path) -> None:
    """Write a value as JSON, whole or not at all."""
    files.write(path, json.dumps(value, indent=2) + "\n")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
