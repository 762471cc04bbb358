"""The CNN's training as one would write it, in plain PyTorch: what both engines are held against.

Augmented an image at a time, the ReLU before pooling, channels first, gradients traced.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.base.params import CnnSweep
from stages.classification import draws
from stages.cnn.network import initial
from stages.images.arrays import CLASSES
from stages.networks.cnn import Network


def augmented(pixels: Tensor, packed: draws.Draws) -> Tensor:
    """Images as drawn: uint8 (B, 32, 32, 3)."""
    images = []
    for draw in packed.tolist():
        image, offsets = pixels[draw & (draws.MAX_IMAGES - 1)], draw >> draws.INDEX_BITS
        if offsets >> 8 & 1:
            image = image.flip(1)
        row, column = offsets & 15, offsets >> 4 & 15
        padded = F.pad(image, (0, 0, draws.PADDING, draws.PADDING, draws.PADDING, draws.PADDING))
        images.append(padded[row : row + 32, column : column + 32])
    return torch.stack(images)


def inputs(sweep: CnnSweep, pixels: Tensor, packed: draws.Draws) -> Tensor:
    """Images as drawn and scaled, (B, 3, 32, 32)."""
    low, high = sweep.input_range
    return augmented(pixels, packed).permute(0, 3, 1, 2) / 255 * (high - low) + low


def logits(network: Network, images: Tensor) -> Tensor:
    """Logits of images (B, 3, 32, 32)."""
    x = F.max_pool2d(F.relu(network.conv1(images)), 2)
    x = F.max_pool2d(F.relu(network.conv2(x)), 2)
    x = F.relu(network.linear1(F.relu(network.conv3(x)).flatten(1)))
    result: Tensor = network.linear2(x)
    return result


def rounded(x: Tensor) -> Tensor:
    """Rounded to float16; the gradient passes straight through."""
    return x + (x.half().float() - x).detach()


def rounded_logits(network: Network, images: Tensor, scale: float) -> Tensor:
    """As `logits`, rounded to float16 where the kernels of that precision round.

    So are what the convolutions see, their weights and, times a scale, the gradients between them.
    """

    def convolved(layer: nn.Conv2d, x: Tensor) -> Tensor:
        return F.conv2d(x, rounded(layer.weight), layer.bias, padding=layer.padding)

    def gradient_rounded(x: Tensor) -> Tensor:
        if x.requires_grad:
            x.register_hook(lambda gradient: (gradient * scale).half().float() / scale)
        return x

    def pooled(x: Tensor) -> Tensor:
        return gradient_rounded(rounded(F.max_pool2d(F.relu(x), 2)))

    x = pooled(convolved(network.conv1, rounded(images)))
    x = pooled(convolved(network.conv2, x))
    x = F.relu(gradient_rounded(convolved(network.conv3, x)))
    result: Tensor = network.linear2(F.relu(network.linear1(x.flatten(1))))
    return result


class Replica:
    """One network in training."""

    def __init__(self, sweep: CnnSweep, width: int, seed: int, classes: int = CLASSES) -> None:
        self._sweep = sweep
        self.network = initial(width, seed, classes, sweep.initial_weights)
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[sweep.optimizer]
        self._optimizer = kind(
            self.network.parameters(), sweep.learning_rate, weight_decay=sweep.weight_decay
        )

    def epoch(
        self, pixels: Tensor, labels: Tensor, order: draws.Draws, *, train: bool
    ) -> tuple[float, float]:
        """Loss (nats) and accuracy: in training means over batches, else over images."""
        losses, accuracies, sizes = [], [], []
        for start in range(0, len(order), self._sweep.batch_size):
            batch = order[start : start + self._sweep.batch_size]
            x = inputs(self._sweep, pixels, batch)
            y = labels[batch & (draws.MAX_IMAGES - 1)].long()
            z = logits(self.network, x)
            loss = F.cross_entropy(z, y)
            if train:
                self._optimizer.zero_grad()
                loss.backward()
                self._optimizer.step()
            losses.append(loss.item())
            accuracies.append((z.argmax(1) == y).double().mean().item())
            sizes.append(1 if train else len(batch))
        means = (np.average(values, weights=sizes) for values in (losses, accuracies))
        loss_mean, accuracy_mean = map(float, means)
        return loss_mean, accuracy_mean
