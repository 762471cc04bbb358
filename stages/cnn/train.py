"""Train networks of one protocol, on whatever device there is."""

from collections.abc import Sequence

import torch

from stages.base import progress
from stages.base.params import CnnSweep
from stages.base.parts import Part
from stages.classification.history import Report, Trained
from stages.images.arrays import ARRAYS, Images
from stages.networks.cnn import Network
from stages.training import kept

ROOMS = ["images", "cnn", "classification", "networks", "studies"]
"""What may change a result, beside what all training rests on."""


def train(
    sweep: CnnSweep,
    width: int,
    seeds: Sequence[int],
    images: Images,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[Network]:
    """Train `seeds` of one width; they see the same data from the same weights on any device.

    Raises:
        InputError: a replica does not fit the device's memory, or the images are of a shape that
            the network does not take.
    """
    images = images.for_cnn()
    if device.type == "cpu":
        from stages.cnn import one  # needs Numba, which a GPU does not

        return one.train(sweep, width, seeds, images, report, keeping)
    from stages.cnn import replicas  # needs Triton, which PyTorch brings where there is CUDA

    return replicas.train(sweep, width, seeds, images, device, report, keeping)


def kept_of(
    part: Part, images: Images, device: torch.device, report: progress.Progress
) -> kept.Kept:
    """What is kept of a part's training on these images."""
    data = [getattr(images, name) for name in ARRAYS]
    return kept.of(part, device, report, ROOMS, data)
