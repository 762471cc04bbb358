"""The baseline: both studies as a notebook trains them, one network at a time, eagerly.

Images go through torchvision's transforms in a DataLoader; parity inputs are dense, one-hot task
and all, and each task is evaluated in turn. One step includes reading the loss and the accuracy.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from stages.base.params import CnnSweep, ParityConfiguration
from stages.parity import tasks


class _Pictures(Dataset[tuple[Tensor, int]]):
    """As torchvision.datasets.CIFAR10 hands them out: a PIL image through the transforms."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        from PIL import Image  # here: the other loop needs neither
        from torchvision import transforms

        self._images, self._labels, self._picture = images, labels, Image.fromarray
        self._transform = transforms.Compose(
            [
                transforms.RandomHorizontalFlip(),
                transforms.RandomCrop(32, padding=4),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self._transform(self._picture(self._images[index]))
        return picture, int(self._labels[index])


def image_steps(
    sweep: CnnSweep,
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    device: torch.device,
) -> Iterator[float]:
    """Train; one step for each loss that is drawn."""
    network = network.to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=sweep.learning_rate, weight_decay=sweep.weight_decay
    )
    loader = DataLoader(_Pictures(images, labels), sweep.batch_size, shuffle=True)
    while True:
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            logits = network(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            (logits.argmax(1) == y).float().mean().item()
            yield loss.item()


def parity_steps(c: ParityConfiguration, device: torch.device) -> Iterator[float]:
    """Train, and evaluate every task after each step; one step for each mean loss drawn."""
    chosen = tasks.subsets(c.tasks, c.bits, c.subset_size, seed=0)
    subsets = torch.from_numpy(np.asarray(chosen, dtype=np.int64)).to(device)
    frequency = torch.arange(1, c.tasks + 1, dtype=torch.float32, device=device) ** -(c.alpha + 1)
    frequency /= frequency.sum()
    (width,) = c.widths
    network = nn.Sequential(nn.Linear(c.tasks + c.bits, width), nn.ReLU(), nn.Linear(width, 1)).to(
        device
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=c.learning_rate)

    def samples(task: Tensor) -> tuple[Tensor, Tensor]:
        bits = torch.randint(0, 2, (len(task), c.bits), device=device)
        label = bits.gather(1, subsets[task]).sum(1) % 2
        return torch.cat([F.one_hot(task, c.tasks), bits], dim=1).float(), label.float()

    while True:
        x, y = samples(torch.multinomial(frequency, c.batch_size, replacement=True))
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(network(x)[:, 0], y)
        loss.backward()
        optimizer.step()
        mean = 0.0
        with torch.no_grad():
            for i in range(c.tasks):
                x, y = samples(torch.full((c.evaluation_samples,), i, device=device))
                z = network(x)[:, 0]
                ((z > 0) == (y > 0)).float().mean().item()
                mean += float(frequency[i]) * F.binary_cross_entropy_with_logits(z, y).item()
        yield mean
