"""Stage `fit_parity`: emergence and exponents of multitask sparse parity.

Reads metrics/parity_losses.parquet and parity_tasks.parquet. Writes

- parity_runs.csv: a row for each run, with its final and its smallest mean loss;
- parity_emergence.csv: how learning time, by two definitions, goes with frequency, fitted in three
  ways;
- parity_horizons.csv: the same, had the runs ended earlier;
- parity_exponents.csv: alpha_N, alpha_S and alpha_D beside theory and the published;
- parity.json: the numbers that a reader wants first.

The notebook's configuration learns its first three of ten tasks within 2,500 steps. Takes about
10 seconds for all of the paper's.
"""

import argparse
from pathlib import Path

import pandas as pd

from stages.base import errors, params, tables
from stages.parity.tasks import frequencies
from stages.quanta import fits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("metrics"), help="folder")
    arguments = parser.parse_args()

    paths = [arguments.tables / f"parity_{kind}.parquet" for kind in ("losses", "tasks")]
    losses, tasks = (tables.read(path, ["configuration"]) for path in paths)
    p, published = tables.as_made(params.load(), *paths), params.published().michaud
    configurations = p.parity.named
    rates = {name: frequencies(c.tasks, c.alpha) for name, c in configurations.items()}
    try:
        families = fits.families(losses, tasks, configurations, rates)
    except ValueError as error:
        raise errors.InputError(
            f"{arguments.tables}/parity_*.parquet: {error}; make it again: dvc repro"
        ) from None

    fitted: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("runs", "emergence", "horizons", "exponents")
    }
    headlines = {}
    for family in families:
        of_runs = fits.final_losses(family)
        laws = fits.laws(family, p.quanta)
        exponents = fits.exponents(of_runs, family, p.quanta, published)
        headlines[family.name] = fits.headline(family, exponents, laws)
        made = (of_runs, laws, fits.horizons(family, p.quanta), exponents)
        for name, table in zip(fitted, made, strict=True):
            fitted[name].append(table)

    for name, some in fitted.items():
        tables.write(pd.concat(some), arguments.output / f"parity_{name}.csv")
    tables.write_json(headlines, arguments.output / "parity.json")
    count = sum(len(table) for table in fitted["runs"])
    print(f"{len(families)} configurations, {count} runs")


if __name__ == "__main__":
    errors.run(main)
