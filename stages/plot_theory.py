"""Stage `plot_theory`: 4/alpha beside the dimension, of all that was trained and where d is known.

Draws plots/figure1.svg and writes its table, figure1.csv (`stages.manifold.figure1`): 4/alpha
against measured dimension. Beside it students.svg and its series, of students of teachers, and
method.svg, of generated images. About 4 s.
"""

from pathlib import Path

import pandas as pd

from stages.base import errors, params, tables
from stages.drawing import figure1 as drawing
from stages.drawing import method, students, style
from stages.manifold import figure1, names

METRICS, PLOTS = Path("metrics"), Path("plots")
TITLES = {
    "figure1": "4/alpha against measured dimension: students, generated images, and photographs",
    "students": "4/alpha of students of random teachers against what the theory says",
    "method": "4/alpha and measured dimension against the true dimension of generated images",
}


def marks(p: params.Params, of_students: pd.DataFrame, of_method: pd.DataFrame) -> pd.DataFrame:
    """The marks of Figure 1."""
    fits, dimensions = (tables.read(METRICS / f"{name}.csv") for name in ("cnn_fits", "dimension"))
    sweeps = {n: names.images(p, p.trained[n].images) for n in p.drawn if n in p.trained}
    rule, fit = p.verdict, p.fit
    return figure1.table(
        [
            *figure1.of_students(of_students, p.students.configurations, rule),
            *figure1.of_known(of_method, rule),
            *figure1.of_networks(
                fits, dimensions, sweeps, [*p.imports], rule, fit.widths, fit.confidence
            ),
            figure1.published(params.published().sharma_kaplan),
        ]
    )


def main() -> None:
    p = tables.as_made(params.load(), METRICS / "cnn.parquet", METRICS / "students.parquet")
    of_students, of_method, students_losses, method_losses = (
        tables.read(METRICS / f"{name}.csv")
        for name in ("students", "method", "students_losses", "method_losses")
    )
    known, shown = p.students.configurations, marks(p, of_students, of_method)
    with style.drawing():
        figures = {
            "figure1": drawing.draw(shown, p.verdict.tolerance, p.plot),
            "students": students.draw(of_students, students_losses, known, p.plot),
            "method": method.draw(of_method, method_losses, p.plot),
        }
        for name, figure in figures.items():
            style.save_svg(figure, PLOTS / f"{name}.svg", TITLES[name])
    tables.write(shown, PLOTS / "figure1.csv")
    tables.write(students.shown(of_students, known), PLOTS / "students.csv")


if __name__ == "__main__":
    errors.run(main)
