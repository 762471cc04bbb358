"""Replicas in groups that fit the device's memory, and graphs that keep theirs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from stages.base.errors import InputError
from stages.images.arrays import Images
from stages.training import device
from tests.helpers.frozen import FROZEN

MIB = 1 << 20


@pytest.mark.parametrize(
    ("replicas", "free", "each", "sizes"),
    [
        (40, 1000, 1, [40]),
        (40, 100, 3, [20, 20]),
        (7, 100, 30, [3, 2, 2]),
        (5, 100, 89, [1] * 5),
        (2, 100, 99, [1, 1]),  # it was built once, so it fits
    ],
)
def test_groups_are_few_and_alike(replicas: int, free: int, each: int, sizes: list[int]) -> None:
    assert device.split(replicas, free, each) == sizes


@contextmanager
def left(free: int) -> Iterator[None]:
    """All of the GPU's memory is taken but so many bytes."""
    gc.collect()
    torch.cuda.empty_cache()
    ballast = torch.empty(torch.cuda.mem_get_info()[0] - free, dtype=torch.uint8, device="cuda")
    try:
        yield
    finally:
        del ballast
        torch.cuda.empty_cache()


@pytest.mark.gpu
def test_on_a_gpu_groups_fit_what_is_free() -> None:
    def build(replicas: int) -> torch.Tensor:
        return torch.empty(replicas * 64 * MIB, dtype=torch.uint8, device="cuda")

    with left(300 * MIB):
        sizes = device.groups(10, build, "a test")
        assert sizes == [4, 3, 3]
        for size in sizes:
            build(size)


@pytest.mark.gpu
def test_on_a_gpu_a_replica_that_does_not_fit_is_one_line() -> None:
    def build(replicas: int) -> torch.Tensor:
        return torch.empty(replicas * 300 * MIB, dtype=torch.uint8, device="cuda")

    with left(200 * MIB), pytest.raises(InputError, match="width 9: one replica does not") as error:
        device.groups(10, build, "width 9")
    assert "\n" not in str(error.value)


@pytest.mark.gpu
def test_on_a_gpu_training_in_groups_gives_the_same_bits() -> None:
    from stages.classification import splits
    from stages.cnn import replicas

    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4096, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, 4096).astype(np.uint8)
    images = Images(pixels, labels, pixels[:512], labels[:512])
    sweep = FROZEN.cnn.sweeps["notebook"]
    sweep = sweep.model_copy(update={"batch_size": 2048, "epochs": 2})
    cuda = torch.device("cuda")
    sizes: list[int] = []

    def trained() -> dict[str, np.ndarray]:
        sizes.clear()
        result = replicas.train(
            sweep, 20, range(5), images, cuda, lambda size, loss: sizes.append(size)
        )
        return result.history.values

    together = trained()
    assert sizes == [5, 5]
    data = splits.data(sweep, images, cuda)
    before = torch.cuda.memory_allocated()
    one = replicas.Replicas(sweep, 20, 1, data)
    each = torch.cuda.memory_allocated() - before
    del one, data
    with left(int(3.4 * each)):  # three, less the images and what the allocator keeps
        in_groups = trained()
    assert len(sizes) > 2
    assert sum(sizes) == 10
    for metric, values in together.items():
        np.testing.assert_array_equal(values, in_groups[metric])
