"""Which parts a stage must leave."""

from stages.base.params import Params
from stages.base.parts import Part
from stages.cnn import part as cnn_part
from stages.parity import part as parity_part
from stages.students import part as students
from stages.students.plan import configurations


def expected(p: Params) -> dict[str, list[Part]]:
    """The parts that params.yaml asks for, by the stage that makes them."""
    parts: list[Part] = [
        cnn_part.sweep_part(p.cnn_images, name, sweep, width)
        for name, sweep in p.cnn.sweeps.items()
        for width in p.cnn.widths
    ]
    for name, configuration in p.parity.named.items():
        parts += parity_part.configuration_parts(name, configuration).values()
    parts += [
        cnn_part.study_part(p.named_images(study.images), name, study)
        for name, study in p.studies.items()
    ]
    parts += [cnn_part.regime_part(p.named_images(n), n, each) for n, each in p.changed.items()]
    parts += [students.part(name, c) for name, c in configurations(p.students).items()]
    by_stage: dict[str, list[Part]] = {}
    for part in parts:
        by_stage.setdefault(part.stage, []).append(part)
    return by_stage
