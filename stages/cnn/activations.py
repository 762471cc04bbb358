"""The last hidden layer of trained networks on the test images: what Figure 6's dimension is of.

From the weights of seed 0 that lie beside each part; on the CPU wherever it trained, so that the
numbers do not hang on the device. The networks of a sweep read the same pixels, so their first
convolutions are made as one, which takes a third less of one core in all: some 13 s for 10,000
images and the widths 1 to 20.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from stages.cnn.images import CLASSES
from stages.cnn.network import HIDDEN, Network
from stages.errors import InputError
from stages.runs import Part

BATCH = 200
"""Images at a time: their activations in one network stay in the cache."""
_FEW = 8
"""Images at a time in the first convolution of all networks, for the same reason."""

Apply = Callable[..., Iterable[Any]]
"""Like the built-in `map`, of one iterable."""


def trained(part: Part, classes: int = CLASSES, width: int | None = None) -> Network:
    """The network of seed 0 that was trained with `part`: of one width, where it has several.

    Raises:
        InputError: the weights are missing or damaged, from other params, or of another width.
    """
    mend = f"train it again: dvc repro --force --single-item {part.stage}"
    network = Network(width or part.configuration["width"], classes)
    prefix = f"{width}." if width else ""
    try:
        with safe_open(part.weights, framework="pt") as file:
            made = (file.metadata() or {}).get("fingerprint")
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            weights = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise InputError(f"{part.weights}: missing; {mend}, or restore it: git checkout") from None
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{part.weights}: damaged ({reason}); {mend}") from None
    if made != part.fingerprint:
        raise InputError(f"{part.weights}: made with other params; {mend}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{part.weights}: not this network's weights ({reason}); {mend}") from None
    return network


def last_hidden(
    networks: Sequence[Network],
    images: NDArray[np.uint8],
    input_range: list[float],
    apply: Apply = map,
) -> NDArray[np.float32]:
    """Activations, (networks, m, 64), of images (m, 32, 32, 3) scaled from 0..255 to `input_range`.

    `apply` is how to map a function over batches of the images: the `map` of a pool of threads
    makes several at a time. Memory beside the result, for each of them: 0.4 MB per width in total.
    """
    low, high = input_range
    networks = [network.to(memory_format=torch.channels_last) for network in networks]
    widths = [network.conv1.out_channels for network in networks]
    with torch.inference_mode():
        weight = torch.cat([network.conv1.weight for network in networks])
        weight = weight.contiguous(memory_format=torch.channels_last)
        biases = [network.conv1.bias for network in networks]
        bias = torch.cat([values for values in biases if values is not None])
    found = np.empty((len(networks), len(images), HIDDEN), np.float32)

    def first(few: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.array(few)).permute(0, 3, 1, 2).float()
        pixels.mul_((high - low) / 255).add_(low)
        return F.relu(F.max_pool2d(F.conv2d(pixels, weight, bias, padding=1), 2))

    @torch.inference_mode()
    def fill(start: int) -> None:
        batch = images[start : start + BATCH]
        x = torch.cat([first(batch[i : i + _FEW]) for i in range(0, len(batch), _FEW)])
        for network, features, out in zip(networks, x.split(widths, dim=1), found, strict=True):
            out[start : start + BATCH] = _hidden_after_first(network, features)

    for _ in apply(fill, range(0, len(images), BATCH)):
        pass  # runs them, and raises what they raise
    return found


def _hidden_after_first(network: Network, x: Tensor) -> Tensor:
    """The rest of `Network.hidden`, of what comes out of the first convolution's pooling."""
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.relu(F.max_pool2d(network.conv2(x), 2))
    x = F.relu(network.conv3(x))
    return F.relu(network.linear1(x.flatten(1)))
