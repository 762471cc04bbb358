"""Stage `plot_cnn`: the figures that compare the CNN sweeps with each other and with the published.

Draws plots/cnn_epochs.svg, cnn_figure6.svg, cnn_sensitivity.svg and cnn_local_slopes.svg, and
writes the series that `dvc plots` shows. Takes a few seconds.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from stages.base import errors, names, params, tables
from stages.drawing import cnn_comparison, cnn_series, style
from stages.drawing.cnn import Drawn


def draw(runs: Drawn, p: params.Params, published: params.SharmaKaplan, output: Path) -> None:
    """The figures, and the series behind them."""
    figure_6 = partial(
        cnn_comparison.figure_6,
        theirs=names.sharma_kaplan(p),
        names={sweep: names.sweep(p, sweep) for sweep in runs.sweeps},
    )
    drawn: list[tuple[str, Callable[[Drawn, params.Plot, params.SharmaKaplan], Figure], str]] = [
        ("epochs", cnn_comparison.epochs, "What the choice of epochs does to 4/alpha"),
        ("figure6", figure_6, "Figure 6: losses and errors against parameters, ours and published"),
        ("sensitivity", cnn_comparison.sensitivity, "4/alpha by everything that was varied"),
        ("local_slopes", cnn_comparison.local_slopes, "Local alpha against parameters"),
    ]
    for name, figure, title in drawn:
        style.save_svg(figure(runs, p.plot, published), output / f"cnn_{name}.svg", title)
    for name, table in {
        "curves": cnn_series.curves(runs.runs, p.plot),
        "dimension_by_epoch": cnn_series.dimension_by_epoch(runs.sensitivity),
        "local_slopes": cnn_series.local_slopes(runs.local_slopes),
        "published": cnn_series.beside_published(runs.fits, published),
    }.items():
        tables.write(table, output / f"cnn_{name}.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("plots"), help="folder")
    arguments = parser.parse_args()
    p = params.load()
    with style.drawing():
        runs = Drawn.read(arguments.tables).only(p.alike(next(iter(p.cnn.sweeps))))
        draw(runs, p, params.published().sharma_kaplan, arguments.output)


if __name__ == "__main__":
    errors.run(main)
