"""The network of multitask sparse parity: one hidden ReLU layer on a one-hot task and its bits.

`Network` is the reference: plain PyTorch on the dense input. Initial weights come from it on
every device, and both engines are tested against it. They work on the weights as `flatten` lays
them out: a row of the hidden layer for each task, for each bit, and for the bias; then the output.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.base.params import ParityConfiguration


class Network(nn.Module):
    """Tasks + bits -> width -> 1 or 2 logits."""

    def __init__(self, configuration: ParityConfiguration, width: int) -> None:
        super().__init__()
        c = configuration
        self.hidden = nn.Linear(c.tasks + c.bits, width)
        self.output = nn.Linear(width, c.logits)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (n, logits) of dense inputs (n, tasks + bits) of zeros and ones."""
        logits: Tensor = self.output(F.relu(self.hidden(inputs)))
        return logits


def initial(configuration: ParityConfiguration, width: int, seed: int) -> Network:
    """The network that training starts from: PyTorch's default initialisation from `seed`.

    The weights are drawn on the CPU, so they are the same whatever trains them. Not for several
    threads at once: PyTorch has one generator of initial weights per process.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(configuration, width)


def flatten(network: Network) -> Tensor:
    """All weights in the engines' order, (N,)."""
    hidden, output = network.hidden, network.output
    tensors = [hidden.weight.T, hidden.bias, output.weight, output.bias]
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


@dataclass(frozen=True)
class Layers:
    """Views of flat weights, or of their gradient."""

    tasks: Tensor  # (tasks, width)
    bits: Tensor  # (bits, width)
    bias: Tensor  # (width,)
    output: Tensor  # (logits, width)
    output_bias: Tensor  # (logits,)

    @classmethod
    def of(cls, values: Tensor, configuration: ParityConfiguration, width: int) -> "Layers":
        """The layers of `values`, (N,)."""
        c, w = configuration, width
        sizes = [c.tasks * w, c.bits * w, w, c.logits * w, c.logits]
        shapes = [(c.tasks, w), (c.bits, w), (w,), (c.logits, w), (c.logits,)]
        parts = values.split(sizes)
        return cls(*(part.view(shape) for part, shape in zip(parts, shapes, strict=True)))

    def contrast(self) -> tuple[Tensor, Tensor]:
        """Weights (width,) and bias () of the logit that the label is odd rather than even.

        Cross-entropy over two logits depends on their difference alone: with two, it is that.
        """
        if len(self.output) == 1:
            return self.output[0], self.output_bias[0]
        return self.output[1] - self.output[0], self.output_bias[1] - self.output_bias[0]
