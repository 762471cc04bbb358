"""What the README quotes is what the pipeline says."""

import re
import subprocess
import sys

import networkx

from tests.helpers.root import ROOT

README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    """What stands between <!-- name --> and <!-- /name -->."""
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert found, f"README.md: no block {name}"
    return found[1].strip()


def test_the_verdict_is_that_of_the_verdict_stage() -> None:
    page = (ROOT / "metrics/verdict.md").read_text()
    table = re.search(r"^\| quantity \| published.*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    assert table
    assert block("verdict") == table[0], "copy the first table of metrics/verdict.md into README.md"


def test_the_graph_is_dvcs_without_the_arrows_that_others_imply() -> None:
    command = [sys.executable, "-m", "dvc", "dag", "--collapse-foreach-matrix", "--dot"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    graph = networkx.DiGraph(re.findall(r'"(?:\S+:)?(\w+)" -> "(?:\S+:)?(\w+)"', done.stdout))
    graph.remove_node("validate")
    shown = re.findall(r"(\w+) --> (\w+)", block("graph"))
    assert shown == sorted(networkx.transitive_reduction(graph).edges)


def test_every_file_that_is_linked_is_there() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).is_file(), f"README.md links to {path}"
