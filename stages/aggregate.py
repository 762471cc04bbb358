"""Stages `aggregate_cnn` and `aggregate_parity`: all parts of a family as one table.

The expected parts are enumerated from params.yaml. Each that is missing, damaged, made with other
params or not of the right seeds is refused by name; a part that params.yaml no longer names is
left out.
"""

import argparse
from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.errors import InputError


def expected(family: str, p: params.Params) -> list[runs.Part]:
    """The parts that params.yaml asks for, in its order."""
    if family == "parity":
        return [runs.parity_part(n, c) for n, c in p.parity.configurations.items()]
    return [
        runs.cnn_part(p.data, name, sweep, width)
        for name, sweep in p.cnn.sweeps.items()
        for width in p.cnn.widths
    ]


def read(parts: list[runs.Part]) -> pd.DataFrame:
    """The rows of all parts, one part after the other.

    Raises:
        InputError: parts cannot be used; a line for each.
    """
    frames, faults = [], []
    for part in parts:
        try:
            frames.append(_read(part))
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    return pd.concat(frames, ignore_index=True)


def _read(part: runs.Part) -> pd.DataFrame:
    frame = part.read()
    made = part.configuration["params"]
    keys = {"seed": range(made["seeds"])}
    if "epochs" in made:
        keys["epoch"] = range(1, made["epochs"] + 1)
    else:
        every = made["evaluate_every"]
        keys["step"] = range(every, made["steps"] + 1, every)
        keys["task"] = range(1, made["tasks"] + 1)
    wanted = pd.MultiIndex.from_product(list(keys.values()), names=list(keys))
    if not pd.MultiIndex.from_frame(frame[list(keys)]).equals(wanted):
        allowed = ", ".join(f"each {name} {v[0]} to {v[-1]}" for name, v in keys.items())
        mend = f"train it again: dvc repro --force --single-item {part.stage}"
        raise InputError(f"{part.path}: its rows are not {allowed}, once and in order; {mend}")
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=["cnn", "parity"])
    family = parser.parse_args().family
    parts = expected(family, params.load())
    table = read(parts)
    with runs.aside(Path(f"metrics/{family}.parquet")) as path:
        table.astype({table.columns[0]: "category"}).to_parquet(path, index=False)
    print(f"{len(parts)} parts, {len(table):,} rows")


if __name__ == "__main__":
    errors.run(main)
