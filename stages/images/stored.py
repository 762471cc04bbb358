"""Where the images of params.yaml lie, and the record by which git knows them.

The arrays of `images.<name>` lie in data/<name>/, which git ignores and DVC does not know.
data/<name>.json, in git, says what they are made of and has the MD5 of each. What reads images
depends on the record and opens them by `stored`, which holds them against it, and fetches or makes
them first where they are not here: so a clone lacks nothing until a stage reads images.

A published data set comes from its official address, and an interrupted transfer goes on where it
stopped. Two environment variables change where from, here for CIFAR-10 (170 MB):

  CIFAR10_SOURCE  an existing copy: the published files (for CIFAR, packed or unpacked), or the
                  folder in which torchvision has put them
  CIFAR10_URL     another address: of the archive, or of the folder that holds several files

Images of one's own are copied from their folder (`stages.images.folder`), which no record names.

The files must have the MD5s that torchvision knows, and the arrays are the same bytes whatever the
origin. On any failure data/<name> stays as it was.
"""

import json
import math
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from filelock import FileLock

from stages.base import files, workspace
from stages.base.errors import InputError, remedy
from stages.base.params import FolderImages, ImageSet, Manifold
from stages.images import folder, generated
from stages.images.arrays import ARRAYS, Images, open_images, save_images
from stages.images.sources import Published, published
from stages.images.transfer import PAUSES, fetch

DATA = Path("data")


@dataclass(frozen=True)
class Place:
    """Where images go, below one folder, and what the environment says of them."""

    root: Path
    name: str
    settings: ImageSet

    @property
    def output(self) -> Path:
        """The folder of the arrays."""
        return self.root / self.name

    @property
    def partial(self) -> Path:
        """What has come over the network, until the arrays are there."""
        return self.root / f"{self.name}.part"

    @property
    def record(self) -> Path:
        """What the arrays were made of, and their MD5s."""
        return self.root / f"{self.name}.json"

    @property
    def variables(self) -> tuple[str, str]:
        """The environment variables that name a copy and an address."""
        source = self.settings.source.upper()
        return f"{source}_SOURCE", f"{source}_URL"

    @property
    def lock(self) -> FileLock:
        """Held by the one process that fetches or makes the arrays."""
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / f".{self.name}.lock.tmp")


def stored(name: str, settings: ImageSet, root: Path = DATA, log: TextIO = sys.stderr) -> Images:
    """The images that the record of `name` is of: opened, or fetched or made where they are absent.

    An experiment in a copy of the working tree opens those of the working tree.

    Raises:
        InputError: there is no record, it is of other settings, or they cannot be had.
    """
    place = Place(root, name, settings)
    try:
        recorded = json.loads(place.record.read_text(encoding="utf-8"))
        size = sum(math.prod(array["shape"]) for array in recorded["arrays"].values())  # of uint8
        fault = "" if recorded["origin"] == settings.origin else "made with other params"
    except FileNotFoundError:
        fault = "missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        fault = "damaged"
    if fault:
        raise InputError(f"{place.record}: {fault}; {remedy(place.record)}")
    there = replace(place, root=workspace.working_tree() / root)
    if _are(there, recorded):
        place = there
    elif not _are(place, recorded):
        with place.lock:
            if not _are(place, recorded):
                workspace.see_free(root, workspace.COPIES * size)
                _make(place, log)
                if not _are(place, recorded):
                    raise InputError(
                        f"{place.output}: not the images that {place.record} is of; if they are "
                        f"what you want, {remedy(place.record)}"
                    )
    images = open_images(place.output, settings.classes)
    if isinstance(settings, Manifold):
        return replace(images, made=partial(generated.Made, settings))
    return images


def record(name: str, settings: ImageSet, root: Path = DATA, log: TextIO = sys.stderr) -> Images:
    """Fetch or make images, and write their record.

    Raises:
        InputError: they cannot be had; what was there is as before.
    """
    place = Place(root, name, settings)
    with place.lock:
        images = _make(place, log)
        write_record(place)
    return images


def _make(place: Place, log: TextIO) -> Images:
    settings = place.settings
    if isinstance(settings, Manifold):
        return _saved(generated.images(settings), place)
    if isinstance(settings, FolderImages):
        lies = folder.place(settings)
        if place.output.resolve() in (lies, *lies.parents):
            raise InputError(
                f"images.{place.name}.folder: {settings.folder} is where the arrays are written; "
                "move the images elsewhere"
            )
        return _saved(folder.read(settings), place)
    data = published(settings.source)
    copy, address = (os.environ.get(name) for name in place.variables)
    if address:
        data = data.at(address)
    try:
        source = Path(copy).expanduser() if copy else None
    except RuntimeError:  # ~ of someone who is not known here
        raise InputError(f"{place.variables[0]}: {copy}: no such home folder") from None
    return download(data, source, place, log)


def download(
    data: Published,
    copy: Path | None,
    place: Place,
    log: TextIO,
    pauses: Iterable[float] = PAUSES,
) -> Images:
    """Write the images of a published data set, from `copy` or else from their address.

    `log` gets the progress, and `pauses` are the seconds before each further attempt after a cut.

    Raises:
        InputError: the transfer failed, a file is missing or has another MD5, or the arrays cannot
            be written. They are as before.
    """
    try:
        images = _copied(data, copy, place) if copy else _fetched(data, place, log, pauses)
    except OSError as error:
        raise InputError(f"{place.output}: not written ({error})") from None
    _saved(images, place)
    shutil.rmtree(place.partial, ignore_errors=True)
    return images


def _saved(images: Images, place: Place) -> Images:
    try:
        save_images(place.output, images)
    except OSError as error:
        raise InputError(f"{place.output}: not written ({error})") from None
    return images


def write_record(place: Place) -> None:
    """Write what the arrays that lie there are; a record that says so in another order stays.

    Training depends on its bytes.
    """
    made = {"origin": place.settings.origin, "arrays": _arrays(place.output)}
    try:
        same = json.loads(place.record.read_text(encoding="utf-8")) == made
    except (OSError, ValueError):
        same = False
    if not same:
        files.write(place.record, json.dumps(made, indent=1) + "\n")


def _are(place: Place, recorded: dict[str, Any]) -> bool:
    """Whether the arrays that lie there are those that are recorded."""
    try:
        return bool(_arrays(place.output) == recorded["arrays"])
    except (OSError, ValueError, EOFError):
        return False


def _arrays(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for name in ARRAYS:
        path = folder / f"{name}.npy"
        array = np.lib.format.open_memmap(path, mode="r")
        shape, dtype = list(array.shape), str(array.dtype)
        found[name] = {"shape": shape, "dtype": dtype, "md5": files.digest(path)}
    return found


def _fetched(data: Published, place: Place, log: TextIO, pauses: Iterable[float]) -> Images:
    for file in data.files:
        path = place.partial / file.name
        with suppress(FileNotFoundError, InputError):
            file.check(path)
            continue
        try:
            fetch(file.url, path, log, pauses)
        except InputError as error:
            raise InputError(
                f"{error}; check the network and run it again (it goes on where it stopped), "
                f"or set {place.variables[0]} to an existing {data.forms}"
            ) from None
        try:
            file.check(path)
        except InputError as error:
            path.unlink()
            raise InputError(f"{file.url}: {error}; removed it, run it again") from None
    return data.read(place.partial)


def _copied(data: Published, copy: Path, place: Place) -> Images:
    try:
        if images := data.find(copy):
            return images
        state = "holds no" if copy.exists() else "does not exist; it must be a"
        raise InputError(f"{copy}: {state} {data.forms}")
    except InputError as error:
        variable = place.variables[0]
        raise InputError(f"{variable}: {error}; mend it, or unset it to download") from None
