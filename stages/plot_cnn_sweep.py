"""Stages `plot_cnn_sweep` and `plot_cnn_import`: the scatter and the violins of one sweep.

As plots/cnn_scaling_<sweep>.svg and plots/cnn_violin_<sweep>.svg. Takes a few seconds.
"""

import argparse
from pathlib import Path

from stages.base import errors, item, params
from stages.drawing import cnn_scaling, style
from stages.drawing.cnn import Drawn


def draw(runs: Drawn, sweep: str, plot: params.Plot, output: Path) -> None:
    """The two figures of one sweep.

    Raises:
        InputError: the tables hold no such sweep.
    """
    if sweep not in runs.sweeps:
        known = ", ".join(runs.sweeps)
        raise errors.InputError(f"cnn.parquet: no sweep {sweep!r}; there is {known}")
    style.save_svg(
        cnn_scaling.scaling(runs, sweep, plot),
        output / f"cnn_scaling_{sweep}.svg",
        f"Loss and accuracy of sweep {sweep} against parameters, with quantile regressions",
    )
    style.save_svg(
        cnn_scaling.violins(runs, sweep, plot),
        output / f"cnn_violin_{sweep}.svg",
        f"Distribution of loss and accuracy of sweep {sweep} over runs and epochs, by parameters",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep")
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("plots"), help="folder")
    arguments = parser.parse_args(item.arguments())
    plot = params.load().plot
    with style.drawing():
        draw(Drawn.read(arguments.tables), arguments.sweep, plot, arguments.output)


if __name__ == "__main__":
    errors.run(main)
