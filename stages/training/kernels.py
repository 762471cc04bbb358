"""What both engines' Triton kernels share: their launch, by name, and Adam for all replicas.

Adam sums the partial gradients that an engine leaves, and updates every replica in one launch.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from stages.training.adam import BETA1, BETA2, EPSILON, Adam

BLOCK = 256


@triton.jit
def adam(
    weights, moments, partials, table, schedule, step, total, total_partials,
    learning_rate, weight_decay,
    BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr,
    DECOUPLED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of one replica's weights. Grid (rows of the table, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    table += tl.program_id(0) * 5
    i = tl.arange(0, BLOCK)
    mask = i < tl.load(table + 1)
    partials += replica * total_partials + tl.load(table + 2)
    stride = tl.load(table + 4)
    gradient = tl.zeros((BLOCK,), weights.dtype.element_ty)
    for chunk in range(tl.load(table + 3)):
        gradient += tl.load(partials + chunk * stride + i, mask=mask, other=0.0)

    weights += replica * total + tl.load(table)
    moments += replica * 2 * total + tl.load(table)
    weight = tl.load(weights + i, mask=mask, other=0.0)
    if DECOUPLED:
        weight *= 1 - learning_rate * weight_decay
    else:
        gradient += weight_decay * weight
    first = tl.load(moments + i, mask=mask, other=0.0)
    second = tl.load(moments + total + i, mask=mask, other=0.0)
    first += (1 - BETA1) * (gradient - first)
    second = BETA2 * second + (1 - BETA2) * gradient * gradient
    schedule += tl.load(step) * 2
    denominator = tl.sqrt(second) * tl.load(schedule + 1) + EPSILON
    weight -= tl.load(schedule) * first / denominator
    tl.store(weights + i, weight, mask=mask)
    tl.store(moments + i, first, mask=mask)
    tl.store(moments + total + i, second, mask=mask)


@dataclass(frozen=True)
class Launcher:
    """Launches kernels for R replicas side by side, every argument bound by its name.

    Attributes:
        replicas: R, the last axis of every grid.
        arguments: buffers and sizes, by the names that the kernels give them.
        warps_stages: warps of a program and stages of its pipeline, by kernel; else 4 and 3.
    """

    replicas: int
    arguments: Mapping[str, Any]
    warps_stages: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __call__(self, kernel: Any, grid: tuple[int, ...], **special: Any) -> None:
        """Launch a kernel over (*grid, R) with those `arguments` that it names and its `special`.

        Raises:
            TypeError: an argument has no value or two, or the kernel does not name it.
        """
        name, names = kernel.fn.__name__, kernel.arg_names
        if wrong := (set(names) - self.arguments.keys()) ^ special.keys():
            raise TypeError(f"{name}: {', '.join(sorted(wrong))}: missing, unknown or given twice")
        known = {**self.arguments, **special}
        warps, stages = self.warps_stages.get(name, (4, 3))
        launch = kernel[(*grid, self.replicas)]
        launch(**{each: known[each] for each in names}, num_warps=warps, num_stages=stages)


@dataclass(frozen=True)
class Layer:
    """A run of a replica's flat weights whose gradient is the sum of `chunks` partial sums."""

    name: str
    size: int
    chunks: int


class Weights:
    """The flat weights of R replicas, their moments, and their partial gradients.

    Attributes:
        values: (R, parameters), the layers one after the other.
        moments: (R, 2, parameters), Adam's.
        partials: (R, sum of size * chunks); of a layer, chunk after chunk.
        offsets, partial_offsets: where a layer begins in each, by name.
        arguments: buffers and sizes, by the names that kernels give them.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        replicas: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.offsets: dict[str, int] = {}
        self.partial_offsets: dict[str, int] = {}
        self.total = self.total_partials = 0
        table: list[tuple[int, ...]] = []
        for layer in layers:
            self.offsets[layer.name] = self.total
            self.partial_offsets[layer.name] = self.total_partials
            table += self._rows(layer)
            self.total += layer.size
            self.total_partials += layer.size * layer.chunks
        self.values, self.moments, self.partials = (
            torch.zeros(replicas, *size, dtype=precision, device=device)
            for size in ((self.total,), (2, self.total), (self.total_partials,))
        )
        self.arguments: dict[str, Any] = {
            "weights": self.values,
            "moments": self.moments,
            "partials": self.partials,
            "table": torch.tensor(table, dtype=torch.int32, device=device),
            "total": self.total,
            "total_partials": self.total_partials,
        }

    def _rows(self, layer: Layer) -> Iterator[tuple[int, ...]]:
        """Each block's offset and size, then its partial sums' first, number and stride."""
        for start in range(0, layer.size, BLOCK):
            size = min(BLOCK, layer.size - start)
            source = self.total_partials + start
            yield self.total + start, size, source, layer.chunks, layer.size

    def load(self, values: Tensor) -> None:
        """Start training from `values`, (R, parameters)."""
        self.values.copy_(values)
        self.moments.zero_()

    def update(self, optimizer: Adam, schedule: Tensor, step: Tensor) -> None:
        """One step of every replica; `step` counts those done, `schedule` is the optimizer's."""
        launch = Launcher(len(self.values), self.arguments)
        launch(
            adam, (len(self.arguments["table"]),), schedule=schedule, step=step,
            learning_rate=optimizer.learning_rate, weight_decay=optimizer.weight_decay,
            BETA1=BETA1, BETA2=BETA2, EPSILON=EPSILON, DECOUPLED=optimizer.decoupled, BLOCK=BLOCK,
        )  # fmt: skip
