"""A perceptron with two hidden layers of width n."""

import math

from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module):
    """Width n: all pixels -> n -> n -> classes units."""

    last_hidden = "linear2"

    def __init__(self, width: int, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(math.prod(shape), width)
        self.linear2 = nn.Linear(width, width)
        self.linear3 = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, rows, columns)."""
        x = F.relu(self.linear1(images.flatten(1)))
        logits: Tensor = self.linear3(F.relu(self.linear2(x)))
        return logits
