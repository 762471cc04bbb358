"""Section `images`: what networks are trained and measured on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from stages.base.params.fields import Positive, RandomSeed, Section

Generated = Annotated[int, Field(gt=0, le=2**17)]
"""Images, as many as the order of an epoch can hold."""

Dimensions = Annotated[int, Field(ge=1, le=64)]


class PublishedImages(Section):
    """A published data set."""

    source: Literal["cifar10", "cifar100", "fashion_mnist", "mnist", "svhn"]

    @property
    def classes(self) -> int:
        """How many kinds of label there are."""
        return 100 if self.source == "cifar100" else 10

    @property
    def origin(self) -> dict[str, Any]:
        """What makes the images, as their record and parts name it."""
        return self.model_dump()


class GeneratedImages(Section):
    """Images that are generated, and their labels."""

    seed: RandomSeed
    patches: Positive
    train: Generated
    test: Generated


class Manifold(GeneratedImages):
    """Generated images of a known dimension."""

    dimension: Dimensions


class ManifoldImages(Manifold):
    """The same as an entry of section `images`."""

    source: Literal["manifold"]

    @property
    def classes(self) -> int:
        """How many kinds of label there are."""
        return 10

    @property
    def origin(self) -> dict[str, Any]:
        """What makes the images, as their record and parts name it."""
        return self.model_dump()


ImageSet = Annotated[PublishedImages | ManifoldImages, Field(discriminator="source")]


@dataclass(frozen=True)
class NamedImages:
    """An entry of section `images`, with its name."""

    name: str
    settings: PublishedImages | ManifoldImages

    @property
    def record(self) -> Path:
        """What git knows of them: see `stages.images.stored`."""
        return Path("data") / f"{self.name}.json"
