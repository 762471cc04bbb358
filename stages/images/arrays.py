"""The images on disk as a training process opens them: four memory-mapped uint8 arrays.

CIFAR-10 is 184 MB; opening it takes milliseconds and reads next to nothing.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.base.errors import InputError
from stages.base.params.images import CIFAR, GREY, MOST, sizes

CLASSES = 10
"""Kinds of label of CIFAR-10 and, unless said otherwise, of any data set."""
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, eq=False)
class Images:
    """A data set: images of shape (n, rows, columns, channels) and labels of shape (n,), all uint8.

    `made` is `stages.images.generated.Made` of their settings, if they are generated.

    Raises:
        InputError: an array has another type or shape, is empty or too large, or does not fit the
            others.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    classes: int = CLASSES
    made: Any = None

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            for name, array, axes in (
                ("images", images, "n, rows, columns, channels"),
                ("labels", labels, "n"),
            ):
                if array.dtype != np.uint8 or array.ndim != len(axes.split()):
                    raise InputError(
                        f"{split}_{name}.npy: {array.dtype} of shape {array.shape}, "
                        f"not uint8 of shape ({axes})"
                    )
            if images.shape[1:] != self.shape:
                raise InputError(
                    f"{split}_images.npy: images of {sizes(images.shape[1:])}, "
                    f"not of {sizes(self.shape)} as in train_images.npy"
                )
            if images.size == 0 or len(images) > MOST:
                raise InputError(
                    f"{split}_images.npy: {len(images):,} images of {sizes(self.shape)}, "
                    f"not 1 to {MOST:,} of one pixel or more"
                )
            if len(images) != len(labels):
                raise InputError(
                    f"{split}_labels.npy: {len(labels)} labels for {len(images)} images, "
                    "not one for each"
                )
            if labels.max() >= self.classes:
                raise InputError(
                    f"{split}_labels.npy: label {labels.max()}, not in 0..{self.classes - 1}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns, channels) of an image."""
        return self.train_images.shape[1:]

    def for_cnn(self) -> "Images":
        """The same as the network cnn takes them: 32x32x3.

        Grey images of 28x28, as MNIST's are, get two black pixels on each side and the same grey
        in each channel, so that N is the same for every data set.

        Raises:
            InputError: they are of another shape.
        """
        if self.shape == CIFAR:
            return self
        if self.shape != GREY:
            raise InputError(
                f"the network cnn takes images of {sizes(CIFAR)}, and grey ones of "
                f"{sizes(GREY[:2])}; these are of {sizes(self.shape)}: choose another network"
            )
        border = ((0, 0), (2, 2), (2, 2), (0, 0))
        train, test = (
            np.repeat(np.pad(images, border), CIFAR[2], axis=3)
            for images in (self.train_images, self.test_images)
        )
        return replace(self, train_images=train, test_images=test)


def open_images(folder: Path, classes: int = CLASSES) -> Images:
    """The data set that `save_images` wrote, memory-mapped and read-only.

    Raises:
        InputError: a file is missing, damaged, or not what `Images` allows.
    """
    mend = "remove the folder and run it again"
    arrays = {}
    for name in ARRAYS:
        path = folder / f"{name}.npy"
        try:
            arrays[name] = np.lib.format.open_memmap(path, mode="r")
        except FileNotFoundError:
            raise InputError(f"{path}: missing; {mend}") from None
        except (OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: damaged ({reason}); {mend}") from None
    try:
        return Images(**arrays, classes=classes)
    except InputError as error:
        raise InputError(f"{folder}/{error}; {mend}") from None


def save_images(folder: Path, images: Images) -> None:
    """Write the data set as `folder`, in place of what was there, whole or not at all.

    The bytes depend on the arrays only.
    """
    folder = folder.resolve()  # a link to another disk stays one
    new, old = (folder.with_name(f".{folder.name}.{state}.tmp") for state in ("new", "old"))
    _put_back(old, folder)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        for name in ARRAYS:
            np.save(new / f"{name}.npy", np.ascontiguousarray(getattr(images, name)))
        if folder.exists():
            os.replace(folder, old)  # a folder cannot be renamed onto one that has content
        os.replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        _put_back(old, folder)


def _put_back(old: Path, folder: Path) -> None:
    """Undo half a swap, or remove what a whole one has replaced."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(old, ignore_errors=True)
