"""Adam for all replicas in one launch, from partial gradients, as a Triton kernel."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
class Layer:
    """A run of a replica's flat weights whose gradient is the sum of `chunks` partial sums."""

    name: str
    size: int
    chunks: int


class Weights:
    """The flat weights of R replicas, their moments, and their partial gradients.

    Attributes:
        values: (R, parameters), the layers one after the other.
        partials: (R, sum of size * chunks); of a layer, chunk after chunk.
        offsets, partial_offsets: where a layer begins in each, by name.
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
        self.values, self._moments, self.partials = (
            torch.zeros(replicas, *size, dtype=precision, device=device)
            for size in ((self.total,), (2, self.total), (self.total_partials,))
        )
        self._table = torch.tensor(table, dtype=torch.int32, device=device)

    def _rows(self, layer: Layer) -> Iterator[tuple[int, ...]]:
        """Of each block: offset, size, then its partial sums' first, number and stride."""
        for start in range(0, layer.size, BLOCK):
            size = min(BLOCK, layer.size - start)
            source = self.total_partials + start
            yield self.total + start, size, source, layer.chunks, layer.size

    def load(self, values: Tensor) -> None:
        """Start training from `values`, (R, parameters)."""
        self.values.copy_(values)
        self._moments.zero_()

    def update(self, optimizer: Adam, schedule: Tensor, step: Tensor) -> None:
        """One step of every replica; `step` counts those done, `schedule` is the optimizer's."""
        adam[(len(self._table), len(self.values))](
            self.values, self._moments, self.partials, self._table, schedule, step,
            self.total, self.total_partials, optimizer.learning_rate, optimizer.weight_decay,
            BETA1, BETA2, EPSILON, optimizer.decoupled, BLOCK,
        )  # fmt: skip
