"""Stage `download`: CIFAR-10 as the arrays of `stages.cnn.images`, in data/cifar10.

The official archive (170 MB) comes from its official address. An interrupted transfer goes on
where it stopped when the stage runs again. Two environment variables change where from:

  CIFAR10_SOURCE  an existing copy instead of the network: cifar-10-python.tar.gz, a folder
                  cifar-10-batches-py, or a folder that holds either
  CIFAR10_URL     another address of the archive, such as a mirror

Archive and files must have the MD5s that torchvision knows, and the arrays are the same bytes
whatever the origin. On any failure data/cifar10 stays as it was.
"""

import argparse
import hashlib
import os
import pickle
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from stages import errors
from stages.cnn.images import IMAGE, Images, save_images
from stages.errors import InputError
from stages.transfer import PAUSES, fetch

OUTPUT = Path("data/cifar10")
PARTIAL = Path("data/cifar-10-python.tar.gz.part")


@dataclass(frozen=True)
class Archive:
    """An archive in the layout of CIFAR-10's, with the MD5s (hex) of it and of its files."""

    url: str
    name: str
    md5: str
    folder: str
    train: dict[str, str]  # file name: MD5
    test: dict[str, str]


def official() -> Archive:
    """CIFAR-10 as torchvision knows it."""
    from torchvision.datasets import CIFAR10  # seconds to import, as it brings torch

    return Archive(
        CIFAR10.url,
        CIFAR10.filename,
        CIFAR10.tgz_md5,
        CIFAR10.base_folder,
        dict(CIFAR10.train_list),
        dict(CIFAR10.test_list),
    )


def download(
    archive: Archive,
    source: Path | None,
    output: Path,
    partial: Path,
    log: TextIO,
    pauses: Iterable[float] = PAUSES,
) -> Images:
    """Write the images as `output`, from `source` or else from the archive's address.

    `source` is the archive, its folder, or a folder that holds either. `partial` keeps what has
    come over the network until `output` is there; `log` gets the progress, and `pauses` are the
    seconds before each further attempt after a cut.

    Raises:
        InputError: the transfer failed, a file is missing or has another MD5, or `output` cannot
            be written. `output` is as before.
    """
    try:
        if source is not None:
            images = _from_source(archive, source)
        else:
            images = _from_network(archive, partial, log, pauses)
        save_images(output, images)
        partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{output}: not written ({error})") from None
    return images


def _from_network(archive: Archive, partial: Path, log: TextIO, pauses: Iterable[float]) -> Images:
    if not partial.exists() or _md5(partial) != archive.md5:
        try:
            fetch(archive.url, partial, log, pauses)
        except InputError as error:
            raise InputError(
                f"{error}; check the network and run it again (it goes on where it stopped), "
                f"or set CIFAR10_SOURCE to an existing {archive.name} or {archive.folder} folder"
            ) from None
    try:
        return _from_archive(archive, partial)
    except InputError as error:
        partial.unlink()
        raise InputError(f"{archive.url}: {error}; removed it, run it again") from None


def _from_source(archive: Archive, source: Path) -> Images:
    names = archive.train | archive.test
    try:
        for folder in (source, source / archive.folder):
            if any((folder / name).is_file() for name in names):
                return _from_folder(archive, folder)
        for path in (source, source / archive.name):
            if path.is_file():
                return _from_archive(archive, path)
        state = "holds no" if source.exists() else "does not exist; it must be a"
        raise InputError(f"{source}: {state} {archive.name} or {archive.folder} folder")
    except InputError as error:
        raise InputError(f"CIFAR10_SOURCE: {error}; mend it, or unset it to download") from None


def _from_folder(archive: Archive, folder: Path) -> Images:
    paths = [folder / name for name in archive.train | archive.test]
    return _images(archive, {p.name: p.read_bytes() for p in paths if p.is_file()}, folder)


def _from_archive(archive: Archive, path: Path) -> Images:
    if (found := _md5(path)) != archive.md5:
        raise InputError(f"{path}: MD5 {found}, not {archive.md5}: damaged, or another file")
    files = {}
    with tarfile.open(path, "r|gz") as tar:  # in one pass: going back decompresses again
        for member in tar:
            folder, _, name = member.name.rpartition("/")
            content = tar.extractfile(member)
            if content and folder == archive.folder and name in archive.train | archive.test:
                files[name] = content.read()
    return _images(archive, files, path)


def _images(archive: Archive, files: dict[str, bytes], where: Path) -> Images:
    arrays: dict[str, Any] = {}
    for split, names in (("train", archive.train), ("test", archive.test)):
        batches = [_unpickle(files.get(name), md5, where / name) for name, md5 in names.items()]
        height, width, channels = IMAGE
        planes = np.concatenate([batch["data"] for batch in batches])
        images = planes.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        labels = np.concatenate([batch["labels"] for batch in batches])
        arrays |= {f"{split}_images": images, f"{split}_labels": labels.astype(np.uint8)}
    return Images(**arrays)


def _unpickle(content: bytes | None, md5: str, where: Path) -> dict[str, Any]:
    if content is None:
        raise InputError(f"{where}: missing")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:  # a pickle runs code: none is opened that is not the known one
        raise InputError(f"{where}: MD5 {found}, not {md5}: damaged, or another file")
    batch: dict[str, Any] = pickle.loads(content, encoding="latin1")  # written by Python 2
    return batch


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    archive = official()
    archive = replace(archive, url=os.environ.get("CIFAR10_URL") or archive.url)
    source = os.environ.get("CIFAR10_SOURCE")
    images = download(
        archive, Path(source).expanduser() if source else None, OUTPUT, PARTIAL, sys.stderr
    )
    print(f"{len(images.train_images):,} training and {len(images.test_images):,} test images")


if __name__ == "__main__":
    errors.run(main)
