"""A tidy table as runs: a row an epoch of a run, with its size, seed and losses.

A CSV or a parquet file, as any training in any language can write it. A run is a size and a seed.
An empty cell, or null, is a value that was not recorded; `nan` and `inf` are values.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from stages.base.errors import InputError
from stages.base.params import Import
from stages.cnn.part import RANGES
from stages.tensorboard.logs import Run, check_ranges

KEYS = ("parameters", "seed", "epoch")
OF_RUN = ["width", "parameters", "seed"]
NEEDED = (*KEYS, "train_loss", "validation_loss")
METRICS = tuple(RANGES)
"""Metrics that a table may have; one that has no column was not recorded."""


def runs(path: Path, spec: Import) -> list[Run]:
    """The runs of a table, in the order of their sizes and seeds.

    Where no column has the widths they are 1, 2, ... in the order of the sizes.

    Raises:
        InputError: it is no such table.
    """
    frame = _frame(path, spec)
    if "width" not in frame:
        frame["width"] = frame["parameters"].rank(method="dense")
    first, every = 1 if spec.epoch.first is None else spec.epoch.first, spec.epoch.every
    passed = (frame["epoch"] - first) / every
    checks = {
        name: (frame[name], least, f"a whole number from {least}")
        for name, least in (("width", 1), ("parameters", 1), ("seed", 0))
    }
    checks["epoch"] = (passed, 0, f"{first}, {first + every}, ...: see imports.*.epoch")
    for name, (values, least, expected) in checks.items():
        wrong = ~(values.between(least, 2**31 - 2) & (values % 1 == 0)).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"{path}: row {row + 1} has {frame[name][row]:g} as {_named(spec)[name]};"
                f" expected {expected}"
            )
    if (least := frame["epoch"].min()) > first:
        raise InputError(
            f"{path}: the first epoch is {least:g}; expected {first}; if these are steps set "
            f"imports.*.epoch: first ({least:g}), and every (the steps of an epoch)"
        )
    if (again := frame.duplicated([*OF_RUN, "epoch"]).to_numpy()).any():
        row = int(again.argmax())
        run = ", ".join(f"{_named(spec)[name]} {frame[name][row]:g}" for name in KEYS)
        raise InputError(f"{path}: row {row + 1} is a second one of {run}; leave one of them out")
    frame = frame.assign(epoch=passed + 1).astype({name: int for name in ("width", *KEYS)})
    metrics = [metric for metric in METRICS if metric in frame]
    found = [_run(rows, metrics, path, spec) for _, rows in frame.groupby(OF_RUN)]
    if not any(run.epochs for run in found):
        raise InputError(f"{path}: no row has all of {', '.join(metrics)}")
    return found


def _named(spec: Import) -> dict[str, str]:
    """What the table calls its columns, by our names."""
    ours = {name: name for name in ("width", *KEYS, *METRICS)}
    return ours | {str(name): theirs for name, theirs in spec.columns.items()}


def _frame(path: Path, spec: Import) -> pd.DataFrame:
    """The columns by our names, as numbers, and whether a row has all metrics: `whole`."""
    named, said = _named(spec), {*spec.columns.values()}
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
        else:
            types = dict.fromkeys(named.values(), pa.float64())
            options = pa.csv.ConvertOptions(column_types=types, null_values=[""])
            table = pa.csv.read_csv(path, convert_options=options)
        there = {name: of for name, of in named.items() if of in table.column_names}
        wanted = [of for name, of in named.items() if name in NEEDED or of in said]
        lacking = [of for of in wanted if of not in table.column_names]
        columns = {} if lacking else {n: table[of].cast(pa.float64()) for n, of in there.items()}
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table of numbers ({reason})") from None
    if lacking or not len(table):
        raise InputError(
            f"{path}: no {'column ' + ', '.join(lacking) if lacking else 'rows'}; it has the "
            f"columns {', '.join(table.column_names)}; name yours: imports.*.columns"
        )
    whole = np.all([columns[n].is_valid() for n in METRICS if n in columns], axis=0)
    frame = {name: column.to_numpy() for name, column in columns.items()}
    return pd.DataFrame(frame | {"whole": whole})


def _run(rows: pd.DataFrame, metrics: Sequence[str], path: Path, spec: Import) -> Run:
    width, parameters, seed = (int(rows[name].iloc[0]) for name in OF_RUN)
    label = f"n = {width}, N = {parameters}, seed {seed}"
    whole = rows[rows["whole"]].sort_values("epoch")
    if (partial := len(rows) - len(whole)) > 1:
        raise InputError(
            f"{path}: {label}: mixed epochs: {partial} of {len(rows)} have no value of one of "
            f"{', '.join(metrics)}; expected each at every epoch: leave out the others' rows"
        )
    epochs = whole["epoch"].tolist()
    with np.errstate(over="ignore"):  # as the table has them: what is too large is infinite
        curves = {
            name: (
                whole[name] / (100 if spec.percent and name.endswith("accuracy") else 1)
            ).astype(np.float32).tolist()
            for name in metrics
        }  # fmt: skip
    check_ranges(curves, epochs, f"{path}: {label}", _named(spec))
    return Run(label, seed, width, parameters, 0, epochs, curves, partial, 0, 0, 0, [])
