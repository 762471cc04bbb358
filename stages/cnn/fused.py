"""The convolutions of many replicas in float16: launches of the kernels in stages/cnn/fused.cu.

They keep what lies between layers on chip, where stages/cnn/kernels.py, in TF32 or float32, takes
each layer through memory: about a third of the time (LOG.md). NVRTC, which PyTorch brings where
there is CUDA, compiles them for each width.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from stages.base.errors import InputError
from stages.training.kernels import Weights

SOURCE = Path(__file__).with_suffix(".cu")
WIDEST = 32
"""Activations and weights of wider networks do not fit on chip."""
IMAGES = 8
"""The most images of a block in the forward pass."""
RANGE = 2**8
"""What the gradients of an image's loss are multiplied by: float16 holds 2^-24 to 65504."""
THREADS, VECTOR = 256, 8
"""Threads of a block; channels that lie together, in 16 bytes."""
SUB = 4
"""Images whose conv3 is computed together."""

Launch = Callable[[tuple[int, int], int, list[Any]], None]
"""Launches a kernel over a grid, with so many bytes of shared memory, with these arguments."""


def signatures(source: str) -> dict[str, tuple[str, list[str]]]:
    """The arguments of each kernel, as they are declared and their names."""
    kernels = re.findall(r"__launch_bounds__\([^)]*\)\s*(\w+)\((.*?)\)\s*\{", source, re.DOTALL)
    return {name: (text, re.findall(r"(\w+)(?:,|$)", text)) for name, text in kernels}


def compiled(width: int) -> dict[str, Launch]:
    """The kernels for networks of this width, by name."""
    # what torch.cuda._compile_kernel is made of: that takes one kernel, and compiles all for each
    from torch.cuda import _utils as nvrtc

    source = SOURCE.read_text()
    names = list(signatures(source))
    binary, _ = nvrtc._nvrtc_compile(source, names[0], nvcc_options=[f"-DWIDTH={width}"])
    kernels: Any = nvrtc._cuda_load_module(binary, names)

    def of(kernel: Any) -> Launch:
        def launch(grid: tuple[int, int], shared: int, arguments: list[Any]) -> None:
            kernel.set_shared_memory_config(shared)
            kernel(grid=(*grid, 1), block=(THREADS, 1, 1), args=arguments, shared_mem=shared)

        return launch

    return {name: of(kernels[name]) for name in names}


class Fused:
    """The passes through the convolutions of R replicas of one width.

    Raises:
        InputError: the networks are too wide.
    """

    def __init__(
        self, width: int, batch: int, chunk: int, weights: Weights, device: torch.device
    ) -> None:
        if width > WIDEST:
            raise InputError(
                f"width {width}: precision float16 takes networks of width {WIDEST} at most; "
                "set precision to tf32"
            )
        self._batch, self._chunk, self._replicas = batch, chunk, len(weights.values)
        self._kernels, self._signatures = compiled(width), signatures(SOURCE.read_text())
        narrow, wide = (-(-channels // VECTOR) for channels in (width, 2 * width))
        a, b = narrow | 1, wide | 1  # vectors of a pixel
        hidden1, hidden2, image = 18 * 18 * a, 8 * 8 * b, 34 * 17
        weights2, weights3 = (16 * -(-9 * inputs // 2) * b for inputs in (narrow, wide))
        of_images = {
            "hidden1": hidden1, "place1": 16 * 16 * a, "gradient1": 16 * 16 * a,
            "hidden2": hidden2, "place2": hidden2, "gradient2": hidden2,
        }  # fmt: skip

        def buffer(vectors: int, *of: int) -> torch.Tensor:
            size = (self._replicas, *of, vectors * VECTOR)
            return torch.zeros(size, dtype=torch.float16, device=device)

        self._arguments: dict[str, Any] = {
            "chunk": chunk,
            "gradient_scale": float(RANGE * 2 ** (batch - 1).bit_length()),
            "offset2": weights.offsets["conv2"],
            "offset3": weights.offsets["conv3"],
            "offset2_partials": weights.partial_offsets["conv2"],
            "offset3_partials": weights.partial_offsets["conv3"],
            "weights2": buffer(weights2),
            "weights3": buffer(weights3),
        } | {name: buffer(vectors, batch) for name, vectors in of_images.items()}
        self._pairs = (weights2 + weights3) * VECTOR // 2
        vectors = {
            "packed": 0,
            "forward": 4 * image + 2 * hidden1 + weights2,
            "forward3": SUB * hidden2 + weights3,
            "backward3": SUB * hidden2 + SUB * 10 * 10 * b + weights3,
            "backward2": hidden1 + 18 * 18 * b + weights2,
            "backward1": 2 * image + 2 * 16 * 16 * a,
        }
        # with two constants, and a vector that tiles of an odd number of vectors are read with
        self._shared = {name: (2 + count + 1) * 2 * VECTOR for name, count in vectors.items()}

    def forward(self, arguments: Mapping[str, Any], *, train: bool) -> None:
        """From the images of this step to hidden3 and, to train, all that `backward` wants."""
        self._launch("packed", -(-self._pairs // THREADS), arguments)
        per = min(IMAGES, -(-self._batch // 8))
        for name in ("forward", "forward3"):
            known = {**arguments, "per": per, "train": int(train)}
            self._launch(name, -(-self._batch // per), known)

    def backward(self, arguments: Mapping[str, Any]) -> None:
        """From gradient3 to the weights' partial gradients."""
        for name in ("backward3", "backward2", "backward1"):
            self._launch(name, -(-self._batch // self._chunk), arguments)

    def _launch(self, name: str, blocks: int, arguments: Mapping[str, Any]) -> None:
        known = {**self._arguments, **arguments}
        _, names = self._signatures[name]
        values = [known[each] for each in names]
        self._kernels[name]((blocks, self._replicas), self._shared[name], values)
