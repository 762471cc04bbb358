"""Stage `aggregate_cnn`: every part of the CNN's sweeps, as one table, metrics/cnn.parquet.

The expected parts are enumerated from params.yaml. Each that is missing, damaged, made with other
params or not of the right seeds is refused by name; a part that params.yaml no longer names is
left out.
"""

from pathlib import Path

from stages.base import errors, params, parts
from stages.cnn.part import study_part, sweep_part
from stages.tensorboard.part import import_part


def expected(p: params.Params) -> list[parts.PartFile]:
    """The parts that params.yaml asks for, in its order."""
    sweeps, widths = p.cnn.sweeps.items(), p.cnn.widths
    trained = [sweep_part(p.cnn_images, name, sweep, n) for name, sweep in sweeps for n in widths]
    for name, study in p.studies.items():
        trained.append(study_part(p.named_images(study.images), name, study))
    return [*trained, *(import_part(name, spec) for name, spec in p.imports.items())]


def main() -> None:
    p = params.load()
    made = {Path("metrics/cnn.parquet"): expected(p)}
    parts.aggregate(made, p, "images", "cnn", "studies", "imports")


if __name__ == "__main__":
    errors.run(main)
