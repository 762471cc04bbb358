"""Section `parity`: multitask sparse parity problems, and the networks trained on them."""

from math import comb
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.base.params.cnn import Training
from stages.base.params.fields import (
    Distinct,
    Name,
    Positive,
    PositiveReal,
    Real,
    Section,
    Widths,
    rows_fit,
)


def _divides(steps: int, evaluate_every: int) -> None:
    if steps % evaluate_every:
        raise ValueError(f"evaluate_every must divide steps ({steps})")


Size = Annotated[int, Field(gt=0, le=2**30)]  # places in it are counted in 32 bits


class DataLimited(Section):
    """Runs on a fixed training set, pass after pass, of one configuration."""

    widths: Widths
    samples: Annotated[list[Size], Field(min_length=1, max_length=2**8), Distinct]
    steps: Positive
    evaluate_every: Positive

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        _divides(self.steps, self.evaluate_every)
        return self


class ParityTraining(Training):
    """Multitask sparse parity problems that differ in alpha, and the networks trained on them.

    `widths` are trained on fresh samples without end; `data_limited` says what is trained beside
    them on fixed training sets.
    """

    precision: Literal["tf32", "float32"]
    tasks: Annotated[int, Field(gt=0, le=2**16)]
    bits: Annotated[int, Field(gt=0, le=256)]  # as many as the GPU's kernels hold at once
    subset_size: Positive
    widths: Widths
    logits: Literal[1, 2]
    steps: Positive
    evaluate_every: Positive
    evaluation_samples: Annotated[int, Field(gt=0, le=2**20)]
    learned_below: Annotated[Real, Field(gt=0, lt=0.5)]
    task_curves: Annotated[int, Field(ge=0, lt=2**31)]
    data_limited: DataLimited | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.subset_size > self.bits:
            raise ValueError(f"subset_size must be at most bits ({self.bits})")
        subsets = comb(self.bits, self.subset_size)
        if self.tasks > subsets:
            raise ValueError(f"tasks must be at most {subsets}: there are no more subsets of bits")
        _divides(self.steps, self.evaluate_every)
        runs, evaluated = len(self.widths), len(self.widths) * (self.steps // self.evaluate_every)
        if d := self.data_limited:
            runs += len(d.widths) * len(d.samples)
            evaluated += len(d.widths) * len(d.samples) * (d.steps // d.evaluate_every)
        curves = min(self.task_curves, self.steps // self.evaluate_every)
        rows_fit(self.seeds * max(evaluated, (runs + curves) * self.tasks))
        return self


class ParityConfiguration(ParityTraining):
    """One multitask sparse parity problem, and the networks trained on it."""

    alpha: PositiveReal


Alpha = Annotated[int | float, Field(ge=1e-4, allow_inf_nan=False)]
"""It names a stage, and of a smaller one (1e-05) the `-` would end its name."""


class ParityAlphas(Section):
    """A family of problems, one for each alpha, that are trained alike."""

    values: Annotated[list[Alpha], Distinct]
    training: ParityTraining


FAMILY = "alpha_"
"""What the names of the family's configurations begin with; their alpha follows."""


class Parity(Section):
    """Section `parity`: the named configurations, and the family over alpha."""

    configurations: Annotated[dict[Name, ParityConfiguration], Field(min_length=1)]
    alphas: ParityAlphas

    @model_validator(mode="after")
    def _names_are_not_of_the_family(self) -> Self:
        for name in self.configurations:
            if name.startswith(FAMILY):
                raise ValueError(f"configurations.{name}: names in {FAMILY}... are of the family")
        return self

    @property
    def named(self) -> dict[str, ParityConfiguration]:
        """Every configuration by its name, those of the family (`alpha_0.1`, ...) last."""
        training = self.alphas.training.model_dump()
        family = {
            f"{FAMILY}{alpha}": ParityConfiguration(alpha=alpha, **training)
            for alpha in self.alphas.values
        }
        return self.configurations | family
