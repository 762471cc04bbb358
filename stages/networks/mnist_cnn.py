"""Sharma & Kaplan's network for MNIST, Fashion-MNIST and SVHN: two convolutions, width n.

N = 9n^2 + 1163n + 362 parameters on images of 28 x 28 x 1 and ten classes: 2,724 at n = 2, 10,242
at n = 8.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module):
    """Width n: 1 -> n -> n channels, then 36n -> 32 -> classes units."""

    last_hidden = "linear1"

    def __init__(self, width: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, rows, columns = shape
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3)
        places = ((rows // 2 - 2) // 2) * ((columns // 2 - 2) // 2)
        self.linear1 = nn.Linear(places * width, 32)
        self.linear2 = nn.Linear(32, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, rows, columns)."""
        x = F.relu(F.max_pool2d(self.conv1(images), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        logits: Tensor = self.linear2(F.relu(self.linear1(x.flatten(1))))
        return logits
