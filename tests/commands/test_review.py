"""`make review`: what it says of a change, as text and as a page, and of unusable input."""

import base64
import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.commands import review
from tests.helpers.clone import Clone, isolated
from tests.helpers.root import ROOT

WORKFLOW = ROOT / ".github/workflows/review.yml"
GRAPH = {
    "stages": {
        "fit": {
            "cmd": "python fit.py",
            "params": ["rate"],
            "deps": ["fit.py"],
            "metrics": [{"metrics/fit.json": {"cache": False}}],
        },
        "report": {
            "cmd": "cp metrics/fit.json report.txt",
            "deps": ["metrics/fit.json"],
            "outs": [{"report.txt": {"cache": False}}],
        },
    },
    "plots": [
        {
            "Loss by size": {
                "template": "by_series_log",
                "x": "n",
                "y": {"plots/loss.csv": "loss"},
                "x_label": "N",
                "y_label": "loss",
            }
        },
        {"Other": {"template": "by_series", "x": "n", "y": {"plots/other.csv": "loss"}}},
        "plots/figure.svg",
        "plots/still.svg",
    ],
}
FIT = """import json, yaml
rate = yaml.safe_load(open("params.yaml"))["rate"]
json.dump({"alpha": 0.25 + rate, "runs": 3}, open("metrics/fit.json", "w"))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A small repository with its results, whose first commit has none."""
    home = tmp_path_factory.mktemp("done")
    tree = Clone(home / "tree", isolated(home) | {"PYTHONPATH": str(ROOT)})
    tree.root.mkdir()
    tree.run("git", "init", "--quiet", "--initial-branch=main")
    (tree.root / "fit.py").write_text(FIT)
    tree.run("git", "add", "--all")
    tree.run("git", "commit", "--quiet", "--message=No results")
    tree.run("dvc", "init", "--quiet")
    (tree.root / ".dvc/plots").symlink_to(ROOT / ".dvc/plots")
    (tree.root / ".gitignore").write_text("/dvc_plots/\n")
    (tree.root / "dvc.yaml").write_text(yaml.safe_dump(GRAPH, sort_keys=False))
    (tree.root / "params.yaml").write_text("{rate: 1, seeds: 40}\n")
    for name in ("metrics", "plots"):
        (tree.root / name).mkdir()
    for name in ("loss", "other"):
        (tree.root / f"plots/{name}.csv").write_text("series,n,loss\na,1,2\na,10,1\n")
    for name in ("figure", "still"):
        (tree.root / f"plots/{name}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>\n")
    tree.run("dvc", "repro", "--quiet")
    tree.run("git", "add", "--all")
    tree.run("git", "commit", "--quiet", "--message=Results")
    return tree


@pytest.fixture
def branch(done: Clone, tmp_path: Path) -> Clone:
    return done.twin(tmp_path / "clone")


WITHOUT = """import runpy, sys
sys.modules |= dict.fromkeys(["matplotlib", "numpy", "pandas", "pyarrow", "scipy", "torch"])
runpy.run_module("stages.commands.review", run_name="__main__")
"""
"""A review where these cannot be imported: the workflow does not install them."""


def reviewed(clone: Clone, revision: str = "main") -> str:
    return clone.run("python", "-c", WITHOUT, revision).stdout


def sections(said: str) -> dict[str, str]:
    """What stands under each heading."""
    found = re.split(r"^### (.*)$", said, flags=re.MULTILINE)
    return {title: body.strip() for title, body in zip(found[1::2], found[2::2], strict=True)}


def test_it_shows_what_moved_and_what_would_run(branch: Clone) -> None:
    branch.run("git", "switch", "--quiet", "--create", "faster")
    (branch.root / "params.yaml").write_text("{rate: 2, seeds: 40}\n")
    branch.run("dvc", "repro", "--quiet")
    branch.run("git", "commit", "--quiet", "--all", "--message=Faster")
    (branch.root / "fit.py").write_text(FIT + "# edited\n")
    (branch.root / "plots/loss.csv").write_text("series,n,loss\na,1,2\na,10,1.5\n")
    (branch.root / "plots/figure.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'></svg>")
    said = reviewed(branch)
    assert "with uncommitted changes" in said
    found = sections(said)
    assert found["Params"].splitlines()[2:] == ["| rate  | 1    | 2         |"]
    assert found["Metrics"].splitlines()[2:] == ["| alpha  | 1.25 | 2.25      | 1      |"]
    stale = found["Stages that would run"]
    assert re.search(r"\| fit +\| fit\.py +\|", stale)
    assert re.search(r"\| then, if these differ +\| report +\|", stale)
    moved = found["Plots that moved (2 did not)"]
    assert re.findall(r"\| (Loss by size|Other|plots/\w+\.svg) ", moved) == [
        "Loss by size",
        "plots/figure.svg",
    ]
    page = (branch.root / "dvc_plots/index.html").read_text()
    assert page.count("vegaEmbed('#") == 1
    figures = re.findall(r'<img src="data:image/svg\+xml;base64,(.*?)"', page)
    now = (branch.root / "plots/figure.svg").read_bytes()
    assert now in [base64.b64decode(figure) for figure in figures]
    assert len(set(figures)) == 2
    assert 'src="static' not in page
    assert "<td>rate</td><td>1</td><td>2</td>" in page
    assert said.startswith((branch.root / "dvc_plots/review.md").read_text())
    assert branch.changed() == ["fit.py", "plots/figure.svg", "plots/loss.csv"]


def test_nothing_differs_from_itself(branch: Clone) -> None:
    said = reviewed(branch)
    assert "uncommitted" not in said
    assert sections(said.partition("\nCharts")[0]) == {
        "Params": "No param differs.",
        "Metrics": "No metric differs.",
        "Stages that would run": "None: the results are those of this code, data and params.",
        "Plots that moved (4 did not)": "None of the 4 differs.",
    }


@pytest.mark.parametrize(
    ("revision", "line"),
    [
        ("nowhere", "error: REV=nowhere: no such revision here; "),
        ("--output=x", "error: REV=--output=x: no such revision here; "),
        ("HEAD~1", "error: REV=HEAD~1: commit .* has no results"),
    ],
)
def test_a_revision_that_cannot_be_compared_with_is_one_line(
    branch: Clone, revision: str, line: str
) -> None:
    failed = branch.run("python", "-m", "stages.commands.review", "--", revision, check=False)
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert re.match(line, failed.stderr)
    assert not failed.stdout
    assert not (branch.root / "dvc_plots").exists()


def test_the_causes_are_what_has_changed() -> None:
    deps = {
        "stages/fit.py": "modified",
        "params.yaml": {"fit": "new"},
    }
    assert review.causes([{"changed deps": deps}]) == ["stages/fit.py", "fit"]
    assert review.causes([{"changed deps": {"metrics/x.csv": "deleted"}}, "changed command"]) == [
        "metrics/x.csv (deleted)",
        "changed command",
    ]


def test_text_fits_a_terminal_and_a_comment() -> None:
    names = [f"stages/cnn/module_{number}.py" for number in range(40)]
    rows = [["train_cnn (40 stages)", review._some(names)], ["a|b", "c"]]
    section = review.Section("Stages", ["stage", "because of"], rows, "")
    lines = review.markdown("main → workspace", "main: 1; workspace: 2.", [section]).splitlines()
    assert max(map(len, lines)) <= 110
    assert "and 38 more" in lines[-2]
    assert "a\\|b" in lines[-1]


@pytest.mark.parametrize("value", ["<img src=x onerror=alert(1)>", "a\n\n# b", "</td><script>"])
def test_what_params_say_stays_text_of_one_cell(value: str) -> None:
    section = review.Section("Params", ["param", "main"], [["a", value]], "")
    *_, row = review.markdown("", "", [section]).splitlines()
    assert "<" not in row
    assert row.startswith("| a ")
    assert html.unescape(row.split("|")[2]).split() == value.split()


def test_the_workflow_pins_its_actions_and_writes_nothing_but_the_comment() -> None:
    text = WORKFLOW.read_text()
    workflow = yaml.safe_load(text)
    used = re.findall(r"uses: (\S+)( # v[\d.]+)?", text)
    assert used
    for action, version in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)
        assert version, action
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    assert jobs["review"]["permissions"] == {"contents": "read"}
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    assert "pull_request_target" not in text
    assert not any("checkout" in step.get("uses", "") for step in jobs["comment"]["steps"])
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert not any("${{" in script for script in scripts)  # what others name is no code
    assert any(script.startswith("python -m stages.commands.review") for script in scripts)


@pytest.mark.parametrize("workflow", ["review", "test"])
def test_a_workflow_follows_githubs_schema(workflow: str) -> None:
    pytest.importorskip("check_jsonschema")
    schema = ["--builtin-schema", "vendor.github-workflows"]
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        *schema,
        str(WORKFLOW.with_name(f"{workflow}.yml")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
