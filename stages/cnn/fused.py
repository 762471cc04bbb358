"""The convolutions in float16, a layer or two of an image at a time on chip: stages/cnn/fused.cu.

Compiled for each width by NVRTC, which PyTorch brings where there is CUDA.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.base.errors import InputError
from stages.training.kernels import Weights

SOURCE = Path(__file__).with_suffix(".cu")
WIDEST = 32
"""Wider networks' activations and weights do not fit on chip."""
VECTOR = 8
"""Channels that lie together."""
FORWARD_IMAGES, CONV3_IMAGES = 8, 8
"""Images of a block in the forward pass."""
RANGE = 2**8
"""What gradients of an image's loss are scaled by: float16 holds 2^-24 to 65504."""
THREADS = 256

Launch = Callable[[tuple[int, int], int, list[Any]], None]
"""Launches a kernel over a grid, with so many bytes of shared memory, with these arguments."""


def signatures(source: str) -> dict[str, list[str]]:
    """The names of each kernel's arguments, in order."""
    kernels = re.findall(r"__launch_bounds__\([^)]*\)\s*(\w+)\((.*?)\)\s*\{", source, re.DOTALL)
    return {name: re.findall(r"(\w+)(?:,|$)", arguments) for name, arguments in kernels}


def compiled(width: int) -> dict[str, Launch]:
    """The kernels for networks of this width, by name."""
    from torch.cuda import _utils as nvrtc  # public only as `torch.cuda._compile_kernel`, one by one

    source = SOURCE.read_text()
    names = list(signatures(source))
    binary, _ = nvrtc._nvrtc_compile(source, names[0], nvcc_options=[f"-DWIDTH={width}"])
    kernels: Any = nvrtc._cuda_load_module(binary, names)

    def launch(name: str) -> Launch:
        kernel = kernels[name]

        def run(grid: tuple[int, int], shared: int, arguments: list[Any]) -> None:
            kernel.set_shared_memory_config(shared)
            kernel(grid=(*grid, 1), block=(THREADS, 1, 1), args=arguments, shared_mem=shared)

        return run

    return {name: launch(name) for name in names}


class Fused:
    """The passes through the convolutions of R replicas of one width.

    Raises:
        InputError: the network is too wide.
    """

    def __init__(
        self, width: int, batch: int, chunk: int, weights: Weights, device: torch.device
    ) -> None:
        if width > WIDEST:
            raise InputError(
                f"width {width}: precision float16 takes networks up to width {WIDEST}; "
                "set precision to tf32"
            )
        self._batch, self._chunk, self._replicas = batch, chunk, len(weights.values)
        self._kernels, self._names = compiled(width), signatures(SOURCE.read_text())
        narrow, wide = -(-width // VECTOR), -(-2 * width // VECTOR)
        a, b = narrow | 1, wide | 1
        image, conv3 = 34 * 17, 16 * -(-9 * wide // 2) * b
        maps = {"hidden1": 18 * 18 * a, "place1": 256 * a, "gradient1": 256 * a}
        maps |= {"hidden2": 64 * b, "place2": 64 * b, "gradient2": 64 * b}
        conv2 = 16 * -(-9 * narrow // 2) * b
        vectors = {
            "packed": 0,
            "forward": 4 * image + 2 * maps["hidden1"] + conv2,
            "forward3": 4 * maps["hidden2"] + conv3,
            "backward3": 4 * maps["hidden2"] + 4 * 100 * b + conv3,
            "backward2": maps["hidden1"] + 18 * 18 * b + conv2,
            "backward1": 2 * image + 2 * maps["gradient1"],
        }
        self._shared = {name: (2 + count + 1) * 16 for name, count in vectors.items()}
        self._arguments: dict[str, Any] = {
            name: torch.zeros(
                self._replicas, batch, size * VECTOR, dtype=torch.float16, device=device
            )
            for name, size in maps.items()
        }
        self._arguments |= {
            name: torch.zeros(self._replicas, size * VECTOR, dtype=torch.float16, device=device)
            for name, size in (("weights2", conv2), ("weights3", conv3))
        }
        self._arguments |= {
            "chunk": chunk,
            "gradient_scale": float(RANGE * 2 ** (batch - 1).bit_length()),
        }
        for layer in ("conv2", "conv3"):
            self._arguments[f"offset{layer[-1]}"] = weights.offsets[layer]
            self._arguments[f"offset{layer[-1]}_partials"] = weights.partial_offsets[layer]

    def forward(self, arguments: Mapping[str, Any], *, train: bool) -> None:
        """From the images that are drawn to hidden3."""
        pairs = 4 * sum(self._arguments[name][0].numel() // VECTOR for name in ("weights2", "weights3"))
        self._launch("packed", -(-pairs // THREADS), arguments)
        for name, per in (("forward", FORWARD_IMAGES), ("forward3", CONV3_IMAGES)):
            per = min(per, -(-self._batch // 8))
            self._launch(name, -(-self._batch // per), {**arguments, "per": per, "train": int(train)})

    def backward(self, arguments: Mapping[str, Any]) -> None:
        """From gradient3 to the weights' partial gradients."""
        for name in ("backward3", "backward2", "backward1"):
            self._launch(name, -(-self._batch // self._chunk), arguments)

    def _launch(self, name: str, blocks: int, arguments: Mapping[str, Any]) -> None:
        known = {**self._arguments, **arguments}
        values = [known[each] for each in self._names[name]]
        self._kernels[name]((blocks, self._replicas), self._shared[name], values)


__all__ = ["Fused", "Tensor"]
