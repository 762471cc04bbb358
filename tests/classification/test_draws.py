"""Order, crops and flips: what a run sees is fixed by its seed and epoch alone."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import functional

from stages.classification import draws
from stages.cnn.layers import drawn

IMAGES = 5000


def fields(packed: draws.Draws) -> tuple[draws.Draws, ...]:
    """Index, row offset, column offset and flip of each draw."""
    index, rest = packed & (draws.MAX_IMAGES - 1), packed >> draws.INDEX_BITS
    return index, rest & 15, rest >> 4 & 15, rest >> 8


@pytest.mark.parametrize("augment", [False, True])
def test_an_epoch_shows_every_image_once(augment: bool) -> None:
    index, *_ = fields(draws.shuffled(IMAGES, 3, 7, augment))
    np.testing.assert_array_equal(np.sort(index), np.arange(IMAGES))


def test_the_same_seed_and_epoch_draw_the_same_and_others_do_not() -> None:
    one = draws.shuffled(IMAGES, 3, 7, True)
    np.testing.assert_array_equal(one, draws.shuffled(IMAGES, 3, 7, True))
    for seed, epoch in [(3, 8), (4, 7), (7, 3)]:
        assert np.mean(one == draws.shuffled(IMAGES, seed, epoch, True)) < 0.01


def test_without_augmentation_nothing_moves() -> None:
    _, rows, columns, flips = fields(draws.shuffled(IMAGES, 0, 1, False))
    assert set(rows) == set(columns) == {draws.PADDING}
    assert set(flips) == {0}


def test_offsets_and_flips_are_uniform_and_independent() -> None:
    _, rows, columns, flips = fields(draws.shuffled(50_000, 0, 1, True))
    counts = np.zeros((9, 9, 2))
    np.add.at(counts, (rows, columns, flips), 1)
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_validation_images_come_in_order_and_are_augmented_only_if_asked() -> None:
    plain, moved = (draws.validation(IMAGES, 0, 1, augment) for augment in (False, True))
    np.testing.assert_array_equal(fields(plain)[0], np.arange(IMAGES))
    np.testing.assert_array_equal(fields(moved)[0], np.arange(IMAGES))
    assert set(fields(plain)[1]) == {draws.PADDING}
    assert set(fields(moved)[1]) == set(range(9))


def test_augmentation_is_torchvisions_flip_then_padded_crop() -> None:
    random = np.random.default_rng(0)
    pixels = torch.from_numpy(random.integers(0, 256, (50, 32, 32, 3), dtype=np.uint8))
    packed = draws.shuffled(50, 1, 1, True)
    bordered = drawn(pixels, packed, 1.0, 0.0)[:, : 34 * 34 * 3].view(-1, 34, 34, 3)
    for image, index, row, column, flip in zip(
        bordered[:, 1:-1, 1:-1], *fields(packed), strict=True
    ):
        expected = pixels[int(index)].permute(2, 0, 1)
        if flip:
            expected = functional.hflip(expected)
        expected = functional.crop(functional.pad(expected, [4]), int(row), int(column), 32, 32)
        assert torch.equal(image, expected.permute(1, 2, 0).float())
