"""The network of Sharma & Kaplan's Figure 6: three convolutions and two linear layers, width n.

N = 54n^2 + 4640n + 714 parameters on images of 32 x 32 x 3 and ten classes: 5,408 at n = 1,
115,114 at n = 20.

This is the reference: plain PyTorch. Initial weights come from here on every device, and the
hand-written engines of stages/cnn are tested against it.
"""

from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN = 64
"""Units of the last hidden layer."""


class Network(nn.Module):
    """Width n: 3 -> n -> 2n -> 2n channels, then 72n -> 64 -> classes units."""

    last_hidden = "linear1"

    def __init__(
        self, width: int, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10
    ) -> None:
        super().__init__()
        channels, rows, columns = shape
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3)
        places = (rows // 4 - 2) * (columns // 4 - 2)
        self.linear1 = nn.Linear(places * 2 * width, HIDDEN)
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
