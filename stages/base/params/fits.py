"""Sections `fit`, `quanta`, `calibration` and `dimension`: how what is measured is estimated."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stages.base.params.fields import (
    Distinct,
    Name,
    Neighbours,
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
"""Which epochs of each run: all, the last, or where its validation loss, or error, is smallest."""
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


Known = Annotated[int, Field(gt=0, le=2**12)]


class KnownDimension(Section):
    """Data of known dimension, measured like the rest to show how far each estimator is off."""

    samples: Annotated[int, Field(gt=0, le=10**6)]
    dimensions: Annotated[list[Known], Field(min_length=2), Distinct]
    compare: Positive

    @model_validator(mode="after")
    def _compares_with_one_of_them(self) -> Self:
        if self.compare not in self.dimensions:
            raise ValueError(f"compare must be one of dimensions {self.dimensions}")
        return self


class Dimension(Section):
    """Section `dimension`: how the intrinsic dimension is measured."""

    discard: Share
    ratio_neighbours: Annotated[list[Neighbours], Field(min_length=1), Distinct]
    likelihood_neighbours: Annotated[list[Neighbours], Field(min_length=1), Distinct]
    blocks: Annotated[list[Positive], Field(min_length=1), Distinct]
    confidence: Share
    seed: RandomSeed
    known: KnownDimension

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if 1 not in self.blocks:
            raise ValueError(f"blocks must hold 1, all the points at once (got {self.blocks})")
        smallest = self.known.samples // max(self.blocks)
        most = max(self.ratio_neighbours + self.likelihood_neighbours)
        if most >= smallest:
            raise ValueError(
                f"neighbours must be fewer than the {smallest} points in the smallest block of "
                f"known.samples (got {most})"
            )
        return self
