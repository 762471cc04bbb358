"""Section `images`: what networks are trained and measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from stages.base.params.fields import Place, Positive, RandomSeed, Section

MOST = 2**17
"""Images, as many as the order of an epoch can hold."""
CIFAR, GREY = (32, 32, 3), (28, 28, 1)
"""Rows, columns and channels of the images that the network cnn takes: as they are, or framed."""
Generated = Annotated[int, Field(gt=0, le=MOST)]


def sizes(shape: Sequence[int]) -> str:
    """Write the sizes of a shape as in 32x32x3."""
    return "x".join(str(size) for size in shape)


Dimensions = Annotated[int, Field(ge=1, le=64)]


class _Images(Section):
    @property
    def classes(self) -> int:
        """How many kinds of label there are."""
        return 10

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns, channels) of an image."""
        return CIFAR

    @property
    def origin(self) -> dict[str, Any]:
        """What makes the images, as their record and parts name it."""
        return self.model_dump()


class PublishedImages(_Images):
    """A published data set."""

    source: Literal["cifar10", "cifar100", "fashion_mnist", "mnist", "svhn"]

    @property
    def classes(self) -> int:
        return 100 if self.source == "cifar100" else 10

    @property
    def shape(self) -> tuple[int, ...]:
        return GREY if self.source in ("fashion_mnist", "mnist") else CIFAR


class Manifold(_Images):
    """Generated images of a known dimension, and their labels."""

    source: Literal["manifold"] = "manifold"
    dimension: Dimensions
    seed: RandomSeed
    patches: Positive
    train: Generated
    test: Generated


class FolderImages(Section):
    """Images of one's own: see `stages.images.folder`."""

    source: Literal["folder"]
    folder: Place
    shape: Annotated[tuple[Positive, Positive, Positive], Field(strict=False)]
    classes: Annotated[int, Field(ge=2, le=2**8)]

    @property
    def origin(self) -> dict[str, Any]:
        """What makes the images, as their record and parts name it: wherever they lie."""
        return {"source": self.source, "shape": [*self.shape], "classes": self.classes}


AnyImages = PublishedImages | Manifold | FolderImages
ImageSet = Annotated[AnyImages, Field(discriminator="source")]


@dataclass(frozen=True)
class NamedImages:
    """An entry of section `images`, with its name."""

    name: str
    settings: AnyImages

    @property
    def record(self) -> Path:
        """What git knows of them: see `stages.images.stored`."""
        return Path("data") / f"{self.name}.json"
