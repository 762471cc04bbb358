"""The last layers of trained networks on the test images: what Figure 6's dimension is of.

The paper says "the last hidden layer", not whether before its ReLU or after; what it released
measures student networks before it. Measured are both, and the logits.

From the weights beside each part; on the CPU wherever it trained, so that no number hangs
on the device. A sweep's networks read the same pixels, so their first convolutions are made as one
product for each of the four places that are pooled, which for three colours takes less than
PyTorch's: some 12 s of one core for 10,000 images and the widths 1 to 20. Other networks than
Figure 6's say by their own module what they compute (`of_any`).
"""

from collections.abc import Sequence
from typing import TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from stages.base.errors import InputError
from stages.base.params import FIRST, Layer, Snapshot
from stages.base.parts import Part
from stages.base.workers import Apply
from stages.classification.modules import watched
from stages.networks.cnn import HIDDEN, Network

LAYERS: tuple[Layer, ...] = get_args(Layer)
BATCH = 200  # images at a time: their activations in one network stay in the cache
_FEW = 4  # images at a time in the first convolution of all networks, for the same reason

Floats = NDArray[np.float32]
M = TypeVar("M", bound=nn.Module)


def trained(part: Part, network: M, width: int | None = None, snapshot: Snapshot = FIRST) -> M:
    """A network with weights that lie beside `part`: of one width, where of several.

    Raises:
        InputError: the weights are missing or damaged, from other params, or of another network.
    """
    prefix = snapshot.prefix + (f"{width}." if width else "")
    of_all = load(part.read_weights())
    names = {name: name.removeprefix(prefix) for name in of_all if name.startswith(prefix)}
    own = {of: of_all[name] for name, of in names.items() if "/" not in of}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        wrong = f"not this network's weights ({' '.join(str(error).split())})"
        raise part.refused(wrong, part.weights) from None
    return network


def of_any(
    network: nn.Module, last_hidden: str, images: NDArray[np.uint8], input_range: list[float]
) -> dict[Layer, Floats]:
    """The layers by their names, (m, units) each, of a network whose `last_hidden` is so called.

    Of images (m, rows, columns, channels), scaled from 0..255 to `input_range`.
    """
    low, high = input_range
    network = network.eval()
    before, after = [], []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            pixels = torch.from_numpy(np.array(images[start : start + BATCH])).permute(0, 3, 1, 2)
            batch = pixels.to(torch.float32).mul_((high - low) / 255).add_(low)
            hidden, logits = watched(network, last_hidden, batch)
            if hidden is None:
                raise InputError(f"{last_hidden}: no layer that the network calls")
            before.append(hidden)
            after.append(logits)
    hidden = torch.cat(before)
    found = hidden.numpy(), hidden.clamp_min(0).numpy(), torch.cat(after).numpy()
    return dict(zip(LAYERS, found, strict=True))


def layers(network: Network, preactivations: Floats) -> dict[Layer, Floats]:
    """What comes of the last hidden layer before its ReLU, (m, 64): the layers by their names."""
    with torch.inference_mode():
        activations = torch.from_numpy(preactivations).clamp_min(0)
        logits = network.linear2(activations)
    found = preactivations, activations.numpy(), logits.numpy()
    return dict(zip(LAYERS, found, strict=True))


def last_hidden(
    networks: Sequence[Network],
    images: NDArray[np.uint8],
    input_range: list[float],
    apply: Apply = map,
) -> Floats:
    """The last hidden layers before their ReLU, (networks, m, 64).

    Of images (m, 32, 32, 3), scaled from 0..255 to `input_range`. `apply` is how to map a function
    over batches of them; each under way takes 0.4 MB of memory per width in total.
    """
    low, high = input_range
    networks = [network.to(memory_format=torch.channels_last) for network in networks]
    widths = [network.conv1.out_channels for network in networks]
    with torch.inference_mode():
        weight = torch.cat([network.conv1.weight for network in networks])
        weight = weight.permute(2, 3, 1, 0).reshape(-1, sum(widths))  # (row, column, colour)
        biases = [network.conv1.bias for network in networks]
        bias = torch.cat([values for values in biases if values is not None])
    found = np.empty((len(networks), len(images), HIDDEN), np.float32)

    def first(few: NDArray[np.uint8]) -> Tensor:
        """(n, 16, 16, all channels)"""
        n, height, width, colours = few.shape
        padded = torch.zeros(n, height + 2, width + 2, colours)
        inside = padded[:, 1:-1, 1:-1]
        inside.copy_(torch.from_numpy(np.array(few))).mul_((high - low) / 255).add_(low)
        windows = padded.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3)
        largest = windows[:, ::2, ::2].reshape(-1, len(weight)) @ weight
        for row, column in ((0, 1), (1, 0), (1, 1)):
            other = windows[:, row::2, column::2].reshape(-1, len(weight)) @ weight
            torch.maximum(largest, other, out=largest)
        pooled: Tensor = largest.add_(bias).clamp_min_(0)
        return pooled.view(n, height // 2, width // 2, -1)

    @torch.inference_mode()
    def fill(start: int) -> None:
        batch = images[start : start + BATCH]
        size = (len(batch), images.shape[1] // 2, images.shape[2] // 2)
        pooled = [torch.empty(*size, width) for width in widths]
        for i in range(0, len(batch), _FEW):
            parts = first(batch[i : i + _FEW]).split(widths, dim=3)
            for features, part in zip(pooled, parts, strict=True):
                features[i : i + _FEW] = part
        for network, features, out in zip(networks, pooled, found, strict=True):
            out[start : start + BATCH] = _hidden_after_first(network, features)

    for _ in apply(fill, range(0, len(images), BATCH)):
        pass  # runs them, and raises what they raise
    return found


def _hidden_after_first(network: Network, x: Tensor) -> Tensor:
    """The rest of `Network.hidden`, of what is pooled first, the channels in its last axis."""
    x = x.permute(0, 3, 1, 2)
    x = F.relu(F.max_pool2d(network.conv2(x), 2))
    x = F.relu(network.conv3(x))
    before: Tensor = network.linear1(x.flatten(1))
    return before
