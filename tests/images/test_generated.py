"""Generated images: the dimension that was asked for, and labels that hang on the place alone."""

import hashlib

import numpy as np
import pytest

from stages.base.params import Manifold
from stages.dimension.estimators import measure
from stages.images import generated as manifold
from stages.images.arrays import ARRAYS
from tests.helpers.frozen import FROZEN

SETTINGS = FROZEN.dimension.model_copy(
    update={"blocks": [5, 1], "ratio_neighbours": [2], "likelihood_neighbours": [2, 10]}
)


def settings(dimension: int, **more: int) -> Manifold:
    usual = {"seed": 0, "patches": 300, "train": 50, "test": 1500}
    return Manifold(dimension=dimension, **usual | more)


@pytest.mark.parametrize("dimension", [2, 5, 16])
def test_pixels_read_as_the_cube_that_they_are_a_map_of(dimension: int) -> None:
    images = manifold.images(settings(dimension)).test_images
    cube = np.random.default_rng(0).random((len(images), dimension))
    for ours, known in zip(
        measure(images.reshape(len(images), -1), SETTINGS), measure(cube, SETTINGS), strict=True
    ):
        if ours.blocks == 1:
            assert ours.duplicates <= 2
            assert ours.dimension == pytest.approx(known.dimension, rel=0.12), ours


def test_distances_depend_on_the_distance_of_places_alone() -> None:
    picture = manifold.picture_of(settings(4))
    random = np.random.default_rng(1)
    places = random.uniform(0.2, 0.8, (400, 4))
    steps = random.standard_normal((400, 4))
    steps *= 0.05 / np.linalg.norm(steps, axis=1, keepdims=True)
    apart = picture(places + steps).astype(float) - picture(places)
    lengths = np.linalg.norm(apart.reshape(400, -1), axis=1)
    assert lengths.std() < 0.03 * lengths.mean()


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (
        manifold.images(settings(3, seed=seed, train=70, test=30)) for seed in (0, 0, 1)
    )
    for name in ARRAYS:
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_five_images_have_the_bytes_that_they_have_always_had() -> None:
    made = manifold.images(settings(3, train=3, test=2))
    content = b"".join(np.ascontiguousarray(getattr(made, name)).tobytes() for name in ARRAYS)
    assert hashlib.md5(content).hexdigest() == "435c4f6ba81a5d8251824c311ae325a1"


def test_more_training_images_leave_the_first_ones_as_they_were() -> None:
    few, many = (manifold.images(settings(3, train=train, test=5)) for train in (30, 80))
    assert np.array_equal(many.train_images[:30], few.train_images)
    assert np.array_equal(many.train_labels[:30], few.train_labels)


def test_fresh_images_are_of_their_epoch_and_labelled_as_all_are() -> None:
    made = manifold.Made(settings(2, train=40), np, np.asarray)
    first, again, second = (made.fresh(epoch) for epoch in (1, 1, 2))
    for one, same, other in zip(first, again, second, strict=True):
        assert np.array_equal(one, same)
        assert not {*map(bytes, one)} & {*map(bytes, other)}
    assert first[0].shape == (40, 32, 32, 3)
    given = manifold.images(settings(2, train=40, test=30))
    of_given = manifold.Made(settings(2, train=40, test=30), np, np.asarray).scores()
    for scores, labels in zip(of_given, (given.train_labels, given.test_labels), strict=True):
        assert np.array_equal(scores.argmax(axis=1), labels)


def test_training_and_test_images_are_of_one_kind_but_not_the_same() -> None:
    images = manifold.images(settings(2, train=1500))
    assert abs(images.train_images.mean() - images.test_images.mean()) < 1
    train, test = (a.reshape(len(a), -1) for a in (images.train_images, images.test_images))
    assert not set(map(bytes, train)) & set(map(bytes, test))


@pytest.mark.parametrize("dimension", [2, 16])
def test_classes_are_about_as_frequent(dimension: int) -> None:
    label = manifold.label_of(settings(dimension))
    labels = label(np.random.default_rng(4).random((2500, dimension)))
    shares = np.bincount(labels, minlength=10) / len(labels)
    assert shares.min() > 0.05
    assert shares.max() < 0.16


@pytest.mark.parametrize("dimension", [2, 8])
def test_labels_hang_on_the_place_more_finely_with_more_patches(dimension: int) -> None:
    places = np.random.default_rng(2).random((1000, dimension))
    step = 0.02 * np.random.default_rng(3).standard_normal(places.shape)
    kept = [
        np.mean(label(places) == label(places + step))
        for label in (manifold.label_of(settings(dimension, patches=n)) for n in (3, 300, 30000))
    ]
    assert kept[0] > kept[1] > kept[2]
    assert kept[0] > 0.8


def test_a_patch_is_a_ball_of_the_cubes_volume() -> None:
    assert manifold.rate(1, 1) == pytest.approx(2)  # the interval of radius 1/2
    assert manifold.rate(1, 2) == pytest.approx(np.pi**0.5)
    assert manifold.rate(8, 3) == pytest.approx(2 * (4 / 3 * np.pi) ** (1 / 3))
