"""The images on disk: what is written is opened again, and nothing else is."""

import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.base import files
from stages.base.errors import InputError
from stages.base.params import Manifold
from stages.base.params.images import MOST
from stages.classification import draws
from stages.images import stored
from stages.images.arrays import ARRAYS, Images, open_images, save_images
from tests.helpers.clone import Clone, isolated


def images(
    seed: int = 0, train: int = 40, test: int = 10, shape: tuple[int, ...] = (32, 32, 3)
) -> Images:
    rng = np.random.default_rng(seed)

    def draw(high: int, *shape: int) -> np.ndarray:
        return rng.integers(high, size=shape, dtype=np.uint8)

    return Images(
        draw(256, train, *shape), draw(10, train), draw(256, test, *shape), draw(10, test)
    )


def same(a: Images, b: Images) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A full disk, as far as one file can meet it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_saved_is_opened_memory_mapped_and_read_only(tmp_path: Path) -> None:
    saved = images()
    save_images(tmp_path / "data" / "cifar10", saved)
    opened = open_images(tmp_path / "data" / "cifar10")
    assert same(opened, saved)
    for name in ARRAYS:
        array = getattr(opened, name)
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable


def test_bytes_depend_on_the_values_only(tmp_path: Path) -> None:
    saved = images()
    planes = np.ascontiguousarray(saved.train_images.transpose(0, 3, 1, 2))
    other = replace(
        saved,
        train_images=planes.transpose(0, 2, 3, 1),
        test_images=np.asfortranarray(saved.test_images),
    )
    save_images(tmp_path / "a", saved)
    save_images(tmp_path / "b", other)
    for name in ARRAYS:
        name = f"{name}.npy"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_saving_replaces_the_folder_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    save_images(folder, images(0))
    (folder / "stray").touch()
    save_images(folder, images(1, train=7))
    assert same(open_images(folder), images(1, train=7))
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]
    assert not (folder / "stray").exists()


def test_a_folder_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for seed in (0, 1):
        save_images(tmp_path / "link", images(seed))
        assert same(open_images(tmp_path / "link"), images(seed))
    assert (tmp_path / "link").is_symlink()
    assert same(open_images(tmp_path / "disk"), images(1))


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    with files_of_at_most(50_000), pytest.raises(OSError, match="written"):
        save_images(folder, images(0))
    assert list(tmp_path.iterdir()) == []
    save_images(folder, images(0))
    with files_of_at_most(50_000), pytest.raises(OSError, match="written"):
        save_images(folder, images(1))
    assert same(open_images(folder), images(0))
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]


def test_a_kill_between_the_renames_is_undone_by_the_next_save(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    save_images(folder, images(0))
    folder.rename(tmp_path / ".cifar10.old.tmp")
    with pytest.raises(InputError, match="missing; remove the folder"):
        open_images(folder)
    with files_of_at_most(50_000), pytest.raises(OSError, match="written"):
        save_images(folder, images(1))
    assert same(open_images(folder), images(0))


def test_what_a_kill_after_the_renames_left_is_removed_by_the_next_save(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    save_images(tmp_path / ".cifar10.old.tmp", images(0))
    save_images(folder, images(1))
    save_images(tmp_path / ".cifar10.old.tmp", images(0))
    save_images(folder, images(2))
    assert same(open_images(folder), images(2))
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]


@pytest.mark.parametrize("name", ARRAYS)
def test_each_file_is_needed_and_whole(tmp_path: Path, name: str) -> None:
    save_images(tmp_path / "d", images())
    path = tmp_path / "d" / f"{name}.npy"
    whole = path.read_bytes()
    for damage in (whole[:-1], whole[:20], b"", b"not an array at all"):
        path.write_bytes(damage)
        with pytest.raises(InputError) as error:
            open_images(tmp_path / "d")
        assert str(error.value).startswith(f"{path}: damaged (")
        assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(InputError) as error:
        open_images(tmp_path / "d")
    assert str(error.value).startswith(f"{path}: missing; ")


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("train_images", np.zeros((40, 32, 32, 3), np.float32), "float32 of shape (40, 32, 32, 3)"),
        (
            "train_images",
            np.zeros((40, 32, 32), np.uint8),
            "not uint8 of shape (n, rows, columns, ch",
        ),
        ("test_images", np.zeros((10, 32, 32, 1), np.uint8), "of 32x32x1, not of 32x32x3 as in"),
        ("train_images", np.zeros((0, 32, 32, 3), np.uint8), "0 images of 32x32x3, not 1 to 131,"),
        ("train_images", np.zeros((40, 0, 32, 3), np.uint8), "40 images of 0x32x3, not 1 to"),
        ("test_images", np.zeros((32, 32, 3), np.uint8), "uint8 of shape (32, 32, 3)"),
        ("train_labels", np.zeros(40, np.int64), "int64 of shape (40,), not uint8 of shape (n)"),
        ("train_labels", np.zeros((40, 1), np.uint8), "uint8 of shape (40, 1)"),
        ("test_labels", np.uint8(3), "uint8 of shape ()"),
        ("train_labels", np.zeros(39, np.uint8), "39 labels for 40 images"),
        ("test_labels", np.full(10, 10, np.uint8), "label 10, not in 0..9"),
        ("test_labels", np.array([None] * 10), "damaged"),
    ],
)
def test_other_arrays_are_refused_in_one_line(
    tmp_path: Path, name: str, array: np.ndarray, says: str
) -> None:
    save_images(tmp_path / "d", images())
    path = tmp_path / "d" / f"{name}.npy"
    np.save(path, array)
    with pytest.raises(InputError) as error:
        open_images(tmp_path / "d")
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert message.endswith("remove the folder and run it again")
    assert "\n" not in message


@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 33, 5), (64, 64, 3)])
def test_images_of_any_shape_are_stored_as_they_are(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    saved = images(shape=shape)
    save_images(tmp_path / "d", saved)
    assert same(open_images(tmp_path / "d"), saved)
    assert saved.shape == shape


def test_an_order_holds_as_many_images_as_are_allowed() -> None:
    assert draws.MAX_IMAGES == MOST
    with pytest.raises(InputError, match="131,073 images of 1x1x1, not 1 to 131,072"):
        images(train=MOST + 1, shape=(1, 1, 1))


def test_the_network_cnn_sees_grey_images_of_mnist_in_a_black_border_and_three_like_channels() -> (
    None
):
    small = images(shape=(28, 28, 1))
    framed = small.for_cnn()
    assert framed.shape == (32, 32, 3)
    for channel in range(3):
        inner = framed.test_images[:, 2:30, 2:30, channel]
        assert np.array_equal(inner, small.test_images[..., 0])
    assert framed.train_images.sum(dtype=int) == 3 * small.train_images.sum(dtype=int)
    assert np.array_equal(framed.train_labels, small.train_labels)
    assert framed.for_cnn() is framed


def test_the_network_cnn_refuses_other_shapes_by_name() -> None:
    says = (
        "the network cnn takes images of 32x32x3, and grey ones of 28x28; these are of 64x64x3: "
        "choose another network"
    )
    with pytest.raises(InputError, match=f"^{says}$"):
        images(shape=(64, 64, 3)).for_cnn()


def test_the_hash_of_a_file_is_the_one_that_dvc_records(small_images: Path, tmp_path: Path) -> None:
    tree = Clone(tmp_path / "tree", isolated(tmp_path))
    name = f"{ARRAYS[0]}.npy"
    tree.root.mkdir()
    shutil.copy(small_images / name, tree.root)
    tree.run("git", "init", "--quiet")
    tree.run("dvc", "init", "--quiet")
    tree.run("dvc", "add", "--quiet", name)
    assert f"md5: {files.digest(tree.root / name)}\n" in (tree.root / f"{name}.dvc").read_text()


@pytest.mark.parametrize("renamed", [0, 1])
def test_an_interrupt_of_the_swap_leaves_the_images_that_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    folder, left = tmp_path / "images", [renamed]
    save_images(folder, images(seed=0))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rename = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if left == [0]:
            left.clear()  # putting back is not interrupted
            raise KeyboardInterrupt
        if left:
            left[0] -= 1
        rename(source, target)

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_images(folder, images(seed=1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


def test_a_record_that_says_the_same_in_another_order_stays_as_it_is(tmp_path: Path) -> None:
    settings = Manifold(dimension=2, seed=0, patches=3, train=8, test=4)
    place = stored.Place(tmp_path, "m", settings)
    save_images(place.output, images(0))
    stored.write_record(place)
    turned = dict(reversed(json.loads(place.record.read_text())["origin"].items()))
    said = json.loads(place.record.read_text()) | {"origin": turned}
    place.record.write_text(json.dumps(said))
    kept = place.record.read_bytes()
    stored.write_record(place)
    assert place.record.read_bytes() == kept
    save_images(place.output, images(1))
    stored.write_record(place)
    assert json.loads(place.record.read_text())["arrays"] != said["arrays"]
    place.record.write_text("{")
    stored.write_record(place)
    assert json.loads(place.record.read_text())["origin"] == settings.origin
