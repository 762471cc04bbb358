"""`dvc plots diff` in a browser without network: every chart is drawn, in colours for all."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
import yaml

from stages.base import params
from stages.commands import review
from tests.helpers import browser
from tests.helpers.clone import Clone
from tests.helpers.graph import graph, paths
from tests.helpers.root import ROOT

CHARTS = {
    name: properties
    for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    if isinstance(entry, dict)
    for name, properties in entry.items()
}
IMAGES = [
    entry
    for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    if isinstance(entry, str)
]
SWEEPS = params.load(ROOT / "params.yaml").cnn.sweeps
MARKS = ["mark-line", "mark-rect", "mark-symbol"]


class Drawn(HTMLParser):
    """What a page shows: of each chart the lines and the number of marks, the sources of images,
    and `data-charts`, which the page sets once all is drawn.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self.marks: list[int] = []
        self.images: list[str] = []
        self.charts: str | None = None
        self._mark = ""
        self.same = page.count(">the same in all revisions</text>")
        self.feed(page)

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        attributes = dict(pairs)
        if tag == "html":
            self.charts = attributes.get("data-charts")
        elif tag == "img":
            self.images.append(attributes["src"] or "")
        elif tag == "svg" and attributes.get("class") == "marks":
            self.lines.append([])
            self.marks.append(0)
        elif tag == "g":
            self._mark = (attributes.get("class") or "").partition(" ")[0]
        elif tag == "path" and "class" not in attributes and self._mark in MARKS:
            self.marks[-1] += 1
            if self._mark == "mark-line":
                self.lines[-1].append(attributes.get("d") or "")


def opened(offline: list[str], page: Path) -> tuple[Drawn, str]:
    """A page as a browser without network leaves it, and what it complained of."""
    with TemporaryDirectory() as home:
        found, said = browser.opened(page, Path(home), before=offline)
    complaints = [line for line in said.splitlines() if f"source: {page.as_uri()}" in line]
    return Drawn(found), "\n".join(complaints)


def series(clone: Clone, chart: str) -> int:
    """How many lines of one revision a chart has."""
    template = CHARTS[chart]["template"]
    if template == "heat":
        return 0
    if template == "against":
        return 1
    [path] = CHARTS[chart]["y"]
    table = pd.read_csv(clone.root / path)
    if template == "by_kind":  # theory as lines, the rest as points
        table = table[table["series"].str.contains(", theory")]
    return int(table["series"].nunique())


def test_all_charts_are_drawn_and_all_figures_shown_without_network(
    clone: Clone, offline: list[str]
) -> None:
    clone.run("python", "-m", "stages.commands.review", "--page")
    [changed], *others = [[*chart["y"]] for chart in CHARTS.values()]
    table = pd.read_csv(clone.root / changed)
    number = table.select_dtypes("float").columns[-1]
    table.assign(**{number: 1.01 * table[number]}).to_csv(clone.root / changed, index=False)
    clone.run("dvc", "plots", "diff", "HEAD")
    page = clone.root / "dvc_plots/index.html"
    assert not re.search(r"(src|href)=\W?(https?:)?//", page.read_text().split("<script")[0])
    drawn, complaints = opened(offline, page)
    assert not complaints
    assert drawn.charts == str(len(CHARTS))
    assert drawn.same == len(others)
    assert [len(lines) for lines in drawn.lines] == [2 * series(clone, name) for name in CHARTS]
    for lines, marks in zip(drawn.lines, drawn.marks, strict=True):
        assert marks > len(lines)
        assert all(line.startswith("M") for line in lines)
    of_sweeps = len([*(clone.root / "plots/sweeps").glob("*.svg")])  # in place of their folder
    assert of_sweeps >= 2 * len(SWEEPS)
    assert len(drawn.images) == 2 * (len(IMAGES) - 1 + of_sweeps)
    for source in drawn.images:
        assert "<svg" in (page.parent / source).read_text()
    assert clone.changed() == [changed]


def test_a_script_error_and_an_empty_chart_would_be_seen(
    offline: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    chart = """<div id="a"><script>vegaEmbed("#a", {"data": {"values": []}, "mark": "line",
      "encoding": {"x": {"field": "x", "type": "quantitative"}}})</script></div>"""
    page = tmp_path / "page.html"
    sound = review.page().replace("{plot_divs}", chart)
    page.write_text(sound)
    drawn, _ = opened(offline, page)
    assert drawn.charts == "1"
    assert drawn.marks == [0]
    page.write_text(sound.replace("paint(spec);", "absent(spec);"))
    drawn, complaints = opened(offline, page)
    assert "ReferenceError: absent" in complaints
    assert drawn.charts is None
    assert not drawn.lines


def test_without_a_page_of_ours_dvc_uses_its_own(clone: Clone) -> None:
    clone.run("dvc", "plots", "show", next(iter(CHARTS)))
    assert "cdn.jsdelivr.net" in (clone.root / "dvc_plots/index.html").read_text()


def templates() -> dict[str, Any]:
    files = (ROOT / ".dvc/plots").glob("*.json")
    return {path.stem: json.loads(path.read_text()) for path in files}


def test_templates_differ_in_their_scales_alone() -> None:
    # On a log axis there is also no zero, and no end of decades.
    own = {"scale", "transform", "description"}  # and what panels share

    def stripped(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: stripped(inner) for name, inner in part.items() if name not in own}
        return [stripped(inner) for inner in part] if isinstance(part, list) else part

    found = {name: stripped(template) for name, template in templates().items()}
    alike = [template for name, template in found.items() if name.startswith("by_series")]
    assert len(alike) == 4
    assert all(a == b for a, b in pairwise(alike))
    assert len({json.dumps(template["config"]) for template in found.values()}) == 1


def test_every_chart_has_a_template_a_title_and_labels() -> None:
    for name, properties in CHARTS.items():
        assert properties["template"] in templates(), name
        assert {"title", "x", "y", "x_label", "y_label"} <= set(properties), name


def test_every_figure_of_the_graph_is_among_the_plots() -> None:
    made = {path for stage in graph() for path in paths(stage.outs)}
    figures = {str(path) for path in made if path.suffix in {".svg", ""}}
    assert {path for path in figures if path.startswith("plots/")} == set(IMAGES)


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("background", ["#ffffff", "#121212"])
def test_the_colours_of_revisions_hold_in_both_themes(background: str) -> None:
    template = ROOT / "stages/pages/templates/review.html"
    found = re.search(r"const COLORS = (\[.*?\]);", template.read_text())
    assert found
    for colour in json.loads(found[1]):
        dark, light = sorted([luminance(colour), luminance(background)])
        assert (light + 0.05) / (dark + 0.05) >= 3, colour
