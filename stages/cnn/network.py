"""The network that the hand-written engines train: the reference on images of 32 x 32 x 3."""

from stages.base.params import InitialWeights
from stages.classification import modules
from stages.images.arrays import CLASSES
from stages.networks.cnn import Network


def initial(
    width: int, seed: int, classes: int = CLASSES, weights: InitialWeights = "pytorch"
) -> Network:
    """The network that training starts from: see `stages.classification.modules.initial`."""
    return modules.initial(lambda: Network(width, classes=classes), seed, weights)
