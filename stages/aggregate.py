"""Stages `aggregate_cnn` and `aggregate_parity`: all parts of a family as one table.

The expected parts are enumerated from params.yaml. One that is missing, damaged, short or made
with other params is refused by name; a part that params.yaml no longer names is left out.
"""

import argparse
from pathlib import Path

import pandas as pd

from stages import errors, params, runs


def expected(family: str, p: params.Params) -> list[runs.Part]:
    """The parts that params.yaml asks for, in its order."""
    if family == "parity":
        return [runs.parity_part(n, c) for n, c in p.parity.configurations.items()]
    return [
        runs.cnn_part(p.data, name, sweep, width)
        for name, sweep in p.cnn.sweeps.items()
        for width in p.cnn.widths
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=["cnn", "parity"])
    family = parser.parse_args().family
    parts = expected(family, params.load())
    table = pd.concat([part.read() for part in parts], ignore_index=True)
    with runs.aside(Path(f"metrics/{family}.parquet")) as path:
        table.astype({table.columns[0]: "category"}).to_parquet(path, index=False)
    print(f"{len(parts)} parts, {len(table):,} rows")


if __name__ == "__main__":
    errors.run(main)
