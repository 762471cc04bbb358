"""Where training runs, and how a step is launched there."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from stages.base.errors import InputError

VARIABLE = "SCALING_DEVICE"
"""Environment variable that names the device: `cpu` or `cuda`; without it, CUDA where it is."""


def choose() -> torch.device:
    """The device to train on.

    Raises:
        InputError: `SCALING_DEVICE` names no device, or one that is not here.
    """
    name = os.environ.get(VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise InputError(f"{VARIABLE}={name}: no such device; set it to cpu or cuda, or unset it")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{VARIABLE}=cuda: PyTorch finds no CUDA device here; set it to cpu")
    return torch.device(name)


def captured(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """`step` as one CUDA graph, launched whole; elsewhere `step` itself.

    `step` runs once beforehand, to compile its kernels: load the weights after this call. A graph
    knows addresses alone: the caller keeps whatever tensors `step` reads or writes.
    """
    if device.type != "cuda":
        return step
    step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class Branch:
    """Kernels beside the others: a second stream, in a captured graph a branch of its own.

    `with branch():` launches kernels that need nothing from those launched after them, until
    `join()`. Without CUDA, everything runs in order.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            yield

    def join(self) -> None:
        """What follows waits for the branch."""
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)


def groups(replicas: int, build: Callable[[int], object], what: str) -> list[int]:
    """Sizes of the groups in which `replicas` fit the CUDA device's free memory, by measurement.

    `build(1)` allocates what one replica needs.

    Raises:
        InputError: not even one fits; the message says `what`.
    """
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    most = int(torch.cuda.get_per_process_memory_fraction() * total)  # where workers share a GPU
    free = min(free, most - torch.cuda.memory_reserved())
    before = torch.cuda.memory_allocated()
    from triton.runtime.errors import OutOfResources

    try:
        one = build(1)
    except (torch.OutOfMemoryError, OutOfResources) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{what}: one replica does not fit the GPU ({reason}); "
            f"choose a smaller width or batch, or set {VARIABLE}=cpu"
        ) from None
    each = torch.cuda.memory_allocated() - before
    del one
    gc.collect()
    torch.cuda.empty_cache()
    return split(replicas, free, each)


def split(replicas: int, free: int, each: int) -> list[int]:
    """Sizes of as few groups as fit `free` bytes where a replica takes `each`; they differ by one.

    A tenth is left for what the allocator cannot hand out.
    """
    fit = max(1, int(0.9 * free / each))
    count = -(-replicas // fit)
    return [replicas // count + (i < replicas % count) for i in range(count)]
