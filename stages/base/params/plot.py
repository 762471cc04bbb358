"""Section `plot`: how figures look."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from stages.base.params.fields import PositiveReal, Real, Section, Share


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
