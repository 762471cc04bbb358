"""Stage `fit_students`: 4/alpha of students of teachers, beside the dimension that is known.

Reads metrics/students.parquet and the table of `measure_students`. Writes metrics/students.csv and
the losses that it is fitted to as students_losses.csv (`stages.manifold.students`).
"""

from pathlib import Path

from stages.base import errors, params, tables
from stages.manifold import students
from stages.statistics.bootstrap import Resampling
from stages.students.part import SCHEMA

METRICS = Path("metrics")


def main() -> None:
    p = params.load()
    runs = tables.read(METRICS / "students.parquet", SCHEMA.names)
    measured = tables.read(METRICS / "students_dimension.csv", ["configuration", "source"])
    resampling = Resampling(p.fit.confidence, p.fit.resamples, p.fit.seed)
    verdict = p.verdict
    rules = students.Rules(
        resampling, p.fit.sensitivity.huber, verdict.dimension, verdict.tolerance
    )
    table = students.readings(runs, measured, p.students.configurations, rules)
    tables.write(table, METRICS / "students.csv")
    tables.write(students.losses(runs), METRICS / "students_losses.csv")
    print(f"{len(table)} readings of {len(p.students.configurations)} configurations")


if __name__ == "__main__":
    errors.run(main)
