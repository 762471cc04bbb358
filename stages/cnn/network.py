"""The network of Sharma & Kaplan's Figure 6: three convolutions and two linear layers, width n.

N = 54n^2 + 4640n + 714 parameters: 5,408 at n = 1, 115,114 at n = 20.

This is the reference: plain PyTorch. Initial weights come from here on every device, and the
CUDA kernels are tested against it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.base.params import InitialWeights
from stages.images.arrays import CLASSES

HIDDEN = 64
"""Units of the last hidden layer."""


class Network(nn.Module):
    """Width n: 3 -> n -> 2n -> 2n channels, then 72n -> 64 -> classes units."""

    def __init__(self, width: int, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3)
        self.linear1 = nn.Linear(72 * width, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, classes)

    def hidden(self, images: Tensor) -> Tensor:
        """The last hidden layer before its ReLU, (batch, 64), of images (batch, 3, 32, 32)."""
        # max and ReLU commute: pooling first leaves a quarter of the ReLUs
        x = F.relu(F.max_pool2d(self.conv1(images), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.conv3(x))
        before: Tensor = self.linear1(x.flatten(1))
        return before

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, 3, 32, 32)."""
        logits: Tensor = self.linear2(F.relu(self.hidden(images)))
        return logits


def initial(
    width: int, seed: int, classes: int = CLASSES, weights: InitialWeights = "pytorch"
) -> Network:
    """The network that training starts from, by the defaults of PyTorch or of Keras, from `seed`.

    Those of Keras: Glorot's uniform weights, of variance 2 / (inputs + outputs), and zero biases.
    They are drawn on the CPU, so they are the same whatever trains them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(width, classes)
        if weights == "keras":
            for parameter in network.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
                else:
                    nn.init.zeros_(parameter)
    return network
