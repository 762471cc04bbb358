"""Stage `report`: all results as one page, plots/report.html, that opens offline.

The answer comes first, then the figures, the tables, and how each was made: the stage and the MD5
of every file that the page rests on, which are those that dvc.lock records. The page holds its
figures as inline SVG, has no script and asks the network for nothing. About 2 s.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from stages.base import errors, files, names, params, tables
from stages.dimension import readings
from stages.pages import inline
from stages.pages import text as pages

TABLES = {
    "metrics/verdict.csv": "verdict",
    "metrics/verdict_curve.csv": "verdict",
    "metrics/verdict_parity.csv": "verdict",
    "metrics/cnn_fits.csv": "fit_cnn",
    "metrics/cnn_sensitivity.csv": "fit_cnn",
    "metrics/cnn_failed.csv": "fit_cnn",
    "metrics/coverage.csv": "calibrate_fit",
    "metrics/dimension.csv": "measure_dimension",
    "metrics/dimension_calibration.csv": "calibrate_dimension",
    "metrics/method.csv": "fit_method",
    "metrics/students.csv": "fit_students",
    "metrics/parity_emergence.csv": "fit_parity",
    "metrics/parity_exponents.csv": "fit_parity",
    "metrics/parity_coverage.csv": "calibrate_parity",
}
"""What the page's tables come from, and the stage that makes it."""
FIGURES = {
    "plots/cnn_figure6.svg": (
        "plot_cnn",
        "Test loss at the best epoch against parameters N, ours beside the points and the slope "
        "of the published Figure 6.",
    ),
    "plots/cnn_epochs.svg": (
        "plot_cnn",
        "The median validation loss for each choice of epochs with its fit, and 4/alpha of each "
        "with its interval.",
    ),
    "plots/cnn_sensitivity.svg": (
        "plot_cnn",
        "4/alpha with its interval as one choice at a time is varied: quantile, widths, failed "
        "runs, an irreducible loss; and fitted to each epoch alone.",
    ),
    "plots/cnn_local_slopes.svg": (
        "plot_cnn",
        "The local exponent alpha in a sliding window of widths: a power law would have the same "
        "at every N.",
    ),
    "plots/method.svg": (
        "plot_method",
        "On generated images: 4/alpha and the dimension measured by neighbours against the true "
        "dimension d, and the test losses that the exponents are of.",
    ),
    "plots/students.svg": (
        "plot_students",
        "Students of random teachers, where d is known: 4/alpha against what the theory says, with "
        "intervals over teachers, and the squared errors that it is of.",
    ),
    "plots/parity_curves.svg": (
        "plot_parity",
        "The loss of each parity task and their mean against optimizer steps: tasks fall one after "
        "the other, the mean smoothly.",
    ),
    "plots/parity_emergence.svg": (
        "plot_parity",
        "The loss of every parity task at every step, both axes logarithmic: where a task turns "
        "dark it has been learned. Dashed: learning times that go as 1/p.",
    ),
    "plots/parity_learning_times.svg": (
        "plot_parity",
        "Steps until a task is learned against its frequency, tasks not learned by the end "
        "included; and the slope of each fit, had the runs ended earlier.",
    ),
    "plots/parity_scaling.svg": (
        "plot_parity",
        "Mean loss against parameters, steps and training samples, with power laws: beside the "
        "published Figure 2, and by alpha.",
    ),
    "plots/parity_exponents.svg": (
        "plot_parity",
        "Exponents of the mean loss against alpha, with intervals, beside theory, what theory "
        "says of a finite number of tasks, and the published; and the sums that make the "
        "difference.",
    ),
}
"""The stage that draws each figure, and what it shows."""
OUTPUT = Path("plots/report.html")


def of_sweeps(p: params.Params) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """What else the page rests on: tables of imported sweeps, and figures of all, as `FIGURES`."""
    tables = {
        f"metrics/runs/imports/{name}-widths.csv": f"import_tensorboard@{name}"
        for name in p.imports
    }
    kinds = {
        "scaling": "loss and accuracy, for training and validation, of all runs and epochs "
        "against parameters N, with quantile regressions.",
        "violin": "how loss and accuracy are distributed at each N.",
    }
    drawn_by = dict.fromkeys(p.cnn.sweeps, "plot_cnn_sweep")
    drawn_by |= dict.fromkeys(p.imports, "plot_cnn_import")
    drawn = {
        f"plots/sweeps/cnn_{kind}_{name}.svg": (f"{stage}@{name}", f"Sweep {name}: {caption}")
        for name, stage in drawn_by.items()
        for kind, caption in kinds.items()
    }
    return tables, drawn


def figures(drawn: dict[str, tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Figures, given as `FIGURES`, each as SVG to put into the page.

    Raises:
        InputError: one is missing, or is no SVG.
    """
    for path, (stage, caption) in drawn.items():
        name = Path(path).stem
        try:
            svg = inline.svg(
                Path(path).read_text(encoding="utf-8"), name.replace("_", "-"), caption
            )
        except (OSError, ValueError) as error:
            raise errors.InputError(f"{path}: {error}; draw it: dvc repro {stage}") from None
        yield {"name": name, "path": path, "stage": stage, "caption": caption, "svg": svg}


def sources(made: dict[str, str]) -> list[dict[str, str]]:
    """The files that the page rests on: the stage that makes each, and its MD5."""
    return [
        {"path": path, "stage": stage, "md5": hashlib.md5(Path(path).read_bytes()).hexdigest()}
        for path, stage in made.items()
    ]


def overall(students: pd.DataFrame) -> pd.DataFrame:
    """Of the students' readings, 4/alpha over all teachers when training has ended."""
    ended = students[students["phase"] == students["phase"].max()]
    rows: pd.DataFrame = ended[(ended["quantity"] == "4/alpha") & (ended["teacher"] == "all")]
    return rows


def imports(name: str, read: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Of an imported sweep: what became of its files, and 4/alpha with and without failed runs."""
    fits = read["cnn_fits"]
    loss = fits[(fits["sweep"] == name) & (fits["metric"] == "validation_loss")]
    chosen = loss[(loss["quantile"] == 0.5) & (loss["widths"] == "all")]
    return {
        "widths": read[f"{name}-widths"].to_dict("records"),
        "fits": chosen.sort_values("epochs", kind="stable").to_dict("records"),
    }


def content(p: params.Params) -> dict[str, Any]:
    """What the page shows."""
    quality, drawn = of_sweeps(p)
    drawn = FIGURES | drawn
    made = TABLES | quality
    read = {Path(path).stem: tables.read(Path(path), texts=["seeds"]) for path in made}
    fits = read["cnn_fits"]
    median = fits[(fits["quantile"] == p.verdict.fit.quantile) & (fits["failed"] == "included")]
    losses = median[median["metric"].str.endswith(("loss", "error"))]
    models = read["cnn_sensitivity"].query("factor == 'model' and model == 'irreducible_loss'")
    failed = read["cnn_failed"]
    exponents = read["parity_exponents"].to_dict("records")
    compare = read["dimension_calibration"]
    compare = compare[compare["known"] == p.dimension.known.compare]
    rule = p.verdict.dimension
    networks = readings.by_estimator(read["dimension"], rule)
    judged = pages.verdict(read["verdict"], read["verdict_curve"], p)
    return (
        judged
        | pages.dimension(read["dimension"], p)
        | pages.parity(read["verdict_parity"])
        | {
            "theirs": params.published(),
            "images": names.images(p),
            "other_images": names.other_images(p),
            "fits": losses.to_dict("records"),
            "models": models.to_dict("records"),
            "failed": failed[failed["failed"] > 0].to_dict("records"),
            "runs": {name: int(rows["runs"].sum()) for name, rows in failed.groupby("sweep")},
            "coverage": read["coverage"].to_dict("records"),
            "laws": read["parity_emergence"].to_dict("records"),
            "exponents": [row for row in exponents if "no runs" not in row["status"]],
            "parity_coverage": read["parity_coverage"].to_dict("records"),
            "networks": networks[networks["layer"] != "logits"].to_dict("records"),
            "known": readings.by_estimator(compare, rule).to_dict("records"),
            "method": read["method"].to_dict("records"),
            "students": overall(read["students"]).to_dict("records"),
            "figures": {figure["name"]: figure for figure in figures(drawn)},
            "imports": {name: imports(name, read) for name in p.imports},
            "sources": sources(made | {path: stage for path, (stage, _) in drawn.items()}),
        }
    )


def main() -> None:
    page = pages.render("report.html", **content(params.load()))
    files.write(OUTPUT, page)
    print(f"{OUTPUT}: {len(page.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    errors.run(main)
