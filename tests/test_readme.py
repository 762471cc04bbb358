"""What the README quotes is what the pipeline says."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def test_the_graph_is_dvcs() -> None:
    command = [sys.executable, "-m", "dvc", "dag", "--collapse-foreach-matrix", "--md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert block("graph") == done.stdout.strip(), f"copy what {' '.join(command[2:])} prints"


def test_every_file_that_is_linked_is_there() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).is_file(), f"README.md links to {path}"
