"""Stage `plot_method`: the calibration of the method as plots/method.svg.

4/alpha and the measured dimensions against the true dimension of generated images, with the line on
which they would be right, and the test losses that the exponents are fitted to. About 3 s.
"""

import argparse
from pathlib import Path

from stages.base import errors, params, tables
from stages.drawing import method, style

TITLE = "4/alpha and measured dimension against the true dimension of generated images"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    plot = params.load().plot
    readings, losses = (
        tables.read(Path(f"metrics/{name}.csv")) for name in ("method", "method_losses")
    )
    with style.drawing():
        figure = method.draw(readings, losses, plot)
    style.save_svg(figure, Path("plots/method.svg"), TITLE)


if __name__ == "__main__":
    errors.run(main)
