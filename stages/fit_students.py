"""Stage `fit_students`: 4/alpha of students of teachers, beside the dimension that is known.

Reads metrics/students.parquet and the tables of `measure_students`. Writes metrics/students.csv,
the losses that it is fitted to as students_losses.csv (`stages.manifold.students`), and
students.md, which says by rules where the theory holds.
"""

from pathlib import Path

from stages.base import errors, files, params, tables
from stages.manifold import students
from stages.statistics.bootstrap import Resampling

METRICS = Path("metrics")


def main() -> None:
    runs = tables.read(METRICS / "students.parquet", ["configuration"])
    p = tables.as_made(params.load(), METRICS / "students.parquet")
    measured = tables.read(METRICS / "students_dimension.csv", ["configuration", "source"])
    live = tables.read(METRICS / "students_live.csv", ["configuration", "live_parameters"])
    resampling = Resampling(p.fit.confidence, p.fit.resamples, p.fit.seed)
    verdict = p.verdict
    rules = students.Rules(
        resampling, p.fit.sensitivity.huber, verdict.dimension, verdict.tolerance
    )
    table = students.readings(runs, measured, live, p.students.configurations, rules)
    tables.write(table, METRICS / "students.csv")
    tables.write(students.losses(runs), METRICS / "students_losses.csv")
    said = students.statement(table, verdict.tolerance)
    files.write(METRICS / "students.md", said)
    print(said.splitlines()[0])


if __name__ == "__main__":
    errors.run(main)
