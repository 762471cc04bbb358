"""Sections `data` and `manifold`: what images everything is trained and measured on."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from stages.base.params.fields import Positive, RandomSeed, Section


class Data(Section):
    """Where the images come from."""

    source: Literal["cifar10", "cifar100", "fashion_mnist", "manifold", "mnist", "svhn"]

    @property
    def folder(self) -> Path:
        """Where the images lie."""
        return Path("data") / self.source

    @property
    def classes(self) -> int:
        """How many kinds of label there are."""
        return 100 if self.source == "cifar100" else 10


Generated = Annotated[int, Field(gt=0, le=2**17)]
"""Images, as many as the order of an epoch can hold."""


Dimensions = Annotated[int, Field(ge=1, le=64)]


class GeneratedImages(Section):
    """Images that are generated, and their labels."""

    seed: RandomSeed
    patches: Positive
    train: Generated
    test: Generated


class Manifold(GeneratedImages):
    """Section `manifold`: generated images of a known dimension."""

    dimension: Dimensions
