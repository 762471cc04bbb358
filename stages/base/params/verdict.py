"""Sections `verdict` and `plot`: what stands for a published number, and how figures look."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.base.params.cnn import Moment
from stages.base.params.fields import Name, Neighbours, PositiveReal, Real, Section, Share
from stages.base.params.fits import Epochs


class FitRule(Section):
    """One fit of the CNN sweeps, by its row in metrics/cnn_fits.csv."""

    sweep: Name
    epochs: Epochs
    quantile: Share
    widths: Name
    failed: Literal["included", "short_excluded", "excluded"]


Layer = Literal["preactivation", "activation", "logits"]
"""Where a network is measured: its last hidden layer before the ReLU and after; what follows."""


class DimensionRule(Section):
    """The measured dimension of a range of networks, by their rows in metrics/dimension.csv.

    `epochs`: with the weights after a run's last epoch, or after its best (`best_weights`).
    """

    sweep: Name
    widths: Name
    layer: Layer
    estimator: Literal["twonn", "ratio", "likelihood"]
    neighbours: Neighbours
    epochs: Moment = "last"


Definition = Literal["first_under", "for_good"]
"""A task is learned at the first evaluation under a threshold, or when it stays there for good."""


class LearningRule(Section):
    """Which law of learning times stands for the published one."""

    configuration: Name
    definition: Definition
    tasks: Literal["all", "learned", "complete"]


class ParityVerdict(Section):
    """Which configurations stand for the published ones; those not trained are said to be missing.

    `exponents` is what the names of Figure 10's configurations begin with.
    """

    tolerance: Annotated[Real, Field(ge=0, lt=1)]
    learning: LearningRule
    widths: Name
    samples: Name
    exponents: Name


class Verdict(Section):
    """Section `verdict`: which of our numbers stands for which published one, and what agrees."""

    tolerance: Annotated[Real, Field(ge=0, lt=1)]
    fit: FitRule
    dimension: DimensionRule
    notebook: FitRule
    parity: ParityVerdict


class Plot(Section):
    """Section `plot`: how figures look; no number depends on it."""

    width: Annotated[Real, Field(ge=4, le=20)]
    points: Annotated[int, Field(ge=2, le=100)]
    marker_size: PositiveReal
    opacity: Annotated[Real, Field(gt=0, le=1)]
    steps: Annotated[int, Field(ge=2, le=200)]
    band: Annotated[list[Share], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> Self:
        if not self.band[0] < self.band[1]:
            raise ValueError("band must be [low, high] with low < high")
        return self
