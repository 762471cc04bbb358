"""Section `dimension`: how the intrinsic dimension is measured."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from stages.base.params.fields import Distinct, Neighbours, Positive, RandomSeed, Section, Share

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
