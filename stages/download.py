"""Stage `download`: the images of `data.source` as arrays, in data/<source>.

Generated ones (`manifold`) need no network. A published data set (CIFAR-10 has 170 MB) comes from
its official address. An interrupted transfer goes on where it stopped when the stage runs again,
and what is there already, whole, is not fetched again. Two environment variables change where from,
here for CIFAR-10; for other data sets they are MNIST_SOURCE and so on:

  CIFAR10_SOURCE  an existing copy instead of the network: the published files (for CIFAR,
                  packed or unpacked), or the folder in which torchvision has put them
  CIFAR10_URL     another address, such as a mirror: of the archive, or of the folder that holds
                  the files where there are several

The files must have the MD5s that torchvision knows, and the arrays are the same bytes whatever the
origin. On any failure data/<source> stays as it was.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from stages.base import errors, params
from stages.base.errors import InputError
from stages.images import generated as manifold
from stages.images.arrays import ARRAYS, Images, open_images, save_images
from stages.images.sources import File, Published, published
from stages.images.transfer import PAUSES, fetch

DATA = Path("data")


@dataclass(frozen=True)
class Place:
    """Where a data set goes, below one folder, and what the environment says of it."""

    root: Path
    source: str

    @property
    def output(self) -> Path:
        """The arrays."""
        return self.root / self.source

    @property
    def partial(self) -> Path:
        """What has come over the network, until the arrays are there."""
        return self.root / f"{self.source}.part"

    @property
    def record(self) -> Path:
        """What the arrays were made of, and their MD5s."""
        return self.root / f"{self.source}.json"

    @property
    def variables(self) -> tuple[str, str]:
        """The environment variables that name a copy and an address."""
        return f"{self.source.upper()}_SOURCE", f"{self.source.upper()}_URL"


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
        if not copy and (images := _there(data, place)):
            return images
        images = _copied(data, copy, place) if copy else _fetched(data, place, log, pauses)
        save_images(place.output, images)
        place.record.write_text(_record(data, place.output))
        shutil.rmtree(place.partial, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{place.output}: not written ({error})") from None
    return images


def _there(data: Published, place: Place) -> Images | None:
    """The arrays, if they are still those that were made of these files."""
    try:
        whole = place.record.read_text() == _record(data, place.output)
    except (OSError, UnicodeDecodeError):
        return None
    return open_images(place.output, data.classes) if whole else None


def _record(data: Published, output: Path) -> str:
    arrays = {}
    for name in ARRAYS:
        with (output / f"{name}.npy").open("rb") as file:
            arrays[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps({"made_of": {f.name: f.md5 for f in data.files}, "arrays": arrays}, indent=2)


def _fetched(data: Published, place: Place, log: TextIO, pauses: Iterable[float]) -> Images:
    for file in data.files:
        _fetch(file, place, f"{place.variables[0]} to an existing {data.forms}", log, pauses)
    return data.read(place.partial)


def _fetch(file: File, place: Place, instead: str, log: TextIO, pauses: Iterable[float]) -> None:
    path = place.partial / file.name
    try:
        return file.check(path)
    except (FileNotFoundError, InputError):
        pass
    try:
        fetch(file.url, path, log, pauses)
    except InputError as error:
        raise InputError(
            f"{error}; check the network and run it again (it goes on where it stopped), "
            f"or set {instead}"
        ) from None
    try:
        file.check(path)
    except InputError as error:
        path.unlink()
        raise InputError(f"{file.url}: {error}; removed it, run it again") from None


def _copied(data: Published, copy: Path, place: Place) -> Images:
    try:
        if images := data.find(copy):
            return images
        state = "holds no" if copy.exists() else "does not exist; it must be a"
        raise InputError(f"{copy}: {state} {data.forms}")
    except InputError as error:
        variable = place.variables[0]
        raise InputError(f"{variable}: {error}; mend it, or unset it to download") from None


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    p = params.load()
    place = Place(DATA, p.data.source)
    if p.data.source == "manifold":
        images = manifold.images(p.manifold)
        save_images(place.output, images)
    else:
        data = published(p.data.source)
        copy, address = (os.environ.get(name) for name in place.variables)
        if address:
            data = data.at(address)
        try:
            source = Path(copy).expanduser() if copy else None
        except RuntimeError:  # ~ of someone who is not known here
            raise InputError(f"{place.variables[0]}: {copy}: no such home folder") from None
        images = download(data, source, place, sys.stderr)
    print(f"{len(images.train_images):,} training and {len(images.test_images):,} test images")


if __name__ == "__main__":
    errors.run(main)
