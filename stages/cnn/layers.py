"""The network's passes on a CPU: `Network`'s, faster.

The first layer has few channels and large images: drawn, convolved, pooled and put through the
ReLU in one pass, what lies between never leaves a core's cache; and of the four patches that
compete for an output, only the winner's is in its gradient. The other convolutions are PyTorch's,
with channels last.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from stages.classification import draws
from stages.cnn import compiled
from stages.cnn.compiled import COLOURS, LANES, PATCH, TAPS
from stages.networks.cnn import Network

SPARE = 16
"""Floats after each image: what the last vectors read beyond it."""


def drawn(pixels: Tensor, packed: draws.Draws, scale: float, low: float) -> Tensor:
    """Images as drawn and scaled, with a border of zeros: (B, 34 * 34 * 3 + SPARE) float32.

    A flip comes before the crop, and what the crop adds is black, as torchvision does on PIL
    images.

    Args:
        pixels: uint8 (images, 32, 32, 3), the data set's.
        packed: which of them, and how they are moved; (B,).
        scale, low: a byte becomes `scale` times it plus `low`.
    """
    images = torch.zeros(len(packed), (pixels.shape[1] + 2) ** 2 * COLOURS + SPARE)
    compiled.draw(pixels.numpy(), packed, scale, low, images.numpy())
    return images


class _First(Function):
    """Images as drawn -> (B, n, 16, 16)."""

    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        width, size = len(weight), 16
        blocks = -(-width // LANES)
        weights = torch.zeros(blocks * LANES, TAPS + 1)
        weights[:width, :TAPS] = weight.permute(0, 2, 3, 1).reshape(width, TAPS)
        weights[:width, TAPS] = bias
        weights = weights.view(blocks, LANES, TAPS + 1).transpose(1, 2).contiguous()
        outputs = torch.empty(len(images), size, size, width)
        winners = torch.empty(outputs.shape, dtype=torch.uint8)
        pair = torch.empty(4, blocks * LANES)
        tensors = (images, weights, outputs, winners, pair)
        compiled.first(*(tensor.numpy() for tensor in tensors))
        context.save_for_backward(images, winners)
        return outputs.permute(0, 3, 1, 2)

    @staticmethod
    def backward(context: Any, slopes: Tensor) -> tuple[None, Tensor, Tensor]:
        images, winners = context.saved_tensors
        width = slopes.shape[1]
        slopes = slopes.permute(0, 2, 3, 1).contiguous()
        patches = torch.zeros(4, 2 * PATCH)
        sums, gradient = torch.zeros(width, PATCH), torch.zeros(width, PATCH)
        tensors = (images, slopes, winners, patches, sums, gradient)
        compiled.first_backward(*(tensor.numpy() for tensor in tensors))
        taps = gradient[:, :TAPS].view(width, 3, 3, COLOURS).permute(0, 3, 1, 2)
        return None, taps, gradient[:, TAPS]


class _Pool(Function):
    """Max pooling, then ReLU: (B, channels, 2 h, 2 w) -> (B, channels, h, w)."""

    @staticmethod
    def forward(context: Any, inputs: Tensor) -> Tensor:
        inputs = inputs.permute(0, 2, 3, 1).contiguous()
        images, rows, columns, channels = inputs.shape
        outputs = torch.empty(images, rows // 2, columns // 2, channels)
        winners = torch.empty(outputs.shape, dtype=torch.uint8)
        compiled.pool(inputs.numpy(), outputs.numpy(), winners.numpy())
        context.save_for_backward(winners)
        return outputs.permute(0, 3, 1, 2)

    @staticmethod
    def backward(context: Any, slopes: Tensor) -> Tensor:
        (winners,) = context.saved_tensors
        slopes = slopes.permute(0, 2, 3, 1).contiguous()
        images, rows, columns, channels = slopes.shape
        inputs = torch.empty(images, 2 * rows, 2 * columns, channels)
        compiled.pool_backward(slopes.numpy(), winners.numpy(), inputs.numpy())
        return inputs.permute(0, 3, 1, 2)


def logits(network: Network, images: Tensor) -> Tensor:
    """Logits (B, classes) of images from `drawn`."""
    n = network
    x = _First.apply(images, n.conv1.weight, n.conv1.bias)
    x = _Pool.apply(n.conv2(x))
    x = F.relu(n.linear1(F.relu(n.conv3(x)).flatten(1)))
    result: Tensor = n.linear2(x)
    return result
