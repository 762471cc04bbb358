"""What rows of measured dimensions are of, by their first columns."""

IMAGES = "images"
"""The `source` of the images that the sweeps are of; of a network it is its sweep or study."""
COLUMNS = ["source", "width", "seed", "epochs", "layer"]
"""Images have a `source` alone."""
WHOLE = {"width": "Int64", "seed": "Int64"}


def source(images: str, of_sweeps: str = "") -> str:
    """The `source` of images of section `images`, where the sweeps are of those named last."""
    return IMAGES if images == of_sweeps else f"{IMAGES} {images}"
