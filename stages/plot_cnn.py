"""Stage `plot_cnn`: the figures of the CNN sweeps, each by itself and beside the published.

Draws plots/cnn_epochs.svg, cnn_figure6.svg, cnn_sensitivity.svg and cnn_local_slopes.svg, and
writes the series that `dvc plots` shows. In plots/sweeps are the scatter and the violins of each
sweep, trained or imported, that the table was made of. About 10 s.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from stages.base import errors, params, tables
from stages.drawing import cnn_comparison, cnn_scaling, cnn_series, style
from stages.drawing.cnn import Drawn
from stages.manifold import names


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


def draw_sweeps(runs: Drawn, sweeps: Sequence[str], plot: params.Plot, folder: Path) -> None:
    """Two figures of each sweep, and none of any other in the folder."""
    drawn = set()
    for sweep in sweeps:
        for name, figure, title in [
            (
                f"cnn_scaling_{sweep}.svg",
                cnn_scaling.scaling,
                f"Loss and accuracy of sweep {sweep} against parameters, with quantile regressions",
            ),
            (
                f"cnn_violin_{sweep}.svg",
                cnn_scaling.violins,
                f"Distribution of loss and accuracy of sweep {sweep} over runs and epochs, by "
                "parameters",
            ),
        ]:
            style.save_svg(figure(runs, sweep, plot), folder / name, title)
            drawn.add(name)
    for path in folder.glob("*.svg"):
        if path.name not in drawn:
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("plots"), help="folder")
    arguments = parser.parse_args()
    runs, output = Drawn.read(arguments.tables), arguments.output
    p = tables.as_made(params.load(), arguments.tables / "cnn.parquet")
    with style.drawing():
        beside = runs.only(p.alike(next(iter(p.cnn.sweeps))))
        draw(beside, p, params.published().sharma_kaplan, output)
        draw_sweeps(runs, p.drawn, p.plot, output / "sweeps")


if __name__ == "__main__":
    errors.run(main)
