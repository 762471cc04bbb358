"""What `make demo` runs: the whole graph on small generated images, as a DVC experiment.

From the images to the report, CNN and parity trained on the spot, in some minutes on two cores and
without network. It runs in a temporary folder that DVC makes of the working tree (`dvc exp run
--temp`), so that the working tree stays as it is, and ends with what was measured beside the true
dimension of the images. The experiment is called demo, and takes the place of an earlier one.

More overrides can be given, and other stages than the report to end with:

    python -m stages.commands.demo -S images.demo.dimension=8 fit_cnn measure_dimension
"""

import argparse
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from stages.base import errors, params
from stages.base.errors import InputError
from stages.base.processes import dvc, git
from stages.base.tables import where
from stages.dimension.sources import IMAGES
from stages.manifold import readings
from stages.manifold.method import MEDIAN
from stages.manifold.students import OVER_ALL
from stages.manifold.verdict import ALL
from stages.statistics.estimate import Estimate

NAME = "demo"
LAST = "report"
"""The stage that rests on all others."""
TRUTH = "d of the images, the truth"
PAGE = Path("dvc_plots/demo.html")

SWEEP, PARITY, STUDENTS = "notebook", "notebook", "squared_6"
"""Its only sweep, parity configuration and students; the others of params.yaml are left out.

Of the protocol's students those of d up to 6 are the narrowest, and so the cheapest. Of these d = 6
asks least of a short training: the smaller d is, the faster the loss falls with N.
"""
SMALL = {"epochs": 6, "seeds": 2, "batch_size": 64, "learning_rate": 1e-3}
IMAGES_OF = {"source": "manifold", "dimension": 3, "seed": 0, "patches": 30}
IMAGES_OF |= {"train": 4000, "test": 2000}
OVERRIDES = {
    "cnn.images": "demo",
    "cnn.widths": [1, 2, 4, 8],
    f"cnn.sweeps.{SWEEP}.augment": "false",
    **{f"cnn.sweeps.{SWEEP}.{key}": value for key, value in SMALL.items()},
    f"++cnn.sweeps.{SWEEP}.weights_seeds": 1,  # more than `seeds` there cannot be
    "verdict.fit.sweep": SWEEP,
    "verdict.dimension.sweep": SWEEP,
    f"parity.configurations.{PARITY}.steps": 500,
    f"parity.configurations.{PARITY}.batch_size": 2000,
    f"parity.configurations.{PARITY}.seeds": 2,
    "parity.alphas.values": [],
    "regime.studies": [],
    "students.protocol.schedule": 0.03,
    "students.protocol.hidden": 100,
    f"students.configurations.{STUDENTS}.seeds": 4,
}
"""The demo's grid: small enough for two cores, with every stage in it."""


def table(
    p: params.Params, fits: pd.DataFrame, dimensions: pd.DataFrame
) -> list[tuple[str, Estimate]]:
    """What was measured, of the images whose dimension is known.

    `fits` and `dimensions` are metrics/cnn_fits.csv and metrics/dimension.csv.
    """
    rule = p.verdict.dimension
    read = readings.measured(dimensions, rule)
    image = where(read, source=IMAGES).iloc[0]
    interval = image["dimension"], image["low"], image["high"], str(image["status"])
    rows = [("images, measured", Estimate(*interval))]
    for sweep in p.cnn.sweeps:
        networks = where(read, source=sweep, layer=rule.layer)
        found = readings.mean(networks, p.fit.confidence)
        rows.append((f"last hidden layer, measured, sweep {sweep}", found))
    best = where(fits, metric="validation_loss", epochs="best", quantile=MEDIAN, widths=ALL)
    for _, fit in where(best, failed="included").iterrows():
        bounds = fit["dimension"], fit["dimension_low"], fit["dimension_high"]
        rows.append((f"4/alpha of the test loss, sweep {fit['sweep']}", Estimate(*bounds)))
    return rows


def taught(p: params.Params, students: pd.DataFrame) -> list[tuple[str, Estimate]]:
    """4/alpha of the students of random teachers; `students` is metrics/students.csv."""
    rows = where(students, configuration=STUDENTS, quantity="4/alpha", widths=ALL)
    rows = where(rows, phase=students["phase"].max(), teacher=OVER_ALL)
    known = p.students.configurations[STUDENTS].dimension
    values = rows[["value", "low", "high"]].itertuples(index=False)
    return [(f"4/alpha of students of teachers of d = {known}", Estimate(*row)) for row in values]


def text(known: int, rows: list[tuple[str, Estimate]]) -> str:
    """The table as it is printed."""
    width = max(len(name) for name in (TRUTH, *(name for name, _ in rows)))
    lines = [f"{TRUTH:{width}}  {known}"]
    for name, (value, low, high, *_) in rows:
        bounds = ["?" if pd.isna(bound) else f"{bound:.1f}" for bound in (low, high)]
        number = "none" if pd.isna(value) else f"{value:.1f} ({bounds[0]} to {bounds[1]})"
        lines.append(f"{name:{width}}  {number}")
    return "\n".join(lines)


def _experiment() -> str | None:
    """The commit of the experiment, if there is one for the present commit."""
    head = git("rev-parse", "HEAD").strip()
    ref = f"refs/exps/{head[:2]}/{head[2:]}/{NAME}"
    return git("for-each-ref", "--format=%(objectname)", ref).strip() or None


def overrides(p: params.Params) -> list[str]:
    """What makes the demo's grid of params.yaml, as DVC takes it."""
    given = [f"+images.demo.{key}={value}" for key, value in IMAGES_OF.items()]
    given += [f"~images.{name}" for name in p.images]
    given += [f"{key}={value}" for key, value in OVERRIDES.items()]
    configurations = p.parity.configurations
    given += [f"~cnn.sweeps.{name}" for name in p.cnn.sweeps if name != SWEEP]
    given += [f"~studies.{name}" for name in p.studies]
    given += [f"~imports.{name}" for name in p.imports]
    given += [f"~parity.configurations.{name}" for name in configurations if name != PARITY]
    taught = p.students.configurations
    return given + [f"~students.configurations.{name}" for name in taught if name != STUDENTS]


def _run(more: list[str], stages: list[str]) -> None:
    if _experiment():
        dvc("exp", "remove", "--quiet", NAME)
    given = overrides(params.load()) + more
    flags = [part for override in given for part in ("--set-param", override)]
    dvc("exp", "run", "--temp", "--name", NAME, *flags, *stages)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("stages", nargs="*", default=[LAST])
    arguments = parser.parse_args()
    _run(arguments.set_param, arguments.stages)
    commit = _experiment()
    if not commit:
        raise InputError(f"dvc exp run made no experiment {NAME}; see: dvc exp show")

    def result(path: str) -> str:
        return git("show", f"{commit}:{path}")

    with TemporaryDirectory() as folder:
        (Path(folder) / params.PARAMS).write_text(result("params.yaml"), encoding="utf-8")
        p = params.load(Path(folder) / params.PARAMS)
    names = "cnn_fits", "dimension", "students"
    fits, dimensions, students = (
        pd.read_csv(io.StringIO(result(f"metrics/{name}.csv"))) for name in names
    )
    rows = table(p, fits, dimensions)
    if {LAST, "fit_students"} & {*arguments.stages}:  # else the table is that of the working tree
        rows += taught(p, students)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(result("plots/report.html"), encoding="utf-8")
    print(f"\n{text(p.cnn_images.settings.origin['dimension'], rows)}\n")
    print(f"All results: {PAGE}. They are the experiment {NAME}: dvc exp show, or to have them")
    print(f"in the working tree dvc exp apply {NAME}; to forget them dvc exp remove {NAME}.")
    print("With your own network, images or runs: docs/network.md, docs/data.md, docs/import.md.")


if __name__ == "__main__":
    errors.run(main)
