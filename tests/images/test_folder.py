"""Images of one's own: taken as they are from arrays or pictures, or refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stages import download
from stages.base import params
from stages.base.errors import InputError
from stages.base.params import FolderImages
from stages.images import folder, stored
from stages.images.arrays import ARRAYS, Images, open_images
from tests.helpers.tiny import tiny, write_params

RANDOM = np.random.default_rng(0)
CLASSES = 3
SHAPES = [(5, 4, 1), (5, 4, 2), (4, 6, 3), (3, 3, 4)]


def drawn(shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """Arrays of 6 and 3 images, by the names of `ARRAYS`."""
    made: dict[str, NDArray[Any]] = {}
    for split, count in (("train", 6), ("test", 3)):
        made[f"{split}_images"] = RANDOM.integers(256, size=(count, *shape), dtype=np.uint8)
        made[f"{split}_labels"] = np.arange(count) * CLASSES // count
    return made


def as_arrays(where: Path, arrays: dict[str, NDArray[Any]]) -> None:
    where.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(where / f"{name}.npy", array)


def as_pictures(where: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """In classes whose names are in the order of their labels, pictures in that of their places."""
    for split in ("train", "test"):
        pairs = zip(arrays[f"{split}_images"], arrays[f"{split}_labels"], strict=True)
        for i, (pixels, label) in enumerate(pairs):
            path = where / split / ["cat", "dog", "owl"][label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.squeeze()).save(path)
    (where / "train/cat/.hidden").touch()


def settings(where: Path, shape: tuple[int, ...] = SHAPES[0], **other: Any) -> FolderImages:
    said = {"source": "folder", "folder": str(where), "shape": [*shape], "classes": CLASSES}
    return FolderImages.model_validate(said | other)


def same(images: Images, arrays: dict[str, NDArray[Any]]) -> bool:
    return all(np.array_equal(getattr(images, name), arrays[name]) for name in ARRAYS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("write", [as_arrays, as_pictures])
def test_images_of_any_size_and_number_of_channels_are_taken_as_they_are(
    write: Callable[..., None], shape: tuple[int, ...], tmp_path: Path
) -> None:
    arrays = drawn(shape)
    write(tmp_path / "mine", arrays)
    images = folder.read(settings(tmp_path / "mine", shape))
    assert same(images, arrays)
    assert images.classes == CLASSES


def test_grey_arrays_need_no_axis_of_channels(tmp_path: Path) -> None:
    arrays = drawn(SHAPES[0])
    flat = {n: a[..., 0] if n.endswith("images") else a for n, a in arrays.items()}
    as_arrays(tmp_path, flat)
    assert same(folder.read(settings(tmp_path)), arrays)


Damage = Callable[[Path], Any]


def replaced(name: str, array: NDArray[Any]) -> Damage:
    return lambda where: np.save(where / f"{name}.npy", array)


def archived(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, IMAGES)


IMAGES, LABELS = drawn(SHAPES[0])["train_images"], np.zeros(6, int)
BAD_ARRAYS: list[tuple[Damage, str]] = [
    (lambda f: [p.unlink() for p in f.iterdir()], "{f}: neither train_images.npy, .* nor train/<c"),
    (lambda f: (f / "test_labels.npy").unlink(), "{f}/test_labels.npy: cannot be read (No such fi"),
    (lambda f: (f / "test_labels.npy").write_bytes(b"no"), "{f}/test_labels.npy: cannot be read ("),
    (replaced("train_labels", np.array([None] * 6)), "{f}/train_labels.npy: cannot be read ("),
    (lambda f: (f / "test_images.npy").write_bytes(b"garbage" * 9), "{f}/test_images.npy: cannot "
     "be read (the magic string is not correct; .*; save it by numpy.save"),
    (lambda f: archived(f / "test_images.npy"), "{f}/test_images.npy: cannot be read (the magic"),
    (replaced("train_images", IMAGES / 255), "{f}/train_images.npy: float64 of shape (6, 5, 4, 1), "
     "not uint8 of shape (n, rows, columns, channels)"),
    (replaced("train_images", IMAGES[0, 0]), "{f}/train_images.npy: uint8 of shape (4, 1), not"),
    (replaced("train_images", IMAGES[:5]), "{f}/train_labels.npy: 6 labels for 5 images"),
    (replaced("train_images", IMAGES[:, :4]), "{f}/test_images.npy: images of 5x4x1, not of 4x4x1"),
    (replaced("test_images", IMAGES[:3, :, :, [0, 0]]), "{f}/test_images.npy: images of 5x4x2, no"),
    (replaced("train_labels", LABELS + 0.5), "{f}/train_labels.npy: float64 of shape (6,), not w"),
    (replaced("train_labels", LABELS[:, None]), "{f}/train_labels.npy: int64 of shape (6, 1), not"),
    (replaced("train_labels", LABELS - 1), "{f}/train_labels.npy: label -1, not in 0..2"),
    (replaced("train_labels", LABELS + 256), "{f}/train_labels.npy: label 256, not in 0..2"),
    (replaced("train_labels", LABELS), "{f}: no training image of class 1; params.yaml says 3 "),
]  # fmt: skip


def refusal(where: Path, **other: Any) -> str:
    with pytest.raises(InputError) as error:
        folder.read(settings(where, **other))
    assert "\n" not in str(error.value)
    return str(error.value)


def says(message: str, wanted: str, where: Path) -> bool:
    start, _, end = wanted.replace("{f}", str(where)).partition(".*")
    return message.startswith(start) and end in message


@pytest.mark.parametrize(("damage", "wanted"), BAD_ARRAYS)
def test_what_is_wrong_with_arrays_is_one_line(damage: Damage, wanted: str, tmp_path: Path) -> None:
    as_arrays(tmp_path, drawn(SHAPES[0]))
    damage(tmp_path)
    message = refusal(tmp_path)
    assert says(message, wanted, tmp_path), message


def shrunk(path: Path) -> None:
    Image.open(path).resize((3, 5)).save(path)


def of_mode(mode: str) -> Damage:
    return lambda f: Image.open(f / "train/cat/0.png").convert(mode).save(f / "train/cat/0.png")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


BAD_PICTURES: list[tuple[Damage, str]] = [
    (lambda f: shrunk(f / "train/cat/0.png"), "{f}/train/cat/0.png: 5x3x1, and params.yaml says 5"),
    (of_mode("P"), "{f}/train/cat/0.png: a picture of mode P, not L, LA, RGB, RGBA"),
    (of_mode("RGB"), "{f}/train/cat/0.png: 5x4x3, and params.yaml says 5x4x1 (rows, columns, chan"),
    (lambda f: cut(f / "test/owl/2.png"), "{f}/test/owl/2.png: no whole picture ("),
    (lambda f: (f / "train/cat/notes").touch(), "{f}/train/cat/notes: no whole picture (cannot i"),
    (lambda f: (f / "train/notes").touch(), "{f}/train: 4 folders, one a class, and params.yaml s"),
    (lambda f: (f / "test/owl").rename(f / "test/emu"), "{f}: class 'emu' is in train or in test"),
    (lambda f: [p.unlink() for p in (f / "train/dog").iterdir()], "{f}: no training image of clas"),
    (lambda f: [p.unlink() for p in f.glob("test/*/*")], "{f}/test_images.npy: 0 images of 5x4x1"),
    (lambda f: (f / "test").rename(f / "val"), "{f}: neither train_images.npy, .* nor train/<cla"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "wanted"), BAD_PICTURES)
def test_what_is_wrong_with_pictures_is_one_line(
    damage: Damage, wanted: str, tmp_path: Path
) -> None:
    as_pictures(tmp_path, drawn(SHAPES[0]))
    damage(tmp_path)
    message = refusal(tmp_path)
    assert says(message, wanted, tmp_path), message


def test_pictures_are_counted_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_pictures(tmp_path, drawn(SHAPES[0]))
    monkeypatch.setattr(folder, "MOST", 5)
    monkeypatch.setattr(Image, "open", None)
    assert refusal(tmp_path) == f"{tmp_path}/train: 6 pictures, not 5 at most"


def test_arrays_that_params_describe_otherwise_are_refused(tmp_path: Path) -> None:
    as_arrays(tmp_path, drawn(SHAPES[0]))
    found = refusal(tmp_path, shape=[5, 4, 3])
    assert found == (
        f"{tmp_path}: images of 5x4x1, and params.yaml says 5x4x3 (rows, columns, channels)"
    )
    assert "label 2, not in 0..1" in refusal(tmp_path, classes=2)
    assert "no training image of class 3" in refusal(tmp_path, classes=4)
    assert refusal(tmp_path / "no").startswith(f"{tmp_path}/no: No such file or directory; name")


def test_a_record_tells_what_they_are_and_not_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = drawn(SHAPES[0])
    as_arrays(tmp_path / "mine", arrays)
    as_pictures(tmp_path / "elsewhere", arrays)
    root = tmp_path / "data"
    stored.record("mine", settings(tmp_path / "mine"), root)
    record = (root / "mine.json").read_text()
    assert str(tmp_path) not in record
    assert json.loads(record)["arrays"]["test_images"]["shape"] == [3, 5, 4, 1]
    as_arrays(tmp_path / "mine", drawn(SHAPES[0]))  # others now, and here are those of the record
    assert same(stored.stored("mine", settings(tmp_path / "mine"), root), arrays)
    (root / "mine/test_labels.npy").unlink()
    with pytest.raises(InputError, match=r"not the images that .*mine\.json is of"):
        stored.stored("mine", settings(tmp_path / "mine"), root)
    assert same(stored.stored("mine", settings(tmp_path / "elsewhere"), root), arrays)
    with pytest.raises(InputError, match="made with other params"):
        stored.stored("mine", settings(tmp_path / "mine", classes=4), root)


def test_an_experiment_in_a_copy_has_the_images_of_the_working_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays, named = drawn(SHAPES[0]), settings(Path("../mine"))
    as_arrays(tmp_path / "mine", arrays)
    tree = tmp_path / "tree"
    copy = tree / ".dvc/tmp/exps/standalone/tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(tree)
    stored.record("mine", named)
    monkeypatch.chdir(copy)
    Path("data").mkdir()
    shutil.copy(tree / "data/mine.json", "data")
    assert same(stored.stored("mine", named), arrays)
    assert not Path("data/mine").exists()
    shutil.rmtree(tree / "data/mine")
    assert same(stored.stored("mine", named), arrays)
    assert Path("data/mine").exists()


def test_images_are_not_replaced_by_their_own_copy(tmp_path: Path) -> None:
    as_pictures(tmp_path / "data/mine", drawn(SHAPES[0]))
    with pytest.raises(InputError, match=r"images\.mine\.folder: .* is where the arrays are writt"):
        stored.record("mine", settings(tmp_path / "data/mine"), tmp_path / "data")
    assert (tmp_path / "data/mine/train/cat/0.png").exists()


def test_several_data_sets_lie_side_by_side_and_the_network_cnn_refuses_a_shape_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, arrays = tiny(), drawn((32, 32, 3))
    as_arrays(tmp_path / "mine", arrays)
    as_pictures(tmp_path / "small", drawn(SHAPES[2]))
    for name, shape in {"mine": (32, 32, 3), "small": SHAPES[2]}.items():
        said = {"source": "folder", "folder": name, "shape": [*shape], "classes": CLASSES}
        made["images"][name] = said
    made["cnn"]["images"] = "mine"
    write_params(tmp_path, made)
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "small"):
        monkeypatch.setattr("sys.argv", ["download", name])
        download.main()
    assert capsys.readouterr().out == 2 * "6 training and 3 test images\n"
    assert same(open_images(Path("data/mine"), CLASSES), arrays)
    assert {path.name for path in Path("data").glob("[a-z]*")} == {
        *["mine", "mine.json", "small", "small.json"]
    }
    made["cnn"]["images"] = "small"
    write_params(tmp_path, made)
    with pytest.raises(InputError) as error:
        params.load()
    assert str(error.value) == (
        "params.yaml: cnn.images: the network cnn takes 32x32x3, and grey 28x28; small has 4x6x3: "
        "choose another network, in studies"
    )
