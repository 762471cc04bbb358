"""The images on disk as a training process opens them: four memory-mapped uint8 arrays.

CIFAR-10 is 184 MB; opening it takes milliseconds and reads next to nothing.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.base.errors import InputError

IMAGE = (32, 32, 3)
CLASSES = 10
"""Kinds of label of CIFAR-10 and, unless said otherwise, of any data set."""
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, eq=False)
class Images:
    """A data set: images of shape (n, 32, 32, 3) and labels of shape (n,), all uint8.

    Raises:
        InputError: an array has another type or shape, is empty, or does not fit its partner.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    classes: int = CLASSES

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            for name, array, shape in (("images", images, IMAGE), ("labels", labels, ())):
                if array.dtype != np.uint8 or array.ndim == 0 or array.shape[1:] != shape:
                    allowed = ", ".join(str(size) for size in ("n", *shape))
                    raise InputError(
                        f"{split}_{name}.npy: {array.dtype} of shape {array.shape}, "
                        f"not uint8 of shape ({allowed})"
                    )
            if len(images) != len(labels) or len(images) == 0:
                raise InputError(
                    f"{split}_labels.npy: {len(labels)} labels for {len(images)} images, "
                    "not one for each"
                )
            if labels.max() >= self.classes:
                raise InputError(
                    f"{split}_labels.npy: label {labels.max()}, not in 0..{self.classes - 1}"
                )


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
