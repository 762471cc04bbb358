"""The network that the hand-written engines train: the reference on images of 32 x 32 x 3."""

from stages.base.params import InitialWeights
from stages.images.arrays import CLASSES
from stages.networks.cnn import Network
from stages.training import modules


def initial(
    width: int, seed: int, classes: int = CLASSES, weights: InitialWeights = "pytorch"
) -> Network:
    """The network that training starts from, as `stages.training.modules.initial` draws it."""
    return modules.initial(lambda: Network(width, classes=classes), seed, weights)
