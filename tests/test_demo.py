"""`make demo`: the graph on generated images as an experiment, and what is left when it ends."""

from conftest import Clone
from stages import demo
from stages.analysis.verdict import Estimate
from test_pipeline import ran

SMALLEST = {
    "manifold.train": 64,
    "manifold.test": 150,
    "cnn.widths": [1],
    "cnn.sweeps.notebook.epochs": 1,
    "cnn.sweeps.paper.epochs": 1,
    "parity.configurations.notebook.steps": 10,
    "parity.configurations.notebook.batch_size": 64,
}


def test_the_demo_measures_generated_images_and_leaves_the_working_tree_alone(
    ready: Clone, offline: list[str]
) -> None:
    (ready.root / "notes.txt").write_text("an untracked file\n")
    readme = ready.root / "README.md"
    readme.write_text(readme.read_text() + "\nA change that is not committed.\n")
    before, lock = ready.changed(), (ready.root / "dvc.lock").read_bytes()
    overrides = [part for key, value in SMALLEST.items() for part in ("-S", f"{key}={value}")]
    said = ready.run(*offline, "python", "-m", "stages.demo", *overrides).stdout

    stages = ran(said)
    assert stages[:2] == ["validate", "download"]
    assert stages[-1] == "report"
    trained = {stage for stage in stages if stage.startswith("train_")}
    assert trained == {"train_cnn@notebook-1", "train_cnn@paper-1", "train_parity@notebook"}

    assert ready.changed() == before
    assert (ready.root / "dvc.lock").read_bytes() == lock
    assert not (ready.root / "data/manifold").exists()
    lines = said[said.index("d, the truth") :].splitlines()
    assert lines[0].split() == ["d,", "the", "truth", "3"]
    assert lines[1].startswith("images, measured ")
    images = float(lines[1].removeprefix("images, measured").split()[0])
    assert 2 < images < 4
    assert sum("4/alpha" in line for line in lines) == 2
    page = (ready.root / demo.PAGE).read_text()
    assert page.startswith("<!doctype html>")
    assert page != (ready.root / "plots/report.html").read_text()
    assert "demo" in ready.run("dvc", "exp", "list", "--name-only").stdout.split()


def test_numbers_that_are_not_there_are_shown_as_such() -> None:
    nan = float("nan")
    rows = [("images", Estimate(2.9, 2.75, 3.04)), ("4/alpha", Estimate(nan, nan, nan, "none"))]
    assert demo.text(3, rows).splitlines() == [
        "d, the truth  3",
        "images        2.9 (2.8 to 3.0)",
        "4/alpha       none",
    ]
