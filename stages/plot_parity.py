"""Stage `plot_parity`: the figures of multitask sparse parity, and the series for `dvc plots`.

Reads the aggregated tables and those of `fit_parity` from metrics. Writes as SVG and CSV

- parity_curves: losses of tasks and their mean against steps (Figure 7);
- parity_emergence: every task's loss at every step, as a heat map;
- parity_learning_times: steps until a task is learned against its frequency (Figure 8);
- parity_scaling: mean loss against parameters, steps and samples (Figure 2); a CSV for each;
- parity_exponents: exponents against alpha (Figure 10).

Panels whose configurations are not in params.yaml say so. Takes about 5 seconds.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.base import errors, params, tables
from stages.drawing import parity, parity_emergence, parity_scaling, style
from stages.drawing.parity import Drawn

TITLES = {
    "curves": "Loss of each task and their mean against optimizer steps, median over seeds",
    "emergence": "Loss of every task at every step: tasks are learned one after the other",
    "learning_times": "Steps until a task is learned against its frequency, and the slope",
    "scaling": "Mean loss against parameters, steps and training samples, with power laws",
    "exponents": "Exponents of the mean loss against alpha: ours, theory and published",
}
SIZES = {"N": "parameters", "S": "steps", "D": "samples"}
"""What the series of each resource is named after."""
FEW = 3
"""Tasks of a configuration in the series for `dvc plots`."""
PUBLISHED_ALPHA = 0.4
"""The alpha of the paper's Figures 2 and 7."""


def draw(
    tables: Drawn, p: params.Params, published: params.Michaud
) -> tuple[dict[str, Figure], dict[str, pd.DataFrame]]:
    """The figures and the series, by name."""
    configurations, definition = p.parity.named, p.verdict.parity.learning.definition
    known = {str(n): c for n, c in configurations.items() if n in set(tables.runs["configuration"])}
    curves = parity.series(tables, p.plot)
    few = parity.series(tables, p.plot, FEW)  # `dvc plots` has a panel for each
    scaling = parity_scaling.series(tables, p.plot, published)
    family = parity_scaling.by_alpha(known, p.verdict.parity)
    drawn = {
        "curves": parity.curves(curves, known, p.plot),
        "emergence": parity_emergence.heat_map(tables, known, p.plot, definition),
        "learning_times": parity_emergence.learning_times(
            tables, known, p.plot, published, PUBLISHED_ALPHA, definition
        ),
        "scaling": parity_scaling.scaling(
            tables, scaling, known, p.plot, published, p.verdict.parity
        ),
        "exponents": parity_scaling.exponents(tables, known, p.plot, published, p.quanta, family),
    }
    if few["configuration"].nunique() > 1:  # dvc plots tells lines apart by their series alone
        few["series"] = few["configuration"].astype(str) + ", " + few["series"]
    series = {
        "curves": few,
        "emergence": parity_emergence.heat_series(tables),
        "learning_times": parity_emergence.times_series(tables, known, definition),
        "exponents": parity_scaling.exponent_series(tables, p.quanta, published, family),
    }
    for resource, table in scaling.items():
        series[f"loss_by_{SIZES[resource]}"] = table
    return drawn, series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("plots"), help="folder")
    arguments = parser.parse_args()

    found = Drawn.read(arguments.tables)
    p = tables.as_made(params.load(), arguments.tables / "parity_losses.parquet")
    drawn, series = draw(found, p, params.published().michaud)
    for name, figure in drawn.items():
        style.save_svg(figure, arguments.output / f"parity_{name}.svg", TITLES[name])
    for name, table in series.items():
        tables.write(table, arguments.output / f"parity_{name}.csv")
    print(f"{len(drawn)} figures, {len(series)} series")


if __name__ == "__main__":
    errors.run(main)
