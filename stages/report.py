"""Stage `report`: all results as one page, plots/report.html, that opens offline.

The answer comes first, then the story in sections (`stages.pages.story`): what is seen, figures,
and folded tables; last the stage and the MD5 of every file that the page rests on, which are those
that dvc.lock records. Its explorers (`stages.pages.explorer`) draw with Vega, which the page holds
too: it asks the network for nothing, and without scripts has everything but them. About 6 s.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from stages.base import errors, files, params, tables
from stages.manifold import names, readings, regime
from stages.pages import explorer, inline, story
from stages.pages import text as pages

TABLES = {
    "metrics/cnn.parquet": "aggregate_cnn",
    "metrics/parity_curves.parquet": "aggregate_parity",
    "metrics/parity_losses.parquet": "aggregate_parity",
    "metrics/parity_tasks.parquet": "aggregate_parity",
    "plots/figure1.csv": "plot_theory",
    "plots/parity_learning_times.csv": "plot_parity",
    "metrics/verdict_cnn.csv": "verdict",
    "metrics/verdict_curve.csv": "verdict",
    "metrics/verdict_shape.csv": "verdict",
    "metrics/verdict_smallest.csv": "verdict",
    "metrics/verdict_parity.csv": "verdict",
    "metrics/cnn_fits.csv": "fit_cnn",
    "metrics/cnn_sensitivity.csv": "fit_cnn",
    "metrics/cnn_failed.csv": "fit_cnn",
    "metrics/cnn_coverage.csv": "calibrate_cnn",
    "metrics/dimension.csv": "measure_dimension",
    "metrics/dimension_calibration.csv": "calibrate_dimension",
    "metrics/method.csv": "fit_method",
    "metrics/regime.csv": "fit_method",
    "metrics/students.csv": "fit_students",
    "metrics/parity_emergence.csv": "fit_parity",
    "metrics/parity_exponents.csv": "fit_parity",
    "metrics/parity_coverage.csv": "calibrate_parity",
}
"""What the page's tables come from, and the stage that makes it."""
FIGURES = {
    "plots/figure1.svg": (
        "plot_theory",
        "4/alpha against the dimension measured in the last hidden layer, of all that was trained; "
        "on the dashed line the two are the same, as the theory says.",
    ),
    "plots/cnn_figure6.svg": (
        "plot_cnn",
        "Losses and errors at the best epoch against parameters N, ours beside the points and the "
        "slopes of the published Figure 6.",
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
        "plot_theory",
        "On generated images: 4/alpha and the dimension measured by neighbours against the true "
        "dimension d, and the test losses that the exponents are of.",
    ),
    "plots/students.svg": (
        "plot_theory",
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
CARRIED = ("metrics/cnn.parquet", "metrics/parity_losses.parquet")
"""Tables whose params are those of the page."""
SEEDS = ("metrics/cnn_failed.csv",)
"""Tables whose column `seeds` is a list."""
LEADS = ["figure1", "cnn_figure6"]
"""Figures that may stand first; the first that is there does."""
OUTPUT = Path("plots/report.html")


def of_sweeps(p: params.Params) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """What else the page rests on: tables of imported sweeps, and figures of all, as `FIGURES`."""
    quality = {
        f"metrics/runs/imports/{name}-widths.csv": f"import_runs@{name}" for name in p.imports
    }
    kinds = {
        "scaling": "loss and accuracy, for training and validation, of all runs and epochs "
        "against parameters N, with quantile regressions.",
        "violin": "how loss and accuracy are distributed at each N.",
    }
    drawn = {
        f"plots/sweeps/cnn_{kind}_{name}.svg": ("plot_cnn", f"Sweep {name}: {caption}")
        for name in p.drawn
        for kind, caption in kinds.items()
    }
    return quality, drawn


def figures(
    drawn: dict[str, tuple[str, str]], drawings: inline.Drawings
) -> Iterator[dict[str, str]]:
    """Figures, given as `FIGURES`, each as SVG to put into the page; `drawings` gets their looks.

    Raises:
        InputError: one is missing, or is no SVG.
    """
    for path, (stage, caption) in drawn.items():
        name = Path(path).stem
        try:
            text = Path(path).read_text(encoding="utf-8")
            svg, panels = drawings.add(text, name.replace("_", "-"), caption)
        except (OSError, ValueError) as error:
            raise errors.InputError(f"{path}: {error}; draw it: dvc repro {stage}") from None
        of = {"name": name, "path": path, "stage": stage, "caption": caption}
        yield of | {"svg": svg, "panels": panels}


def sources(made: dict[str, str]) -> list[dict[str, str]]:
    """The files that the page rests on: the stage that makes each, and its MD5."""
    return [
        {"path": path, "stage": stage, "md5": hashlib.md5(Path(path).read_bytes()).hexdigest()}
        for path, stage in made.items()
    ]


def theory(read: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Where intervals of 4/alpha lie beside the theory's value, and which changes make it less.

    `students` and `images` count the cases by `side`; `less` are the changes that make it less at
    each dimension that was trained otherwise.
    """
    students = tables.where(story.students_ended(read["students"]), widths="all")
    images = tables.where(read["method"], quantity="test_loss", widths="all")
    everywhere = regime.less(read["regime"]).groupby("change", sort=False)["less"].all()
    return {
        "students": Counter(students["side"]),
        "images": Counter(images["side"]),
        "less": [change.replace("_", " ") for change in everywhere.index[everywhere]],
    }


def numbers(judged: dict[str, Any]) -> dict[str, Any]:
    """What stands first: a few quantities by the rules."""
    few = ["test_loss", "train_loss", "intrinsic_dimension", "dimension_ratio"]
    shown = {pages.QUANTITIES[name]: judged["by"][name]["rule"] for name in few}
    rows = [row for row in judged["parity_rows"] if row["quantity"] == "learning_exponent"]
    shown |= {row["name"]: row for row in rows}
    return {
        name: row | {"outcome": story.outcome(row), "published": pages.published(row)}
        for name, row in shown.items()
    }


def content(p: params.Params) -> dict[str, Any]:
    """What the page shows."""
    quality, of_each = of_sweeps(p)
    drawn = FIGURES | of_each
    made = TABLES | quality
    read = {
        Path(path).stem: tables.read(Path(path), texts=["seeds"] if path in SEEDS else [])
        for path in made
    }
    fits = read["cnn_fits"]
    shown = fits["epochs"].isin(explorer.EPOCHS) & (fits["failed"] != "short_excluded")
    fits = fits[shown & ~fits["metric"].str.endswith("accuracy")]  # of which no theory speaks
    read["cnn_fits"] = explorer.once(fits)
    failed = read["cnn_failed"]
    compare = read["dimension_calibration"]
    compare = compare[compare["known"] == p.dimension.known.compare]
    rule = p.verdict.dimension
    networks = readings.measured(read["dimension"], rule)
    judged = (
        pages.verdict(read["verdict_cnn"], read["verdict_curve"], p)
        | pages.dimension(read["dimension"], p)
        | pages.parity(read["verdict_parity"])
    )
    theirs, definition = params.published(), p.verdict.parity.learning.definition
    below = {name: c.learned_below for name, c in p.parity.named.items()}
    explorers = {
        "cnn": explorer.cnn(read["cnn"], read["cnn_fits"], theirs.sharma_kaplan, p),
        "parity": explorer.parity(read, read["parity_learning_times"], definition, below),
        "chart": explorer.chart(),
        "outcomes": list(pages.SYMBOLS),
    }
    files_of = made | {path: stage for path, (stage, _) in drawn.items()}
    drawings = inline.Drawings()
    found = {figure["name"]: figure for figure in figures(drawn, drawings)}
    return judged | {
        "theirs": theirs,
        "nearest": pages.nearest(read["verdict_smallest"], theirs.sharma_kaplan),
        "images": names.images(p),
        "other_images": names.other_images(p),
        "failed_runs": int(failed["failed"].sum()),
        "runs": {name: int(rows["runs"].sum()) for name, rows in failed.groupby("sweep")},
        "networks": networks.iloc[0],
        "known": readings.by_estimator(compare, rule).to_dict("records"),
        "theory": theory(read),
        "numbers": numbers(judged),
        "figures": found,
        "looks": drawings.css,
        "lead": next(name for name in LEADS if name in found),
        "sections": story.sections(read, p, judged),
        "explorers": json.dumps(explorers, separators=(",", ":")).replace("</", "<\\/"),
        "drawn_runs": explorer.RUNS,
        "vega": explorer.vega(),
        "sources": story.Table.of(
            "Files, their stages and MD5s",
            sources(files_of),
            story.word("File", "path"),
            story.word("Stage", "stage"),
            story.word("MD5", "md5"),
        ),
    }


def main() -> None:
    p = tables.as_made(params.load(), *map(Path, CARRIED))
    page = pages.render("report.html", **content(p))
    files.write(OUTPUT, page)
    print(f"{OUTPUT}: {len(page.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    errors.run(main)
