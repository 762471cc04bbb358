"""Rows that a part can have, without training it."""

import numpy as np
import pandas as pd

from stages.base.parts import Part
from stages.classification.modules import Kind


def rows(part: Part, seed: int = 0) -> pd.DataFrame:
    """Its rows, with random numbers in (0, 1) where something is measured, and N of an `mlp`."""
    frame = part.keys.to_frame(index=False)
    if "parameters" not in frame and "width" in frame:
        sizes = {n: Kind("mlp", (3, 32, 32), 10).parameters(n) for n in frame["width"].unique()}
        frame["parameters"] = frame["width"].map(sizes)
    measured = [name for name in part.schema.names if name not in frame]
    drawn = np.random.default_rng(seed).random((len(frame), len(measured)))
    return frame.join(pd.DataFrame(drawn, columns=measured))
