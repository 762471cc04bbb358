"""Sections `cnn` and `method`: the CNN's training protocols, and where they are run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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
from stages.base.params.images import Dimensions, GeneratedImages, Manifold


class Training(Section):
    """What every trained network has."""

    optimizer: Literal["adam", "adamw"]
    learning_rate: PositiveReal
    weight_decay: Annotated[Real, Field(ge=0)]
    batch_size: Annotated[int, Field(gt=0, le=2**24)]
    seeds: Annotated[int, Field(gt=0, le=10**4)]
    precision: Literal["tf32", "float32"]


InitialWeights = Literal["pytorch", "keras"]
"""Whose defaults."""


class CnnSweep(Training):
    """One training protocol, run at every width with `seeds` seeds."""

    initial_weights: InitialWeights
    augment: bool
    augment_validation: bool
    evaluate_training: bool
    input_range: Annotated[list[Real], Field(min_length=2, max_length=2)]
    epochs: Positive

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        low, high = self.input_range
        if not low < high:
            raise ValueError("input_range must be [low, high] with low < high")
        rows_fit(self.seeds * self.epochs)
        return self


class Cnn(Section):
    """Section `cnn`: the images, the widths, and the sweeps over them."""

    images: Name
    widths: Widths
    sweeps: Annotated[dict[Name, CnnSweep], Field(min_length=1)]


class Study(Section):
    """A training protocol with widths of its own, trained as one stage into one part."""

    widths: Widths
    training: CnnSweep

    @model_validator(mode="after")
    def _rows_of_a_part_fit(self) -> Self:
        rows_fit(len(self.widths) * self.training.seeds * self.training.epochs)
        return self


class Method(Study):
    """Section `method`: the whole method where the dimension is known, on generated images."""

    dimensions: Annotated[list[Dimensions], Field(min_length=1), Distinct]
    images: GeneratedImages

    def manifold(self, dimension: int) -> Manifold:
        """The images of one known dimension."""
        return Manifold(dimension=dimension, **self.images.model_dump())
