"""Stages `plot_cnn` and `plot_cnn_sweep`: the figures of the CNN sweeps, from the fitted tables.

With the name of a sweep, draws that sweep's scatter and violins, as plots/cnn_scaling_<sweep>.svg
and plots/cnn_violin_<sweep>.svg. Without, draws what compares the sweeps with each other and with
the published values, and writes the series that `dvc plots` shows. Takes a few seconds.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages import errors, figures, names, params, runs
from stages.drawing import cnn_comparison, cnn_series, cnn_sweep
from stages.drawing.cnn import Tables

TABLES = ["cnn.parquet", "cnn_fits.csv", "cnn_sensitivity.csv", "cnn_local_slopes.csv"]


def read(folder: Path) -> Tables:
    """The aggregated runs and the tables fitted to them.

    Raises:
        InputError: a table is missing, damaged or empty.
    """

    def one(name: str) -> pd.DataFrame:
        path = folder / name
        try:
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise errors.InputError(f"{path}: {reason}; make it: dvc repro fit_cnn") from None
        if table.empty and name in TABLES[:2]:
            raise errors.InputError(f"{path}: no rows; make it again: dvc repro --force fit_cnn")
        return table

    return Tables(*(one(name) for name in TABLES))


def save(figure: Figure, path: Path, title: str) -> None:
    """Save a figure, whole or not at all."""
    with runs.aside(path) as temporary:
        figures.save_svg(figure, temporary, title)


def draw_sweep(tables: Tables, sweep: str, plot: params.Plot, output: Path) -> None:
    """The two figures of one sweep.

    Raises:
        InputError: the tables hold no such sweep.
    """
    if sweep not in tables.sweeps:
        known = ", ".join(tables.sweeps)
        raise errors.InputError(f"{TABLES[0]}: no sweep {sweep!r}; there is {known}")
    save(
        cnn_sweep.scaling(tables, sweep, plot),
        output / f"cnn_scaling_{sweep}.svg",
        f"Loss and accuracy of sweep {sweep} against parameters, with quantile regressions",
    )
    save(
        cnn_sweep.violins(tables, sweep, plot),
        output / f"cnn_violin_{sweep}.svg",
        f"Distribution of loss and accuracy of sweep {sweep} over runs and epochs, by parameters",
    )


def draw_all(tables: Tables, p: params.Params, output: Path) -> None:
    """The figures that compare, and the series behind them."""
    published = p.published.sharma_kaplan
    figure_6 = partial(
        cnn_comparison.figure_6,
        theirs=names.sharma_kaplan(p),
        names={sweep: names.sweep(p, sweep) for sweep in tables.sweeps},
    )
    drawn: list[tuple[str, Callable[[Tables, params.Plot, params.SharmaKaplan], Figure], str]] = [
        ("epochs", cnn_comparison.epochs, "What the choice of epochs does to 4/alpha"),
        ("figure6", figure_6, "Test loss against parameters, ours and published"),
        ("sensitivity", cnn_comparison.sensitivity, "4/alpha by everything that was varied"),
        ("local_slopes", cnn_comparison.local_slopes, "Local alpha against parameters"),
    ]
    for name, draw, title in drawn:
        save(draw(tables, p.plot, published), output / f"cnn_{name}.svg", title)
    for name, table in {
        "curves": cnn_series.curves(tables.runs, p.plot),
        "dimension_by_epoch": cnn_series.dimension_by_epoch(tables.sensitivity),
        "local_slopes": cnn_series.local_slopes(tables.local_slopes),
        "published": cnn_series.beside_published(tables.fits, published),
    }.items():
        with runs.aside(output / f"cnn_{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.6g")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", nargs="?", help="draw this sweep alone")
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("plots"), help="folder")
    arguments = parser.parse_args()
    p = params.load()
    tables = read(arguments.tables)
    with figures.style():
        if arguments.sweep:
            draw_sweep(tables, arguments.sweep, p.plot, arguments.output)
        else:
            draw_all(tables, p, arguments.output)


if __name__ == "__main__":
    errors.run(main)
