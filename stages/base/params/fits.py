"""Sections `fit`, `quanta` and `calibration`: how exponents and their intervals are made."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stages.base.params.fields import (
    Name,
    NumberRange,
    Positive,
    PositiveReal,
    RandomSeed,
    Resamples,
    Section,
    Share,
)


class Quanta(Section):
    """Section `quanta`: how learning times and exponents of the parity runs are fitted."""

    confidence: Share
    resamples: Resamples
    seed: RandomSeed
    steps: NumberRange
    samples_below: PositiveReal
    finite_tasks: NumberRange
    horizons: Annotated[int, Field(ge=2, le=100)]

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ["steps", "finite_tasks"]:
            first, last = getattr(self, name)
            if first >= last:
                raise ValueError(f"{name} must be [first, last] with first < last")
        return self


Epochs = Literal["pooled", "last", "best", "best_error"]
"""All of each run, the last, or where its validation loss, or error, is smallest."""
WidthRanges = dict[Name, NumberRange]


def _ascending(ranges: dict[str, list[int]]) -> dict[str, list[int]]:
    for name, (first, last) in ranges.items():
        if name == "all":
            raise ValueError("all is always there, and means all widths; choose another name")
        if first > last:
            raise ValueError(f"{name} must be [first, last] with first <= last")
    return ranges


class Sensitivity(Section):
    """What the fitted exponents are shown to depend on."""

    widths: Annotated[WidthRanges, AfterValidator(_ascending)]
    window: Annotated[int, Field(ge=3, le=2**12)]
    huber: PositiveReal


class Fit(Section):
    """Section `fit`: how exponents and their intervals are made from the CNN's runs."""

    quantiles: Annotated[list[Share], Field(min_length=1)]
    epochs: Annotated[list[Epochs], Field(min_length=1)]
    widths: Annotated[WidthRanges, AfterValidator(_ascending)]
    failed_above: PositiveReal
    confidence: Share
    resamples: Resamples
    seed: RandomSeed
    compare_width: Positive
    sensitivity: Sensitivity

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if len(set(self.quantiles)) < len(self.quantiles):
            raise ValueError("quantiles must not repeat a value")
        if len(set(self.epochs)) < len(self.epochs):
            raise ValueError("epochs must not repeat a value")
        if 0.5 not in self.quantiles:
            raise ValueError("quantiles must hold 0.5, the median that the headline numbers use")
        return self


class Calibration(Section):
    """Section `calibration`: how the coverage of the intervals is measured."""

    sweeps: Annotated[int, Field(ge=20, le=10**5)]
    seed: RandomSeed
