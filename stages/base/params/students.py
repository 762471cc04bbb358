"""Section `students`: students of random teachers, where the dimension of the data is known."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.base.params.fields import Name, Positive, PositiveReal, Real, Section

WIDEST = 128
"""Units that the GPU's kernels hold at once."""


class StudentPhase(Section):
    """Steps of one batch size and learning rate."""

    steps: Positive
    batch_size: Positive
    learning_rate: PositiveReal


class StudentProtocol(Section):
    """What all students have."""

    inputs: Positive
    inputs_seen: Literal["all", "relevant"]
    hidden: Positive
    scale: PositiveReal
    width_count: Annotated[int, Field(ge=2)]
    width_growth: Annotated[Real, Field(gt=1)]
    teachers: Positive
    schedule: PositiveReal
    phases: Annotated[dict[Name, StudentPhase], Field(min_length=1)]
    evaluations: Positive
    evaluation_samples: Positive
    precision: Literal["float32", "float64"]

    def widths(self, narrowest: int) -> tuple[int, ...]:
        """Units of each hidden layer, of each student."""
        return tuple(int(narrowest * self.width_growth**i) for i in range(self.width_count))


class StudentConfiguration(Section):
    """One loss at one dimension; of teachers that are sums, where there are `factors`."""

    loss: Literal["kl"] | Annotated[Real, Field(ge=1)]
    dimension: Annotated[int, Field(gt=0, le=64)]
    narrowest: Positive
    seeds: Positive
    factors: Positive = 1
    inputs: Positive | None = None  # null: the protocol's


class Students(Section):
    """Section `students`: the protocol, and the named configurations."""

    protocol: StudentProtocol
    configurations: Annotated[dict[Name, StudentConfiguration], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for name, c in self.configurations.items():
            where, inputs = f"configurations.{name}", c.inputs or self.protocol.inputs
            if c.dimension * c.factors > inputs:
                raise ValueError(
                    f"{where}: {c.dimension} inputs for each of {c.factors} factors must be at "
                    f"most inputs ({inputs})"
                )
            widths = self.protocol.widths(c.narrowest)
            if len(set(widths)) < len(widths):
                raise ValueError(f"{where}: two of the widths {widths} are the same: raise growth")
            if widths[-1] > WIDEST:
                raise ValueError(f"{where}: the widths {widths} must be at most {WIDEST}")
        return self
