"""What the docs show is run as it stands there, and what they link to is there."""

import json
import re
import shlex
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from stages.base import params
from tests.helpers.root import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))


def test_the_tour_redraws_figure_6_from_the_committed_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("svg")
    for name in ("metrics", "params.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    figure, *rest = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/tour.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert len([line for line in figure.splitlines() if line]) == 11
    for block in [figure, *rest]:
        exec(compile(block, "tour.md", "exec"), names)
    plt.close("all")

    curves = pd.read_csv(ROOT / "plots/cnn_curves.csv")
    drawn = {series for series in curves["series"] if series.endswith("best epoch")}
    assert drawn == {f"{sweep}, best epoch" for sweep in names["median"]}
    for sweep, loss in names["median"].items():
        loss = loss.dropna()  # a study has widths of its own
        ours = curves[curves["series"] == f"{sweep}, best epoch"]
        np.testing.assert_array_equal(ours["parameters"], loss.index)
        np.testing.assert_allclose(ours["validation_loss"], loss, rtol=1e-4)
    assert "<svg" in (tmp_path / "tour.svg").read_text()
    printed = capsys.readouterr().out
    assert re.search(r"paper +best +19\.", printed)


def test_the_notebook_runs_and_makes_the_committed_fit_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("svg")
    monkeypatch.chdir(ROOT / "docs")
    monkeypatch.setattr(sys, "path", [*sys.path])
    notebook = json.loads((ROOT / "docs/tour.ipynb").read_text())
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # none is committed
            exec(compile("".join(cell["source"]), "tour.ipynb", "exec"), names)
    plt.close("all")
    law, [fitted] = (
        names["law"],
        names["fits"]
        .query(names["same"])
        .query("widths == 'published' and failed == 'included'")
        .to_dict("records"),
    )
    for name in ("dimension", "dimension_low", "dimension_high"):
        assert getattr(law, name) == pytest.approx(fitted[name], rel=1e-5)
    recovered = names["recovered"]
    assert recovered.alpha_low < names["truth"].alpha < recovered.alpha_high
    assert "published 17.83" in capsys.readouterr().out


COMMAND = r"^(?:\w+=\S+ )?dvc exp run (?:\\\n|[^'\n]|'[^']*')+"
COMMANDS = [
    command
    for page in (ROOT / "README.md", *DOCS)
    for command in re.findall(COMMAND, page.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_params_are_valid_after_every_override_that_a_page_shows(
    command: str, tmp_path: Path
) -> None:
    words = shlex.split(command, comments=True)
    given = [after for word, after in pairwise(words) if word == "-S"]
    assert given
    path = tmp_path / "params.yaml"
    for overrides in get_hydra_sweeps({"params.yaml": given}):
        shutil.copy(ROOT / "params.yaml", path)
        apply_overrides(path, overrides["params.yaml"])
        params.load(path)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_file_that_a_page_links_or_names_is_there(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / path).is_file(), path
    made = {"metrics/headline.json"}  # by the pipeline
    for path in re.findall(r"`((?:metrics|plots|stages|templates|\.github)/[\w./-]+\.\w+)`", text):
        assert path in made or (ROOT / path).is_file(), path
