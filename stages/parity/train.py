"""Train networks on multitask sparse parity, on whatever device there is."""

import torch

from stages.base.params import ParityConfiguration
from stages.parity.history import History, Report
from stages.parity.plan import Family
from stages.training import kept


def train(
    configuration: ParityConfiguration,
    family: Family,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> History:
    """Train the runs of a family; they see the same samples from the same weights on any device.

    Raises:
        InputError: a run does not fit the device's memory.
    """
    if device.type == "cpu":
        from stages.parity import one  # needs Numba, which a GPU does not

        return one.train(configuration, family, report, keeping)
    from stages.parity import replicas  # needs Triton, which PyTorch brings where there is CUDA

    return replicas.train(configuration, family, device, report, keeping)
