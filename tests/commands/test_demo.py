"""`make demo`: the graph on generated images as an experiment, and what is left when it ends."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from stages.base import params
from stages.commands import demo
from stages.statistics.estimate import Estimate
from stages.students.plan import configurations as configurations_of_students
from tests.helpers.clone import Clone, change, ran
from tests.helpers.graph import graph
from tests.helpers.root import ROOT

SMALLEST = {
    "images.demo.train": 64,
    "images.demo.test": 150,
    "cnn.widths": [1],
    "cnn.sweeps.notebook.epochs": 1,
}


@pytest.mark.slow
def test_the_demo_measures_generated_images_and_leaves_the_working_tree_alone(
    ready: Clone, offline: list[str]
) -> None:
    (ready.root / "notes.txt").write_text("an untracked file\n")
    few = yaml.safe_load((ready.root / "params.yaml").read_text())["students"]["configurations"]
    taught = next(iter(few.values())) | {"dimension": 6}
    change(ready, "students.configurations", few | {demo.STUDENTS: taught})
    readme = ready.root / "README.md"
    readme.write_text(readme.read_text() + "\nA change that is not committed.\n")
    before, lock = ready.changed(), (ready.root / "dvc.lock").read_bytes()
    overrides = [part for key, value in SMALLEST.items() for part in ("-S", f"{key}={value}")]
    last = ["fit_cnn", "measure_dimension"]
    said = ready.run(*offline, "python", "-m", "stages.commands.demo", *overrides, *last).stdout

    stages = ran(said)
    assert stages[:2] == ["validate", "download@demo"]
    assert {*last, "aggregate_cnn", "measure_images"} < set(stages)
    trained = {stage for stage in stages if stage.startswith("train_")}
    assert trained == {"train_cnn@notebook-1"}

    assert ready.changed() == before
    assert (ready.root / "dvc.lock").read_bytes() == lock
    assert not (ready.root / "data/demo").exists()
    lines = said[said.index(demo.TRUTH) :].splitlines()
    assert lines[0].split() == [*demo.TRUTH.split(), "3"]
    assert lines[1].startswith("images, measured ")
    images = float(lines[1].removeprefix("images, measured").split()[0])
    assert 2 < images < 4
    assert sum("4/alpha" in line for line in lines) == 1
    page = (ready.root / demo.PAGE).read_text()
    assert page == (ready.root / "plots/report.html").read_text()  # no stage of it ran here
    assert "demo" in ready.run("dvc", "exp", "list", "--name-only").stdout.split()


def test_the_demo_ends_with_the_stage_that_rests_on_all_others() -> None:
    stages = graph()
    needed, todo = set(), {demo.LAST}
    while todo:
        needed |= todo
        deps = [Path(dep.fs_path) for s in stages if s.name in todo for dep in s.deps]
        made = {s.name: [Path(out.fs_path) for out in s.outs] for s in stages}
        todo = {
            n for n, outs in made.items() if any(d in (o, *o.parents) for d in deps for o in outs)
        }
        todo -= needed
    families = {name.partition("@")[0] for name in needed}
    assert families > {"download", "train_cnn", "train_parity", "fit_cnn", "fit_parity", "verdict"}


def test_the_overrides_of_the_demo_are_valid_and_small(tmp_path: Path) -> None:
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    apply_overrides(path, demo.overrides(params.load(path)))
    p = params.load(path)
    assert [*p.images, *p.trained, *p.drawn] == ["demo", demo.SWEEP, demo.SWEEP]
    assert p.regime.studies == p.parity.alphas.values == []
    for sweep in p.cnn.sweeps.values():
        images = demo.IMAGES_OF["train"] * sweep.epochs * sweep.seeds * len(p.cnn.widths)
        assert images < 500_000
    for c in configurations_of_students(p.students).values():
        samples = sum(phase.steps * phase.batch_size for phase in c.phases)
        assert samples * c.teachers * c.seeds * len(c.widths) < 400_000_000


def test_numbers_that_are_not_there_are_shown_as_such() -> None:
    nan = float("nan")
    rows = [("images", Estimate(2.9, 2.75, 3.04)), ("4/alpha", Estimate(nan, nan, nan, "none"))]
    assert [line.split(maxsplit=1)[1].strip() for line in demo.text(3, rows).splitlines()] == [
        "of the images, the truth  3",
        "2.9 (2.8 to 3.0)",
        "none",
    ]


def test_students_are_shown_beside_their_own_d() -> None:
    row = {"configuration": demo.STUDENTS, "quantity": "4/alpha", "widths": "all", "teacher": "all"}
    rows = [
        row | {"phase": phase, "value": 5.0 + phase, "low": 4.0, "high": 7.0} for phase in (1, 2)
    ]
    rows += [row | {"phase": 2, "teacher": "0"}, row | {"phase": 2, "quantity": "live"}]
    ((name, found),) = demo.taught(params.load(ROOT / "params.yaml"), pd.DataFrame(rows))
    assert name.endswith("d = 6")
    assert found[:4] == (7.0, 4.0, 7.0, "ok")
