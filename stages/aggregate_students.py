"""Stage `aggregate_students`: every part of the students of teachers, as metrics/students.parquet.

Parts are enumerated and refused as `aggregate_cnn` does.
"""

from pathlib import Path

from stages.base import errors, params, parts
from stages.students.part import part
from stages.students.plan import configurations


def main() -> None:
    p = params.load()
    expected = [part(name, c) for name, c in configurations(p.students).items()]
    parts.aggregate({Path("metrics/students.parquet"): expected}, p, "students")


if __name__ == "__main__":
    errors.run(main)
