"""The configurations that params.yaml asks for."""

from stages.base.params import StudentConfiguration, StudentProtocol, Students
from stages.students.configuration import Configuration, Phase


def configurations(section: Students) -> dict[str, Configuration]:
    """All of them by name."""
    return {name: _of(section.protocol, c) for name, c in section.configurations.items()}


def _of(protocol: StudentProtocol, c: StudentConfiguration) -> Configuration:
    return Configuration(
        dimension=c.dimension,
        loss=c.loss,
        widths=protocol.widths(c.narrowest),
        teachers=protocol.teachers,
        seeds=c.seeds,
        phases=tuple(_phases(protocol)),
        evaluations=protocol.evaluations,
        evaluation_samples=protocol.evaluation_samples,
        factors=c.factors,
        inputs=c.inputs or protocol.inputs,
        inputs_seen=protocol.inputs_seen,
        hidden=protocol.hidden,
        scale=protocol.scale,
        precision=protocol.precision,
    )


def _phases(protocol: StudentProtocol) -> list[Phase]:
    """The share of each phase's steps that is taken: a multiple of the evaluations."""
    phases = []
    for phase in protocol.phases.values():
        between = max(1, round(phase.steps * protocol.schedule / protocol.evaluations))
        steps = between * protocol.evaluations
        phases.append(Phase(steps, phase.batch_size, phase.learning_rate))
    return phases
