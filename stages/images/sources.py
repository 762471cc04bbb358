"""The published data sets: their files, and how these become the arrays of `stages.images.arrays`.

Addresses, names and MD5s are those that torchvision knows; nothing is opened that has another MD5.
All come out as uint8: 32x32x3, and MNIST and Fashion-MNIST, which are grey, 28x28x1.
"""

import hashlib
import pickle
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.base import files
from stages.base.errors import InputError
from stages.base.params.images import CIFAR
from stages.images.arrays import CLASSES, Images

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class File:
    """A published file: where it lies, and its MD5 (hex)."""

    url: str
    name: str
    md5: str

    def check(self, path: Path) -> None:
        """Raise an InputError unless `path` is this file."""
        _compare(files.digest(path), self.md5, path)


def _compare(found: str, wanted: str, where: Path) -> None:
    if found != wanted:
        raise InputError(f"{where}: MD5 {found}, not {wanted}: damaged, or another file")


@dataclass(frozen=True)
class Archive:
    """An archive in the layout of CIFAR-10's and CIFAR-100's: a folder of pickled batches."""

    file: File
    folder: str
    train: dict[str, str]  # file name: MD5
    test: dict[str, str]
    classes: int

    @classmethod
    def of(cls, known: Any, classes: int) -> "Archive":
        """What the class `known` of torchvision says of it."""
        file = File(known.url, known.filename, known.tgz_md5)
        lists = dict(known.train_list), dict(known.test_list)
        return cls(file, known.base_folder, *lists, classes)

    @property
    def files(self) -> tuple[File, ...]:
        """What has to be fetched."""
        return (self.file,)

    @property
    def forms(self) -> str:
        """The copies of it that `find` takes, in words."""
        return f"{self.file.name} or {self.folder} folder"

    def at(self, url: str) -> "Archive":
        """The archive as it is fetched from another address."""
        return replace(self, file=replace(self.file, url=url))

    def read(self, folder: Path) -> Images:
        """The images of a folder that holds the archive, which has been checked."""
        path = folder / self.file.name
        batches = {}
        with tarfile.open(path, "r|gz") as tar:  # in one pass: going back decompresses again
            for member in tar:
                inside, _, name = member.name.rpartition("/")
                content = tar.extractfile(member)
                if content and inside == self.folder and name in self.train | self.test:
                    batches[name] = content.read()
        return self._images(batches, path)

    def find(self, copy: Path) -> Images | None:
        """The images of a copy on disk, or None where there is none.

        Raises:
            InputError: a file is missing or has another MD5.
        """
        for folder in (copy, copy / self.folder):
            paths = [folder / name for name in self.train | self.test]
            if found := {p.name: p.read_bytes() for p in paths if p.is_file()}:
                return self._images(found, folder)
        for path in (copy, copy / self.file.name):
            if path.is_file():
                self.file.check(path)
                return replace(self, file=replace(self.file, name=path.name)).read(path.parent)
        return None

    def _images(self, batches: dict[str, bytes], where: Path) -> Images:
        def split(names: dict[str, str]) -> tuple[UInt8, UInt8]:
            for name, md5 in names.items():  # a pickle runs code: only the known ones are opened
                if name not in batches:
                    raise InputError(f"{where / name}: missing")
                found = hashlib.md5(batches[name], usedforsecurity=False).hexdigest()
                _compare(found, md5, where / name)
            opened = [pickle.loads(batches[n], encoding="latin1") for n in names]  # by Python 2
            height, width, channels = CIFAR
            planes = np.concatenate([batch["data"] for batch in opened])
            key = "labels" if "labels" in opened[0] else "fine_labels"  # CIFAR-100's: not coarse
            labels = np.concatenate([batch[key] for batch in opened]).astype(np.uint8)
            return planes.reshape(-1, channels, height, width).transpose(0, 2, 3, 1), labels

        train, test = split(self.train), split(self.test)
        return Images(*train, *test, classes=self.classes)


@dataclass(frozen=True)
class Files:
    """Separate files that a class of torchvision reads from below a folder of its own."""

    files: tuple[File, ...]
    reader: Any
    below: str  # the folder, in the one that the reader is given
    splits: tuple[dict[str, Any], dict[str, Any]]  # how the reader is asked for train and test
    classes: int = CLASSES

    @classmethod
    def from_mnist(cls, known: Any) -> "Files":
        """MNIST, or what follows its format."""
        files = [File(known.mirrors[0] + name, name, md5) for name, md5 in known.resources]
        below = f"{known.__name__}/raw"
        return cls(tuple(files), known, below, ({"train": True}, {"train": False}))

    @classmethod
    def from_svhn(cls, known: Any) -> "Files":
        """SVHN, its extra training images left out."""
        splits = {"split": "train"}, {"split": "test"}
        files = [File(*known.split_list[split["split"]]) for split in splits]
        return cls(tuple(files), known, ".", splits)

    @property
    def forms(self) -> str:
        """The copies of it that `find` takes, in words."""
        return f"folder with {' and '.join(file.name for file in self.files)}"

    def at(self, url: str) -> "Files":
        """The files as they are fetched from another folder's address."""
        base = url.rstrip("/")
        moved = [replace(file, url=f"{base}/{file.name}") for file in self.files]
        return replace(self, files=tuple(moved))

    def read(self, folder: Path) -> Images:
        """The images of a folder that holds the files, which have been checked."""
        with TemporaryDirectory() as root:
            there = Path(root, self.below)
            there.mkdir(parents=True, exist_ok=True)
            for file in self.files:
                (there / file.name).symlink_to((folder / file.name).resolve())
            # the files lie where it would download them to: it unpacks and reads them
            train, test = (_arrays(self.reader(root, download=True, **s)) for s in self.splits)
            return Images(*train, *test)

    def find(self, copy: Path) -> Images | None:
        """The images of a copy on disk, or None where there is none; raises as `Archive.find`."""
        for folder in (copy, copy / self.below):
            paths = {file: folder / file.name for file in self.files}
            if any(path.is_file() for path in paths.values()):
                for file, path in paths.items():
                    if not path.is_file():
                        raise InputError(f"{path}: missing")
                    file.check(path)
                return self.read(folder)
        return None


Published = Archive | Files
"""A data set in its published form."""


def _arrays(read: Any) -> tuple[UInt8, UInt8]:
    """Images and labels as torchvision has read them: grey (n, 28, 28), or (n, 3, 32, 32)."""
    images = np.asarray(read.data)
    labels = np.asarray(read.targets if images.ndim == 3 else read.labels).astype(np.uint8)
    return (images[..., None] if images.ndim == 3 else images.transpose(0, 2, 3, 1)), labels


def published(source: str) -> Published:
    """The data set that params.yaml calls `source`."""
    from torchvision import datasets  # seconds to import, as it brings torch

    known: dict[str, Published] = {
        "cifar10": Archive.of(datasets.CIFAR10, 10),
        "cifar100": Archive.of(datasets.CIFAR100, 100),
        "mnist": Files.from_mnist(datasets.MNIST),
        "fashion_mnist": Files.from_mnist(datasets.FashionMNIST),
        "svhn": Files.from_svhn(datasets.SVHN),
    }
    return known[source]
