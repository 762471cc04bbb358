"""What `make review REV=main` runs: what a reviewer asks of the working tree, beside a revision.

Prints the params and metrics that differ, the stages that `dvc repro` would run, and the plots that
moved. dvc_plots/review.md holds the same; dvc_plots/index.html too, with the charts and figures of
both. With `--page` it only makes the page that `dvc plots` fills from then on in this clone: with
Vega in it, charts open offline; DVC's own page fetches Vega from the network. About 15 s.
"""

import argparse
import base64
import html
import json
import re
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import vl_convert
import yaml
from dvc.repo import Repo
from dvc.repo.graph import get_subgraph_of_nodes

from stages.base import errors, files, progress
from stages.base.errors import InputError
from stages.base.processes import dvc_output, git
from stages.pages.template import environment

PAGE = Path(".dvc/tmp/plots.html")  # DVC's own folder: not in git, and `make clean` leaves it
OUTPUT = Path("dvc_plots")
LINE = 60  # characters of names that a table's line holds before it counts the others


@dataclass(frozen=True)
class Section:
    """One question of a reviewer: a table, or what is said where there is none."""

    title: str
    header: list[str]
    rows: list[list[str]]
    none: str
    note: str = ""


def commit(revision: str) -> str:
    """The full name of a revision's commit, which has results.

    Raises:
        InputError: there is no such revision, or it has no results.
    """
    try:
        found = git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").strip()
    except InputError:
        raise InputError(
            f"REV={revision}: no such revision here; `git branch --all` and `git tag` list them, "
            "`git fetch` brings those of a remote"
        ) from None
    if not git("ls-tree", "--name-only", found, "--", "dvc.lock"):
        raise InputError(
            f"REV={revision}: commit {found[:7]} has no results (no dvc.lock); choose one that was "
            "committed after `dvc repro`"
        )
    return found


def values(what: str, revision: str) -> Section:
    """The values that differ: `what` is param, or metric, which has its change too."""
    columns = {"old": revision, "new": "workspace"}
    columns |= {"diff": "change"} if what == "metric" else {}
    rows = [
        [name, *(_shown(change.get(column)) for column in columns)]
        for path, entries in _dvc_json(f"{what}s", "diff", revision).items()
        if Path(path).parent != progress.LIVE  # what a killed stage left there
        for name, change in entries.items()
    ]
    header = [what, *columns.values()]
    return Section(f"{what.capitalize()}s", header, rows, f"No {what} differs.")


def stages() -> Section:
    """The stages that `dvc repro` would run, why, and those that may follow."""
    status = _dvc_json("status")
    why = {name.rpartition(":")[2]: causes(changes) for name, changes in status.items()}
    stale = {name for name, of_stage in why.items() if of_stage}
    with Repo() as repo:
        sources = [stage for stage in repo.index.stages if stage.name in stale]
        after = get_subgraph_of_nodes(repo.index.graph, sources, downstream=True) if stale else []
        follow = {stage.name for stage in after} - stale
    grouped = defaultdict(list)
    for name, of_stage in why.items():
        if of_stage:
            grouped[(name.partition("@")[0], _some(of_stage))].append(name)
    rows = [
        [names[0] if len(names) == 1 else f"{base} ({len(names)} stages)", of_stages]
        for (base, of_stages), names in grouped.items()
    ]
    if follow:
        bases = sorted({name.partition("@")[0] for name in follow})
        rows.append(["then, if these differ", _some(bases)])
    none = "None: the results are those of this code, data and params."
    return Section("Stages that would run", ["stage", "because of"], rows, none)


def causes(changes: list[Any]) -> list[str]:
    """Why a stage is stale, from its entry in `dvc status --json`."""
    found = []
    for change in changes:
        if isinstance(change, str):
            found.append(change)
            continue
        for path, how in (item for entries in change.values() for item in entries.items()):
            if isinstance(how, dict):
                found += how  # params
            else:
                found.append(path if how == "modified" else f"{path} ({how})")
    return found


def plots(revision: str) -> tuple[Section, list[str]]:
    """The plots of dvc.yaml whose files differ, as a section and as names."""
    differ = set(git("diff", "--name-only", revision, "--", "plots").splitlines())
    differ |= set(git("ls-files", "--others", "--exclude-standard", "--", "plots").splitlines())
    moved: list[str] = []
    rest: list[str] = []
    for entry in yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8")).get("plots", []):
        [(name, properties)] = entry.items() if isinstance(entry, dict) else [(entry, None)]
        y = (properties or {}).get("y")
        named = [*y] if isinstance(y, dict) else [name]
        is_moved = any(Path(path).is_relative_to(each) for path in differ for each in named)
        (moved if is_moved else rest).append(name)
    rows = [[name] for name in moved]
    none = f"None of the {len(rest)} differs."
    note = f"These did not change: {', '.join(rest)}." if moved and rest else ""
    return Section(f"Plots that moved ({len(rest)} did not)", ["plot"], rows, none, note), moved


def markdown(title: str, commits: str, sections: list[Section]) -> str:
    """The review as text, which reads well in a terminal too: columns are aligned."""
    lines = [f"## {title}", "", commits]
    for section in sections:
        lines += ["", f"### {section.title}", ""]
        if not section.rows:
            lines.append(section.none)
            continue
        table = [section.header, *([_plain(cell) for cell in row] for row in section.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", section.note] if section.note else []
    return "\n".join(lines) + "\n"


def page(review: dict[str, Any] | None = None) -> str:
    """The page that `dvc plots` fills with charts and figures, below a review if there is one."""
    name = "review.html"
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return environment(name).get_template(name).render(review=review, vega=vega)


def install() -> None:
    """Make the page, and have `dvc plots` use it in this clone."""
    with files.aside(PAGE) as path:
        path.write_text(page(), encoding="utf-8")
    dvc_output("config", "--quiet", "--local", "plots.html_template", "tmp/plots.html")


def draw(content: str, revision: str, names: list[str]) -> Path:
    """Fill a page with these plots, at the revision and now."""
    output = OUTPUT / "index.html"
    OUTPUT.mkdir(exist_ok=True)
    if not names:
        output.write_text(content.replace("{plot_divs}", ""), encoding="utf-8")
        return output
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "page.html"
        template.write_text(content, encoding="utf-8")
        options = ["--out", str(OUTPUT), "--html-template", str(template), "--targets", *names]
        dvc_output("plots", "diff", revision, *options)
    drawn = output.read_text(encoding="utf-8")
    output.write_text(re.sub(r'src="(static/[^"]+\.svg)"', _inlined, drawn), encoding="utf-8")
    return output


def _inlined(source: re.Match[str]) -> str:
    """A figure that DVC put beside the page, in the page: one file is the whole review."""
    content = base64.b64encode((OUTPUT / source[1]).read_bytes()).decode()
    return f'src="data:image/svg+xml;base64,{content}"'


def _plain(cell: str) -> str:
    """What params say, as text of a cell: no HTML, no cell or line of its own."""
    return html.escape(" ".join(cell.split()), quote=False).replace("|", "\\|")


def _some(names: list[str]) -> str:
    lengths = accumulate(len(name) + 2 for name in names)
    shown = max(1, sum(length <= LINE for length in lengths))
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _shown(value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001 (a dash, as in any table)
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _dvc_json(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dvc_output(*arguments, "--json"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?", default="main", help="what to compare with")
    parser.add_argument("--page", action="store_true", help="only make the page of `dvc plots`")
    arguments = parser.parse_args()
    if arguments.page:
        install()
        return
    revision = arguments.revision
    dirty = ", with uncommitted changes" if git("status", "--porcelain") else ""
    commits = f"{revision}: {commit(revision)[:7]}; workspace: {commit('HEAD')[:7]}{dirty}."
    moved, names = plots(revision)
    sections = [values("param", revision), values("metric", revision), stages(), moved]
    title = f"{revision} → workspace"
    review = {"revision": revision, "commits": commits, "sections": sections}
    drawn = draw(page(review), revision, names)
    text = markdown(title, commits, sections)
    (OUTPUT / "review.md").write_text(text, encoding="utf-8")
    print(f"{text}\nCharts and figures: {drawn}")


if __name__ == "__main__":
    errors.run(main)
