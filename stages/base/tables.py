"""Tables and numbers that one stage leaves for others: parquet, CSV and JSON.

An aggregated table carries the sections of params.yaml that it was made of. A stage that reads it
takes them from there, so that it depends on them through the table and names none of them itself.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from stages.base import files
from stages.base.errors import InputError, remedy
from stages.base.params import Params

PASSED_ON = 10
"""Significant digits of what another stage rounds: fewer than those in which machines differ."""


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


def where(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows whose columns have these values."""
    kept = np.ones(len(table), bool)
    for name, value in values.items():
        kept &= (table[name] == value).to_numpy(bool, na_value=False)
    return table[kept]


def spread(groups: Any, **shares: float) -> pd.DataFrame:
    """Quantiles of a grouped column, a row for each group: by a column's name, the share below."""
    table = pd.DataFrame({name: groups.quantile(share) for name, share in shares.items()})
    return table.reset_index()


def spaced(values: Iterable[float], count: int) -> NDArray[np.float64]:
    """At most `count` of the distinct values, evenly spaced in their logarithm."""
    distinct: NDArray[np.float64] = np.unique(np.asarray(values))
    if len(distinct) > count:
        wanted = np.geomspace(distinct[0], distinct[-1], count)
        nearest = np.abs(np.log(wanted[:, None] / distinct)).argmin(axis=1)
        distinct = distinct[np.unique(nearest)]
    return distinct


def write_parquet(
    table: pd.DataFrame, path: Path, schema: pa.Schema, sections: Mapping[str, Any]
) -> None:
    """Write a table of these columns, whole or not at all, with the sections that made it."""
    content = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    carried = content.schema.metadata | {"params": json.dumps(sections)}
    content = content.replace_schema_metadata(carried)
    with files.aside(path) as temporary:
        pq.write_table(content, temporary)


def as_made(p: Params, *paths: Path) -> Params:
    """Params whose sections are those that some tables were made of, the rest as they are.

    Raises:
        InputError: a table is missing, carries no sections, or other ones than the rest allows.
    """
    content = p.model_dump()
    for path in paths:
        try:
            content |= json.loads((pq.read_schema(path).metadata or {})[b"params"])
            p = Params.model_validate(content)
        except ValidationError as error:
            fault = error.errors()[0]
            why = ".".join([*map(str, fault["loc"]), fault["msg"].removeprefix("Value error, ")])
            why = f"made of other params ({why})"
        except KeyError:
            why = "it does not say which params made it"
        except (OSError, ValueError) as error:
            why = _reason(error)
        else:
            continue
        raise InputError(f"{path}: {why}; {remedy(path)}")
    return p


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
