"""Stage `plot_method`: the calibration of the method as plots/method.svg.

4/alpha and the measured dimensions against the true dimension of generated images, with the line on
which they would be right, and the test losses that the exponents are fitted to. About 3 s.
"""

import argparse
from pathlib import Path

import pandas as pd

from stages import errors, figures, params, runs
from stages.drawing import method

TITLE = "4/alpha and measured dimension against the true dimension of generated images"


def read(path: Path) -> pd.DataFrame:
    """A table of `fit_method`.

    Raises:
        InputError: it is missing, damaged or empty.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise errors.InputError(f"{path}: {reason}; make it: dvc repro fit_method") from None
    if table.empty:
        raise errors.InputError(f"{path}: no rows; make it again: dvc repro --force fit_method")
    return table


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    plot = params.load().plot
    readings, losses = (read(Path(f"metrics/{name}.csv")) for name in ("method", "method_losses"))
    with figures.style():
        figure = method.draw(readings, losses, plot)
    with runs.aside(Path("plots/method.svg")) as path:
        figures.save_svg(figure, path, TITLE)


if __name__ == "__main__":
    errors.run(main)
