"""What networks are trained on: soft labels and fresh images, where images are generated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from stages.base.errors import InputError
from stages.base.params import CnnSweep, Manifold, StudyTraining
from stages.classification import splits
from stages.images import generated
from stages.images.arrays import Images, open_images
from tests.helpers.frozen import FROZEN

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MADE = Manifold(dimension=3, seed=0, patches=30, train=60, test=20)


@pytest.fixture(scope="module")
def images() -> Images:
    return generated.images(MADE)


def training(**beyond: object) -> CnnSweep:
    return StudyTraining(**FROZEN.cnn.sweeps["paper"].model_dump() | beyond)


def test_soft_labels_are_the_softmax_of_the_functions_whose_largest_is_the_label(
    images: Images,
) -> None:
    data = splits.data(training(label_temperature=0.5), images, DEVICE)
    train, test = generated.Made(MADE, np, np.asarray).scores()
    assert abs(np.concatenate([train, test]).std() - 1) < 0.2
    for split, scores in ((data.train, train), (data.validation, test)):
        assert split.soft is not None
        expected = softmax(scores / 0.5, axis=1)
        np.testing.assert_allclose(split.soft.cpu(), expected, rtol=1e-6, atol=1e-7)
        assert torch.equal(split.soft.argmax(1), split.labels.long())
    assert np.array_equal(data.train.pixels.cpu(), images.train_images)


def test_the_images_of_an_epoch_are_its_own_and_the_same_on_every_device(images: Images) -> None:
    data = splits.data(training(fresh_images=True), images, DEVICE)
    assert data.fresh is not None
    made = generated.Made(MADE, np, np.asarray)
    seen = set(map(bytes, images.train_images)) | set(map(bytes, images.test_images))
    for epoch in (1, 2, 3):
        split = data.fresh(epoch)
        pixels, scores = made.fresh(epoch)
        assert np.array_equal(split.pixels.cpu(), pixels)
        assert np.array_equal(split.labels.cpu(), scores.argmax(1))
        assert split.soft is None
        assert len(split) == MADE.train
        seen |= set(map(bytes, np.ascontiguousarray(pixels)))
    assert len(seen) == 4 * MADE.train + MADE.test


def test_a_protocol_without_them_has_the_images_as_they_are(images: Images) -> None:
    data = splits.data(FROZEN.cnn.sweeps["paper"], images)
    assert data.fresh is None
    assert data.train.soft is data.validation.soft is None


@pytest.mark.parametrize("beyond", [{"label_temperature": 1}, {"fresh_images": True}])
def test_images_that_are_not_generated_have_neither(
    beyond: dict[str, object], small_images: Path
) -> None:
    with pytest.raises(InputError, match="need images of source manifold"):
        splits.data(training(**beyond), open_images(small_images))
