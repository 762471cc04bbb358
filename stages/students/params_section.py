"""Section `students` of params.yaml: teachers, losses, networks and the schedule."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stages.params import Name, Positive, Real, Section, _distinct
from stages.students.configuration import Configuration, Phase

Dimension = Annotated[int, Field(gt=0, le=64)]
Loss = Literal["kl"] | Annotated[Real, Field(ge=1)]
Pair = Annotated[list[Positive], Field(min_length=2, max_length=2)]
Narrowest = Annotated[list[Pair], Field(min_length=1)]
"""[d, n]: from d on the narrowest students have n units."""


class StudentPhase(Section):
    """Steps of one batch size and learning rate."""

    steps: Positive
    batch_size: Positive
    learning_rate: Annotated[Real, Field(gt=0)]


class StudentProtocol(Section):
    """What all students have."""

    inputs: Positive
    inputs_seen: Literal["all", "relevant"]
    hidden: Positive
    scale: Annotated[Real, Field(gt=0)]
    widths: Annotated[int, Field(ge=2)]
    growth: Annotated[Real, Field(gt=1)]
    teachers: Positive
    seeds: Positive
    schedule: Annotated[Real, Field(gt=0)]
    phases: Annotated[dict[Name, StudentPhase], Field(min_length=1)]
    evaluations: Positive
    evaluation_samples: Positive
    precision: Literal["float32", "float64"]

    def taken(self) -> tuple[Phase, ...]:
        """The phases with their share of steps: a multiple of the evaluations."""
        phases = []
        for phase in self.phases.values():
            between = max(1, round(phase.steps * self.schedule / self.evaluations))
            phases.append(Phase(between * self.evaluations, phase.batch_size, phase.learning_rate))
        return tuple(phases)


class StudentLoss(Section):
    """A loss: the divergence from the teacher's softmax, or p of the mean |error|^p."""

    loss: Loss
    narrowest: Narrowest

    def first(self, dimension: int) -> int:
        """Units of the narrowest students at a dimension."""
        return next(n for d, n in sorted(self.narrowest, reverse=True) if d <= dimension)

    @model_validator(mode="after")
    def _starts_at_one(self) -> Self:
        if 1 not in (d for d, _ in self.narrowest):
            raise ValueError("narrowest must say [1, n]: the units from dimension 1 on")
        return self


class OtherStudents(Section):
    """Students at one dimension only; of teachers that are sums, where there are `factors`."""

    loss: Loss
    dimension: Dimension
    narrowest: Positive
    factors: Positive = 1
    inputs: Positive | None = None  # null: the protocol's


class Students(Section):
    """Section `students`: each of `losses` at each of `dimensions`, and others."""

    protocol: StudentProtocol
    dimensions: Annotated[list[Dimension], Field(min_length=1), AfterValidator(_distinct)]
    losses: Annotated[dict[Name, StudentLoss], Field(min_length=1)]
    others: dict[Name, OtherStudents]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for name, c in self.configurations().items():
            if c.dimension * c.factors > c.inputs:
                raise ValueError(
                    f"{name}: {c.dimension} inputs for each of {c.factors} factors must be at most "
                    f"inputs ({c.inputs})"
                )
            if len(set(c.widths)) < len(c.widths):
                raise ValueError(f"{name}: two of the widths {c.widths} are the same: raise growth")
        return self

    def configurations(self) -> dict[str, Configuration]:
        """All of them by name: `<loss>-<dimension>`, then the others."""
        found = {
            f"{name}-{d}": self._of(d, loss.loss, loss.first(d))
            for name, loss in self.losses.items()
            for d in self.dimensions
        }
        for name, other in self.others.items():
            inputs = other.inputs or self.protocol.inputs
            found[name] = self._of(
                other.dimension, other.loss, other.narrowest, other.factors, inputs
            )
        return found

    def _of(
        self, dimension: int, loss: Loss, narrowest: int, factors: int = 1, inputs: int = 0
    ) -> Configuration:
        p = self.protocol
        return Configuration(
            dimension=dimension,
            loss=loss,
            widths=tuple(int(narrowest * p.growth**i) for i in range(p.widths)),
            teachers=p.teachers,
            seeds=p.seeds,
            phases=p.taken(),
            evaluations=p.evaluations,
            evaluation_samples=p.evaluation_samples,
            factors=factors,
            inputs=inputs or p.inputs,
            inputs_seen=p.inputs_seen,
            hidden=p.hidden,
            scale=p.scale,
            precision=p.precision,
        )
