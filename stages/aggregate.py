"""Stages `aggregate_cnn` and `aggregate_parity`: all parts of a family as one table of each kind.

In metrics: cnn.parquet; parity_losses.parquet, parity_tasks.parquet and parity_curves.parquet.

The expected parts are enumerated from params.yaml. Each that is missing, damaged, made with other
params or not of the right seeds is refused by name; a part that params.yaml no longer names is
left out.
"""

import argparse
from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.errors import InputError
from stages.tensorboard.part import import_part


def expected(family: str, p: params.Params) -> dict[str, list[runs.PartFile]]:
    """The parts that params.yaml asks for, in its order, by the table that they make."""
    if family == "parity":
        parts = [runs.parity_parts(n, c) for n, c in p.parity.configurations.items()]
        return {f"parity_{kind}": [of[kind] for of in parts] for kind in runs.PARITY_SCHEMAS}
    sweeps = p.cnn.sweeps.items()
    trained = [
        runs.cnn_part(p.origin, name, s, width) for name, s in sweeps for width in p.cnn.widths
    ]
    return {"cnn": [*trained, *(import_part(name, spec) for name, spec in p.imports.items())]}


def read(tables: dict[str, list[runs.PartFile]]) -> dict[str, pd.DataFrame]:
    """The rows of each table's parts, one part after the other.

    Raises:
        InputError: parts cannot be used; a line for each.
    """
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in tables}
    faults = []
    for name, parts in tables.items():
        for part in parts:
            try:
                frames[name].append(part.read())
            except InputError as error:
                faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    return {name: pd.concat(of_parts, ignore_index=True) for name, of_parts in frames.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=["cnn", "parity"])
    tables = expected(parser.parse_args().family, params.load())
    frames = read(tables)
    for name, frame in frames.items():
        schema = tables[name][0].schema
        with runs.aside(Path(f"metrics/{name}.parquet")) as path:
            frame.to_parquet(path, index=False, schema=schema)
    shown = (f"{name}: {len(tables[name])} parts, {len(f):,} rows" for name, f in frames.items())
    print("; ".join(shown))


if __name__ == "__main__":
    errors.run(main)
