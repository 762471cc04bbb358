"""The last hidden layer of a trained network on the test images: what Figure 6's dimension is of.

From the weights of seed 0 that lie beside each part; on the CPU wherever it trained, so that the
numbers do not hang on the device. About 1 s per network and core for 10,000 images.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from stages.cnn.images import CLASSES
from stages.cnn.network import Network
from stages.errors import InputError
from stages.runs import Part

BATCH = 200
"""Images at a time: their activations stay in the cache."""


def trained(part: Part, classes: int = CLASSES) -> Network:
    """The network of seed 0 that was trained with `part`.

    Raises:
        InputError: the weights are missing or damaged, from other params, or of another width.
    """
    mend = f"train it again: dvc repro --force --single-item {part.stage}"
    network = Network(part.configuration["width"], classes)
    try:
        with safe_open(part.weights, framework="pt") as file:
            made = (file.metadata() or {}).get("fingerprint")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
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
    network: Network, images: NDArray[np.uint8], input_range: list[float]
) -> NDArray[np.float32]:
    """Activations, (m, 64), of images (m, 32, 32, 3) scaled from 0..255 to `input_range`."""
    low, high = input_range
    network = network.to(memory_format=torch.channels_last)
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            pixels = torch.from_numpy(np.array(images[start : start + BATCH]))
            batch = pixels.permute(0, 3, 1, 2).float()
            found.append(network.hidden(batch.mul_((high - low) / 255).add_(low)))
        return torch.cat(found).numpy()
