"""All event files of a folder, or all runs of a table, as one sweep, and what became of each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.base.errors import InputError
from stages.base.params import LIST, TABLES, Import
from stages.cnn import part as cnn_part
from stages.tensorboard import logs, quality, table
from stages.tensorboard.logs import Run

SHOWN = 8
"""Faults or names, at most, that an error lists."""


def read(
    name: str, place: Path, spec: Import, failed_above: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of a folder of logs, or of a table.

    Of each width they are seeds 0, 1, ... in the order of their start, or of their seeds there.

    Returns:
        The table, with the columns of `stages.cnn.part.SCHEMA`, ordered by width, seed and epoch;
        and a row for each file, as `quality.of_files` makes it.

    Raises:
        InputError: they do not make one sweep; a line for each fault.
    """
    place = logs.listed(place) if place.suffix == LIST else place
    found = table.runs(place, spec) if place.suffix in TABLES else _of_logs(place, spec)
    with_curves = [run for run in found if run.epochs]
    if not with_curves:
        raise InputError(_no_curves(found, place, spec))
    epochs = _epochs(with_curves, place, spec)
    paths = [(Path(run.file), run.width) for run in found if place.suffix not in TABLES]
    widths = [(path.parent, width, path.name) for path, width in paths if width]
    faults = [
        f"{place / parent}: two widths in one folder: {said}; expected one width a folder; "
        "move the files apart"
        for parent, said in _clashes(widths, "{} ({})", ", ")
    ]
    sizes = [(run.width, run.parameters, run.file) for run in found]
    faults += [
        f"{place}: width {width} with {said}; expected one size; import the networks apart"
        for width, said in _clashes(sizes, "{} parameters ({})", " and ")
    ]
    _refuse(faults, place)
    for (width, parameters), (wider, more) in pairwise(
        sorted({(run.width, run.parameters) for run in with_curves})
    ):
        if more <= parameters:
            raise InputError(
                f"{place}: N must grow with width: {parameters:,} parameters at width {width}, "
                f"{more:,} at {wider}"
            )
    order = sorted(with_curves, key=lambda run: (run.width, run.start, run.file))
    seeds: dict[str, int] = {}
    taken: Counter[int] = Counter()
    for run in order:
        seeds[run.file] = taken[run.width]
        taken[run.width] += 1
    metrics = set(spec.tags.model_dump(exclude_none=True).values())
    files = quality.of_files(found, seeds, metrics, epochs, failed_above, spec.late_from)
    return _table(name, order, seeds), files


def _of_logs(folder: Path, spec: Import) -> list[Run]:
    found, faults = [], []
    for path in logs.find(folder):
        try:
            found.append(logs.read(path, folder, spec))
        except InputError as error:
            faults.append(str(error))
    _refuse(faults, folder)
    return found


def _refuse(faults: list[str], folder: Path) -> None:
    if len(faults) > SHOWN:
        faults = [*faults[:SHOWN], f"{folder}: and {len(faults) - SHOWN} more"]
    if faults:
        raise InputError("\n".join(faults))


def _no_curves(found: list[Run], folder: Path, spec: Import) -> str:
    wanted = list(spec.tags.model_dump(exclude_none=True).values())
    counts = Counter(tag for run in found for tag in run.tags)
    lacking = [tag for tag in wanted if tag not in counts]
    others = [tag for tag, _ in counts.most_common() if tag not in wanted]
    named = ", ".join(others[:SHOWN]) + (", ..." if len(others) > SHOWN else "")
    if not lacking:
        return f"{folder}: no epoch in {len(found)} files has all of {', '.join(wanted)}"
    return (
        f"{folder}: no file has {', '.join(lacking)}; other tags of scalars in {len(found)} files: "
        f"{named or 'none'}; name yours: imports.*.tags"
    )


def _epochs(found: list[Run], folder: Path, spec: Import) -> int:
    """How many a complete run has.

    Raises:
        InputError: that cannot be: logs differ, one has more, or none has so many.
    """
    by = {run.stated_epochs: run.file for run in reversed(found) if run.stated_epochs}
    if spec.epochs:
        expected, source = spec.epochs, "imports.*.epochs"
    elif len(by) > 1:
        said = ", ".join(f"{epochs} ({file})" for epochs, file in sorted(by.items()))
        raise InputError(
            f"{folder}: mixed epochs: logs say that they have {said}; expected one number; "
            "import them apart, or set imports.*.epochs"
        )
    elif by:
        (expected,), source = by, "the logs say"
    else:
        return max(len(run.epochs) for run in found)
    longest = max(found, key=lambda run: run.epochs[-1])
    if longest.epochs[-1] > expected:
        raise InputError(
            f"{folder}/{longest.file}: mixed epochs: its last is {longest.epochs[-1]}; "
            f"expected {expected} at most ({source})"
        )
    fullest = max(len(run.epochs) for run in found)
    if fullest < expected:
        raise InputError(
            f"{folder}: no run is complete: the longest has {fullest} epochs; expected {expected} "
            f"({source}); if {fullest} are all, set imports.*.epochs"
        )
    return expected


def _clashes(
    held: Iterable[tuple[Any, int, str]], shown: str, between: str
) -> Iterator[tuple[Any, str]]:
    """Find the keys that have several values, and say these with a file of each."""
    by_key: dict[Any, dict[int, str]] = defaultdict(dict)
    for key, value, file in held:
        by_key[key].setdefault(value, file)
    for key, values in sorted(by_key.items()):
        if len(values) > 1:
            yield key, between.join(shown.format(*item) for item in sorted(values.items())[:SHOWN])


def _table(name: str, order: list[Run], seeds: dict[str, int]) -> pd.DataFrame:
    keys = ("width", "parameters", "seed", "epoch")
    metrics = [name for name in cnn_part.SCHEMA.names if name not in ("sweep", *keys)]
    tables = []
    for run in order:
        values = (run.width, run.parameters, seeds[run.file], run.epochs)
        curves = {metric: run.curves.get(metric, np.nan) for metric in metrics}
        tables.append(pd.DataFrame(dict(zip(keys, values, strict=True)) | curves))
    table = pd.concat(tables, ignore_index=True)
    numbers = [field for field in cnn_part.SCHEMA if field.name != "sweep"]
    table = table.astype({field.name: field.type.to_pandas_dtype() for field in numbers})
    named = table.assign(sweep=pd.Categorical([name]).repeat(len(table)))
    return pd.DataFrame(named, columns=cnn_part.SCHEMA.names)
