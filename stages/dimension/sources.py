"""What rows of measured dimensions are of, by their column `source`."""

IMAGES = "images"
"""The images that the sweeps are of. Of a network it is the name of its sweep or study."""


def source(images: str, of_sweeps: str = "") -> str:
    """The `source` of images of section `images`, where the sweeps are of those named last."""
    return IMAGES if images == of_sweeps else f"{IMAGES} {images}"
