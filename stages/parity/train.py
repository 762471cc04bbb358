"""Train one configuration of multitask sparse parity, on whatever device there is."""

from collections.abc import Sequence

import torch

from stages.params import ParityConfiguration
from stages.parity import one
from stages.parity.history import History, Report


def train(
    configuration: ParityConfiguration,
    seeds: Sequence[int],
    device: torch.device,
    report: Report,
) -> History:
    """Train `seeds`; they see the same samples from the same weights on any device.

    Raises:
        InputError: a replica does not fit the device's memory.
    """
    if device.type == "cpu":
        return one.train(configuration, seeds, report)
    from stages.parity import replicas  # needs Triton, which PyTorch brings where there is CUDA

    return replicas.train(configuration, seeds, device, report)
