"""The Makefile: whatever a folder or a revision is called, no shell reads it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.root import ROOT

STUB = '#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done >>said\n'
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


def make(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | env
    return subprocess.run(
        ["make", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile where every character is one that a shell reads, its Python a stub."""
    folder = tmp_path / "a: \"b\" $HOME `touch X` 'c; touch X'"
    for name in ("Makefile", "requirements.lock", "stages/pages/templates/review.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("python", "ruff", "mypy"):
        stub = folder / ".venv/bin" / name
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(STUB)
        stub.chmod(0o755)
    lock = (folder / "requirements.lock").read_bytes()
    sum_ = subprocess.run(["cksum"], input=lock, capture_output=True, check=True).stdout.split()[0]
    (folder / f".venv/ready-{sum_.decode()}").touch()
    page = folder / ".dvc/tmp/plots.html"
    page.parent.mkdir(parents=True)
    page.touch()
    return folder


@pytest.mark.parametrize("target", ["repro", "sweep", "bench", "review"])
def test_a_command_runs_the_python_of_its_own_environment(folder: Path, target: str) -> None:
    done = make(folder, target)
    assert done.returncode == 0, done.stderr
    module = "bench" if target == "bench" else f"stages.commands.{target}"
    assert (folder / "said").read_text() == f"-m\n{module}\n"
    assert not (folder / "X").exists()


HOSTILE = ["v1.0", "a b", 'x"; touch X; "', "x'; touch X; '", "`touch X`", "x;touch X"]


@pytest.mark.parametrize("revision", HOSTILE)
@pytest.mark.parametrize("by", ["word", "environment"])
def test_a_revision_is_one_argument(folder: Path, revision: str, by: str) -> None:
    word = by == "word"
    done = make(
        folder, "review", *([f"REV={revision}"] * word), **({} if word else {"REV": revision})
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "said").read_text() == f"-m\nstages.commands.review\n{revision}\n"
    assert not (folder / "X").exists()


def test_a_python_by_its_path_is_one_word(folder: Path) -> None:
    shutil.rmtree(folder / ".venv")
    python = folder / "my python; touch X"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = make(folder, "setup", f"PYTHON=./{python.name}")
    assert done.returncode
    assert "is missing or older than 3.11" in done.stderr
    assert not (folder / "X").exists()


def test_an_environment_that_is_a_link_is_refused_and_what_it_leads_to_stays(folder: Path) -> None:
    (folder / ".venv").rename(folder / "another")
    (folder / ".venv").symlink_to("another")
    for ready in (folder / "another").glob("ready-*"):
        ready.unlink()
    done = make(folder, "repro")
    assert done.returncode
    assert "error: .venv is a link, and what it leads to would be emptied; " in done.stderr
    assert (folder / "another/bin/python").read_text() == STUB


def test_help_lists_every_command() -> None:
    listed = {line.split()[1] for line in make(ROOT, "help").stdout.splitlines()}
    phony = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY")
    )
    assert listed == {*phony.split()[1:]}
