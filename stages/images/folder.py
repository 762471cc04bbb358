"""Images of one's own: a folder of four arrays, or one of pictures by class.

    train_images.npy   uint8 (n, rows, columns, channels), or (n, rows, columns) where grey
    train_labels.npy   whole numbers from 0, (n,)
    test_images.npy, test_labels.npy

or

    train/<class>/<any name>.png, test/<class>/<any name>.png

where the classes are numbered in the order of their names, and a picture is any that Pillow opens.
Nothing is scaled, cropped or converted: what does not fit is refused.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.base import workspace
from stages.base.errors import InputError
from stages.base.params import FolderImages
from stages.base.params.images import MOST, sizes
from stages.images.arrays import ARRAYS, Images

MODES = ("L", "LA", "RGB", "RGBA")
"""Pillow's names for pictures whose channels are bytes: grey and colours, without and with
transparency."""
UInt8 = NDArray[np.uint8]


def read(settings: FolderImages) -> Images:
    """The images of a folder, as params.yaml describes them.

    Raises:
        InputError: the folder or a file is missing or damaged, or not what the params say.
    """
    folder = place(settings)
    try:
        files = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; name the folder of your images") from None
    if {f"{name}.npy" for name in ARRAYS} & files:
        arrays: dict[str, Any] = _of_arrays(folder, settings)
    elif {"train", "test"} <= files:
        arrays = _of_pictures(folder, settings)
    else:
        named = ", ".join(f"{name}.npy" for name in ARRAYS)
        raise InputError(f"{folder}: neither {named} nor train/<class>/ and test/<class>/ in it")
    try:
        images = Images(**arrays, classes=settings.classes)
    except InputError as error:
        raise InputError(f"{folder}/{error}") from None
    if images.shape != settings.shape:
        raise InputError(
            f"{folder}: images of {sizes(images.shape)}, and params.yaml says {_said(settings)}"
        )
    if absent := {*range(settings.classes)} - {*np.unique(images.train_labels).tolist()}:
        raise InputError(
            f"{folder}: no training image of class {min(absent)}; params.yaml says "
            f"{settings.classes} classes, numbered from 0"
        )
    return images


def place(settings: FolderImages) -> Path:
    """Where the images lie: from the working tree on, unless it says otherwise."""
    return (workspace.working_tree() / os.path.expanduser(settings.folder)).resolve()


def _said(settings: FolderImages) -> str:
    return f"{sizes(settings.shape)} (rows, columns, channels)"


def _of_arrays(folder: Path, settings: FolderImages) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name in ARRAYS:
        path = folder / f"{name}.npy"
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # whatever NumPy makes of a damaged header
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise InputError(f"{path}: cannot be read ({reason}); save it by numpy.save") from None
        if name.endswith("images"):
            arrays[name] = array[..., None] if array.ndim == 3 else array
            continue
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise InputError(
                f"{path}: {array.dtype} of shape {array.shape}, not whole numbers of shape (n)"
            )
        if outside := [label for label in np.unique(array) if not 0 <= label < settings.classes]:
            raise InputError(f"{path}: label {outside[0]}, not in 0..{settings.classes - 1}")
        arrays[name] = array.astype(np.uint8)
    return arrays


def _of_pictures(folder: Path, settings: FolderImages) -> dict[str, NDArray[Any]]:
    found = {split: _visible(folder / split) for split in ("train", "test")}
    for split, classes in found.items():
        if len(classes) != settings.classes:
            raise InputError(
                f"{folder / split}: {len(classes)} folders, one a class, and params.yaml says "
                f"{settings.classes} classes"
            )
    train, test = ({path.name for path in classes} for classes in found.values())
    if odd := sorted(train ^ test):
        raise InputError(f"{folder}: class {odd[0]!r} is in train or in test alone")
    paths = {split: [*map(_visible, classes)] for split, classes in found.items()}
    for split, of_classes in paths.items():
        if (count := sum(map(len, of_classes))) > MOST:
            raise InputError(f"{folder / split}: {count:,} pictures, not {MOST:,} at most")
    arrays = [array for of_classes in paths.values() for array in _split(of_classes, settings)]
    return dict(zip(ARRAYS, arrays, strict=True))


def _split(paths: list[list[Path]], settings: FolderImages) -> tuple[UInt8, UInt8]:
    labels = np.repeat(np.arange(len(paths)), [len(of_class) for of_class in paths])
    pixels = np.empty((len(labels), *settings.shape), np.uint8)
    for place, path in zip(pixels, (path for of_class in paths for path in of_class), strict=True):
        place[:] = _picture(path, settings)
    return pixels, labels.astype(np.uint8)


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, by its name, without what systems hide there."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except NotADirectoryError:
        raise InputError(f"{folder}: no folder, and there must be one for each class") from None


def _picture(path: Path, settings: FolderImages) -> UInt8:
    try:
        with Image.open(path) as picture:
            mode, pixels = picture.mode, np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: no whole picture ({reason}); mend or remove it") from None
    if mode not in MODES:
        raise InputError(f"{path}: a picture of mode {mode}, not {', '.join(MODES)}; convert it")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape != settings.shape:
        raise InputError(f"{path}: {sizes(pixels.shape)}, and params.yaml says {_said(settings)}")
    return pixels
