"""Train students of random teachers, on whatever device there is."""

import torch

from stages.students.configuration import Configuration
from stages.students.history import Report, Trained
from stages.training import kept


def train(
    configuration: Configuration,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained:
    """Train all students; they see the same samples from the same weights on any device."""
    if device.type == "cpu":
        from stages.students import one  # needs Numba, which a GPU does not

        return one.train(configuration, report, keeping)
    from stages.students import replicas  # needs Triton, which PyTorch brings where there is CUDA

    return replicas.train(configuration, device, report, keeping)
