"""What images and sweeps are called where people read of them: in figures and pages.

The published numbers are of CIFAR-10, and the images of other numbers are named where they differ.
"""

from stages.base.params import Params, PublishedImages

PUBLISHED = "cifar10"  # the source of images that the published numbers are of
DATA_SETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "svhn": "SVHN",
}


def images(p: Params, name: str = "") -> str:
    """Images of section `images`; those of the sweeps, unless said otherwise."""
    name = name or p.cnn.images
    settings = p.images[name]
    if isinstance(settings, PublishedImages):
        return DATA_SETS[settings.source]
    if settings.source == "folder":
        return f"the images {name}"
    return f"generated images of d = {settings.dimension}"


def other_images(p: Params) -> str:
    """Name the sweeps' images if the published numbers are of another data set; else return ""."""
    return "" if p.images[p.cnn.images].source == PUBLISHED else images(p)


def sweep(p: Params, name: str) -> str:
    """A sweep beside the published numbers. Of imported runs nobody told us the images."""
    if name in p.imports:
        return name
    return f"ours, {name}" + (f"\n{other_images(p)}" if other_images(p) else "")


def sharma_kaplan(p: Params) -> str:
    """Sharma & Kaplan's numbers beside such sweeps."""
    return "Sharma & Kaplan" + (f"\n{DATA_SETS[PUBLISHED]}" if other_images(p) else "")
