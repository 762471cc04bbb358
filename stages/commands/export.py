"""A CNN sweep as TensorBoard's event files, for those who like to look there.

    python -m stages.commands.export SWEEP --out LOGDIR

writes LOGDIR/n_<width>/seed_<seed>/events.out.tfevents.<...> for each run of SWEEP, with the tags,
texts and steps that an import looks for by default: what is exported imports to the same table.
800 runs of 50 epochs take some seconds. The same sweep gives the same bytes: no clock and no host
name is in a file, so TensorBoard shows an epoch a second, in 1970.
"""

import argparse
import os
import shutil
from pathlib import Path

import pandas as pd

from stages.base import errors, params, tables
from stages.cnn.part import SCHEMA
from stages.tensorboard import events

DEFAULT = params.Import(runs=".")


def read(path: Path, sweep: str) -> pd.DataFrame:
    """The rows of one sweep.

    Raises:
        InputError: the table is missing or damaged, lacks columns, or has no such sweep.
    """
    table = tables.read(path, SCHEMA.names)
    names = [str(name) for name in table["sweep"].unique()]
    if sweep not in names:
        raise errors.InputError(f"{path}: no sweep {sweep!r}; there is {', '.join(names)}")
    rows: pd.DataFrame = table[table["sweep"] == sweep]
    return rows


def write(rows: pd.DataFrame, folder: Path) -> int:
    """Write an event file for each run of a sweep into a new folder; how many.

    Raises:
        InputError: the folder is there already.
    """
    if folder.exists():
        raise errors.InputError(f"{folder}: is there already; name a new folder")
    tags, texts = DEFAULT.tags.model_dump(), DEFAULT.text
    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    by_run = rows.groupby(["width", "seed"])
    try:
        for _, run in by_run:
            width, parameters, seed = run[["width", "parameters", "seed"]].iloc[0]
            content = events.write(
                float(seed),
                {texts["width"]: str(width), texts["parameters"]: str(parameters)},
                (run["epoch"] - 1).tolist(),
                {tag: run[metric].tolist() for metric, tag in tags.items()},
            )
            path = aside / f"n_{width}" / f"seed_{seed}"
            path.mkdir(parents=True)
            (path / f"events.out.tfevents.{seed:010d}").write_bytes(content)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return by_run.ngroups


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", metavar="SWEEP")
    parser.add_argument("--out", type=Path, metavar="LOGDIR", required=True, help="a new folder")
    parser.add_argument("--table", type=Path, default=Path("metrics/cnn.parquet"))
    arguments = parser.parse_args()
    count = write(read(arguments.table, arguments.sweep), arguments.out)
    print(f"{count} runs; look at them: tensorboard --logdir {arguments.out}")


if __name__ == "__main__":
    errors.run(main)
