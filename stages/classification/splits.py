"""Images as training holds them: resident on a device, drawn and scaled a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.base.errors import InputError
from stages.base.params import CnnSweep, StudyTraining
from stages.classification.draws import INDEX_BITS, MAX_IMAGES, PADDING
from stages.images.arrays import Images
from stages.training.adam import Adam

CPU = torch.device("cpu")
Index = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and what a network is to say of them.

    Attributes:
        pixels: uint8 (n, rows, columns, channels).
        labels: uint8 (n,).
        soft: the classes' probabilities, float32 (n, classes); None where the label is certain.
    """

    pixels: Tensor
    labels: Tensor
    soft: Tensor | None = None

    @classmethod
    def of(cls, pixels: Index, labels: Index) -> "Split":
        """Of arrays, copied to the CPU's memory."""
        return cls(torch.tensor(pixels), torch.tensor(labels))

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: torch.device) -> "Split":
        """The same on a device."""
        soft = None if self.soft is None else self.soft.to(device)
        return Split(self.pixels.to(device), self.labels.to(device), soft)

    def set(self, other: "Split") -> None:
        """Take the images of another of the same size, in place."""
        self.pixels.copy_(other.pixels)
        self.labels.copy_(other.labels)
        if self.soft is not None and other.soft is not None:
            self.soft.copy_(other.soft)

    def drawn(self, packed: Tensor, scale: float, low: float, *, moved: bool) -> Tensor:
        """Images as drawn: float32 (..., channels, rows, columns), the channels last in memory.

        A flip comes before the crop, and what the crop adds is black, as torchvision does on PIL
        images.

        Args:
            packed: draws of `stages.classification.draws`, int64 (...).
            scale, low: a byte becomes `scale` times it plus `low`.
            moved: whether any draw crops or flips.
        """
        index = packed & (MAX_IMAGES - 1)
        if moved:
            rows, columns = self.pixels.shape[1:3]
            offsets = (packed >> INDEX_BITS)[..., None]
            down = torch.arange(rows, device=packed.device) + (offsets & 15) - PADDING
            right = torch.arange(columns, device=packed.device) + (offsets >> 4 & 15) - PADDING
            inside = ((down >= 0) & (down < rows))[..., :, None] & (
                (right >= 0) & (right < columns)
            )[..., None, :]
            right = torch.where((offsets >> 8 & 1) > 0, columns - 1 - right, right)
            down, right = down.clamp(0, rows - 1), right.clamp(0, columns - 1)
            pixels = self.pixels[index[..., None, None], down[..., :, None], right[..., None, :]]
            pixels = pixels * inside[..., None]
        else:
            pixels = self.pixels[index]
        return pixels.to(torch.float32).mul_(scale).add_(low).movedim(-1, -3)

    def target(self, packed: Tensor) -> tuple[Tensor, Tensor | None]:
        """Labels and probabilities of draws."""
        index = packed & (MAX_IMAGES - 1)
        return self.labels[index].long(), None if self.soft is None else self.soft[index]


@dataclass(frozen=True, eq=False)
class Data:
    """What networks are trained and evaluated on.

    Attributes:
        fresh: the training images of an epoch, from 1, where each has its own in place of `train`,
            and as many.
    """

    train: Split
    validation: Split
    fresh: Callable[[int], Split] | None = None


def data(training: CnnSweep, images: Images, device: torch.device = CPU) -> Data:
    """What networks of a protocol are trained and evaluated on, on a device.

    Raises:
        InputError: it asks for what only generated images have.
    """
    train, test = (
        Split.of(pixels, labels).to(device)
        for pixels, labels in (
            (images.train_images, images.train_labels),
            (images.test_images, images.test_labels),
        )
    )
    study = StudyTraining.of(training)
    if not (study.label_temperature or study.fresh_images):
        return Data(train, test)
    if images.made is None:
        raise InputError("label_temperature and fresh_images need images of source manifold")
    made = images.made(torch, lambda values: torch.from_numpy(values).to(device))

    def soft(scores: Tensor) -> Tensor | None:
        if not study.label_temperature:
            return None
        return torch.softmax(scores / study.label_temperature, dim=1).float()

    def fresh(epoch: int) -> Split:
        pixels, scores = made.fresh(epoch)
        return Split(pixels.contiguous(), scores.argmax(1).to(torch.uint8), soft(scores))

    trained, tested = map(soft, made.scores())
    return Data(
        replace(train, soft=trained),
        replace(test, soft=tested),
        fresh if study.fresh_images else None,
    )


def rates(training: CnnSweep, data: Data) -> npt.NDArray[np.float64]:
    """The learning rate of each step."""
    steps = training.epochs * -(-len(data.train) // training.batch_size)
    falling = StudyTraining.of(training).schedule == "linear"
    return Adam.of(training).rates(steps, falling=falling)


def mean_loss(logits: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
    """The mean over images of the divergence of what is predicted from what is so, in nats.

    Where the labels are certain that is cross-entropy; else cross-entropy less the entropy of the
    labels, so that the best that can be reached is 0.
    """
    if soft is None:
        return F.cross_entropy(logits, labels)
    return F.kl_div(F.log_softmax(logits, dim=1), soft, reduction="batchmean")
