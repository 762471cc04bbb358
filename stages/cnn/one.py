"""The CNN on the CPU: `stages.classification.one` with the passes of `layers`."""

from collections.abc import Sequence

from torch import Tensor

from stages.base.params import CnnSweep
from stages.classification import draws, one, splits
from stages.classification.history import Report, Run, Trained
from stages.classification.splits import Split
from stages.cnn import layers
from stages.cnn.network import initial
from stages.images.arrays import Images
from stages.networks.cnn import Network
from stages.training import kept


def passes(sweep: CnnSweep) -> one.Logits[Network]:
    """How `layers` compute the logits of images in a sweep's range."""
    low, high = sweep.input_range
    scale = (high - low) / 255

    def logits(network: Network, split: Split, packed: draws.Draws) -> Tensor:
        return layers.logits(network, layers.drawn(split.pixels, packed, scale, low))

    return logits


def train(
    sweep: CnnSweep,
    width: int,
    seeds: Sequence[int],
    images: Images,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[Network]:
    """Train each seed on one core, as many at once as there are cores."""
    data = splits.data(sweep, images)
    runs = [Run(width, seed) for seed in seeds]
    return one.train(
        sweep,
        runs,
        lambda run: initial(run.width, run.seed, images.classes, sweep.initial_weights),
        passes(sweep),
        data,
        splits.rates(sweep, data),
        report,
        keeping,
    )
