"""The network's passes on a CPU, against plain PyTorch."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.classification import draws
from stages.cnn import compiled, layers
from stages.cnn.network import initial
from stages.networks.cnn import Network


def images_of(pixels: Tensor) -> Tensor:
    """What `drawn` gives without its border, (B, 3, 32, 32)."""
    drawn = layers.drawn(pixels, draws.validation(len(pixels), 0, 1, False), 2 / 255, -1.0)
    return drawn[:, : 34 * 34 * 3].view(-1, 34, 34, 3)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


def gradients(network: Network, logits: Tensor) -> list[Tensor]:
    labels = torch.arange(len(logits)) % logits.shape[1]
    return list(torch.autograd.grad(F.cross_entropy(logits, labels), network.parameters()))


@pytest.mark.parametrize("width", [1, 3, 8, 9, 20])
def test_logits_and_gradients_are_the_networks(width: int) -> None:
    random = np.random.default_rng(0)
    pixels = torch.from_numpy(random.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8))
    pixels[0] = 0  # all patches are equal: the first wins, as in PyTorch
    pixels[1, :, 16:] = 200
    network = initial(width, seed=1, classes=100).to(memory_format=torch.channels_last)
    order = draws.validation(len(pixels), 0, 1, False)
    logits = layers.logits(network, layers.drawn(pixels, order, 2 / 255, -1.0))
    expected = network(images_of(pixels))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    for ours, theirs in zip(gradients(network, logits), gradients(network, expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_an_image_gives_the_same_bits_among_others() -> None:
    random = np.random.default_rng(0)
    pixels = torch.from_numpy(random.integers(0, 256, (9, 32, 32, 3), dtype=np.uint8))
    order = draws.shuffled(len(pixels), 3, 1, True)
    together = layers.drawn(pixels, order, 1 / 255, 0.0)
    alone = layers.drawn(pixels, order[4:5], 1 / 255, 0.0)
    assert torch.equal(together[4:5], alone)


def test_an_images_border_is_zero_though_black_is_not() -> None:
    pixels = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    drawn = layers.drawn(pixels, draws.validation(1, 0, 1, False), 2 / 255, -1.0)
    image = drawn[0, : 34 * 34 * 3].view(34, 34, 3)
    assert (image[1:-1, 1:-1] == -1).all()
    assert image.abs().sum() == 32 * 32 * 3


def test_where_no_place_is_above_zero_none_wins() -> None:
    inputs = np.zeros((1, 2, 6, 1), np.float32)
    inputs[0, :, 2:4, 0] = -1
    inputs[0, 1, 4, 0] = 0.5
    outputs = np.ones((1, 1, 3, 1), np.float32)
    winners = np.zeros((1, 1, 3, 1), np.uint8)
    compiled.pool(inputs, outputs, winners)
    assert outputs.ravel().tolist() == [0, 0, 0.5]
    assert winners.ravel().tolist() == [compiled.NONE, compiled.NONE, 2]
