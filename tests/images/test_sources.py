"""The other published data sets, from small files in their formats: over HTTP and from copies."""

import gzip
import hashlib
import io
import pickle
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray
from torchvision import datasets

from stages.base.errors import InputError
from stages.base.params import PublishedImages
from stages.images.arrays import ARRAYS, Images, open_images
from stages.images.sources import Archive, Files, Published, published
from stages.images.stored import Place, download

TRAIN, TEST = 12, 5
RANDOM = np.random.default_rng(0)
NAMES = ["cifar100", "fashion_mnist", "mnist", "svhn"]


def drawn(*shape: int, below: int = 256) -> NDArray[np.uint8]:
    return RANDOM.integers(below, size=shape, dtype=np.uint8)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()))


def write_mnist(folder: Path) -> None:
    for split, count in (("train", TRAIN), ("t10k", TEST)):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", drawn(count, 28, 28))
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", drawn(count, below=10))


def write_svhn(folder: Path) -> None:
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = np.arange(count, dtype=np.uint8)[:, None] % 10 + 1
        content = {"X": drawn(32, 32, 3, count), "y": labels}
        scipy.io.savemat(folder / f"{split}_32x32.mat", content)


def write_cifar100(folder: Path) -> None:
    inner = folder / "unpacked" / "cifar-100-python"
    inner.mkdir(parents=True)
    for split, count in (("train", TRAIN), ("test", TEST)):
        batch = {
            "data": drawn(count, 3072),
            "fine_labels": [99, *drawn(count - 1, below=100).tolist()],
            "coarse_labels": drawn(count, below=20).tolist(),
        }
        (inner / split).write_bytes(pickle.dumps(batch, protocol=2))
    (inner / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(i) for i in range(100)]}))
    with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as tar:
        tar.add(inner, "cifar-100-python")


WRITERS = {
    "cifar100": write_cifar100,
    "fashion_mnist": write_mnist,
    "mnist": write_mnist,
    "svhn": write_svhn,
}


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Case:
    """A small data set in its published form: served, and as a copy on disk."""

    name: str
    folder: Path
    data: Published
    reader: Any  # torchvision's, that knows the MD5s of the small files

    def place(self, root: Path) -> Place:
        return Place(root, self.name, PublishedImages.model_validate({"source": self.name}))

    def theirs(self, root: Path, train: bool) -> Any:
        """What torchvision reads of the same files."""
        below = self.data.below if isinstance(self.data, Files) else "."
        shutil.copytree(self.folder, root / below, dirs_exist_ok=True)
        split = {"split": "train" if train else "test"} if self.name == "svhn" else {"train": train}
        return self.reader(root, download=True, **split)


@pytest.fixture(scope="module", params=NAMES)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    name, folder = request.param, tmp_path_factory.mktemp("published")
    WRITERS[name](folder)
    known = {"cifar100": datasets.CIFAR100, "svhn": datasets.SVHN}
    known |= {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}
    official = published(name)
    files = tuple(replace(file, md5=md5(folder / file.name)) for file in official.files)
    data: Published
    if isinstance(official, Archive):
        inner = folder / "unpacked" / official.folder
        train, test = {"train": md5(inner / "train")}, {"test": md5(inner / "test")}
        data = replace(official, file=files[0], train=train, test=test)
        sums: dict[str, Any] = {
            "tgz_md5": files[0].md5,
            "train_list": list(train.items()),
            "test_list": list(test.items()),
            "meta": datasets.CIFAR100.meta | {"md5": md5(inner / "meta")},
        }
    else:
        assert isinstance(official, Files)
        sums = {"resources": [(file.name, file.md5) for file in files]}
        if name == "svhn":
            lists = zip(("train", "test"), files, strict=True)
            sums = {"split_list": {split: [f.url, f.name, f.md5] for split, f in lists}}
        reader = type(official.reader.__name__, (official.reader,), sums)
        data = replace(official, files=files, reader=reader)
    handler = partial(Quiet, directory=str(folder))
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{http.server_port}"
    served = data.at(f"{url}/{files[0].name}" if isinstance(data, Archive) else f"{url}/")
    yield Case(name, folder, served, type(known[name].__name__, (known[name],), sums))
    http.shutdown()
    http.server_close()
    thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def bring(case: Case, root: Path, copy: Path | None = None) -> Images:
    return download(case.data, copy, case.place(root), io.StringIO(), [])


def refused(case: Case, root: Path, copy: Path | None) -> str:
    with pytest.raises(InputError) as error:
        bring(case, root, copy)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_arrays_are_those_that_torchvision_reads(case: Case, tmp_path: Path) -> None:
    bring(case, tmp_path)
    ours = open_images(tmp_path / case.name, case.data.classes)
    assert ours.shape == PublishedImages.model_validate({"source": case.name}).shape
    for train, images, labels in (
        (True, ours.train_images, ours.train_labels),
        (False, ours.test_images, ours.test_labels),
    ):
        theirs = case.theirs(tmp_path / f"theirs-{train}", train)
        assert len(theirs) == (TRAIN if train else TEST)
        for i in range(len(theirs)):
            picture, label = theirs[i]
            pixels = np.asarray(picture)
            assert np.array_equal(images[i], pixels.reshape(images.shape[1:]))
            assert labels[i] == label


def test_the_bytes_are_the_same_from_every_origin(case: Case, tmp_path: Path) -> None:
    bring(case, tmp_path / "network")
    copies = [case.folder]
    if isinstance(case.data, Archive):
        copies += [case.folder / case.data.file.name, case.folder / "unpacked"]
    else:
        assert isinstance(case.data, Files)
        shutil.copytree(case.folder, tmp_path / "root" / case.data.below, dirs_exist_ok=True)
        copies += [tmp_path / "root"]
    for i, copy in enumerate(copies):
        bring(case, tmp_path / str(i), copy)
        for name in ARRAYS:
            file = Path(case.name, f"{name}.npy")
            assert (tmp_path / str(i) / file).read_bytes() == (
                tmp_path / "network" / file
            ).read_bytes()


def test_a_damaged_file_is_named_and_nothing_is_written(case: Case, tmp_path: Path) -> None:
    file = case.data.files[-1]
    (tmp_path / "copy").mkdir()
    for each in case.data.files:
        shutil.copy(case.folder / each.name, tmp_path / "copy")
    damaged = tmp_path / "copy" / file.name
    damaged.write_bytes(damaged.read_bytes()[:-1])
    message = refused(case, tmp_path, tmp_path / "copy")
    assert message.startswith(f"{case.name.upper()}_SOURCE: {damaged}: MD5 ")
    damaged.unlink()
    message = refused(case, tmp_path, tmp_path / "copy")
    assert str(tmp_path / "copy") in message
    assert file.name in message
    assert not (tmp_path / case.name).exists()


def test_a_file_that_is_not_there_says_what_to_do(case: Case, tmp_path: Path) -> None:
    address = f"{case.data.files[0].url}/nowhere"
    gone = replace(case, data=case.data.at(address))
    message = refused(gone, tmp_path, None)
    assert message.startswith(address)
    assert "cannot be had (HTTP 404" in message
    assert f"or set {case.name.upper()}_SOURCE to an existing {case.data.forms}" in message


def test_a_file_on_the_network_that_is_another_is_removed(case: Case, tmp_path: Path) -> None:
    last = case.data.files[-1]
    other = replace(last, md5="0" * 32)
    if isinstance(case.data, Archive):
        data: Published = replace(case.data, file=other)
    else:
        assert isinstance(case.data, Files)
        data = replace(case.data, files=(*case.data.files[:-1], other))
    message = refused(replace(case, data=data), tmp_path, None)
    assert message.startswith(f"{last.url}: {tmp_path}/{case.name}.part/{last.name}: MD5 ")
    kept = {file.name for file in case.data.files[:-1]}  # for the next attempt
    assert {path.name for path in (tmp_path / f"{case.name}.part").iterdir()} == kept
    bring(case, tmp_path)
    assert not (tmp_path / f"{case.name}.part").exists()


def test_every_source_of_params_is_published() -> None:
    for name in get_args(PublishedImages.model_fields["source"].annotation):
        data = published(name)
        assert data.classes == PublishedImages(source=name).classes
        assert all(len(file.md5) == 32 for file in data.files)
        assert all(file.url.endswith(file.name) for file in data.files)
