"""Stage `plot_students`: 4/alpha of students of teachers as plots/students.svg, and its series.

Takes about 3 s.
"""

import argparse
from pathlib import Path

from stages.base import errors, params, tables
from stages.drawing import students, style

TITLE = "4/alpha of students of random teachers against what the theory says"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    p = tables.as_made(params.load(), Path("metrics/students.parquet"))
    readings, losses = (
        tables.read(Path(f"metrics/{name}.csv")) for name in ("students", "students_losses")
    )
    known = p.students.configurations
    with style.drawing():
        figure = students.draw(readings, losses, known, p.plot)
    style.save_svg(figure, Path("plots/students.svg"), TITLE)
    tables.write(students.shown(readings, known), Path("plots/students.csv"))


if __name__ == "__main__":
    errors.run(main)
