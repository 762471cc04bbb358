"""Train one configuration of the CNN study, on whatever device there is."""

from collections.abc import Sequence

import torch

from stages.base.params import CnnSweep
from stages.cnn.history import Report, Trained
from stages.images.arrays import Images


def train(
    sweep: CnnSweep,
    width: int,
    seeds: Sequence[int],
    images: Images,
    device: torch.device,
    report: Report,
) -> Trained:
    """Train `seeds` of one width; they see the same data from the same weights on any device.

    Raises:
        InputError: a replica does not fit the device's memory.
    """
    if device.type == "cpu":
        from stages.cnn import one  # needs Numba, which a GPU does not

        return one.train(sweep, width, seeds, images, report)
    from stages.cnn import replicas  # needs Triton, which PyTorch brings where there is CUDA

    return replicas.train(sweep, width, seeds, images, device, report)
