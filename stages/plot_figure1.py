"""Stage `plot_figure1`: 4/alpha against measured dimension, of all that was trained.

Draws plots/figure1.svg and writes its table, figure1.csv (`stages.manifold.figure1`). About 3 s.
"""

import argparse
from pathlib import Path

from stages.base import errors, params, tables
from stages.drawing import figure1 as drawing
from stages.drawing import style
from stages.manifold import figure1, names

METRICS, PLOTS = Path("metrics"), Path("plots")
TITLE = "4/alpha against measured dimension: students, generated images, and photographs"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    p = tables.as_made(params.load(), METRICS / "cnn.parquet", METRICS / "students.parquet")
    students, method, fits, dimensions = (
        tables.read(METRICS / f"{name}.csv")
        for name in ("students", "method", "cnn_fits", "dimension")
    )
    sweeps = {n: names.images(p, p.trained[n].images) for n in p.drawn if n in p.trained}
    fit = p.fit
    marks = figure1.table(
        [
            *figure1.of_students(students, p.students.configurations, p.verdict),
            *figure1.of_known(method, p.verdict),
            *figure1.of_networks(
                fits, dimensions, sweeps, [*p.imports], p.verdict, fit.widths, fit.confidence
            ),
            figure1.published(params.published().sharma_kaplan),
        ]
    )
    with style.drawing():
        figure = drawing.draw(marks, p.verdict.tolerance, p.plot)
    style.save_svg(figure, PLOTS / "figure1.svg", TITLE)
    tables.write(marks, PLOTS / "figure1.csv")


if __name__ == "__main__":
    errors.run(main)
