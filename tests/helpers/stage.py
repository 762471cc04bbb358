"""A stage as a process of its own."""

import subprocess
import sys
from pathlib import Path

from tests.helpers.root import ROOT


def run_stage(module: str, table: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run a stage that takes a table and writes to a folder, as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", module, "--table", table, "--output", output],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
