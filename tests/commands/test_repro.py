"""`make repro` on a graph with the shape of ours: what it downloads, trains and prints."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stages.base.errors import InputError
from stages.commands import repro
from tests.helpers.clone import Clone, isolated
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT
from tests.helpers.tiny import write_params

GRAPH = {
    "train": {
        "matrix": {"width": "${cnn.widths}"},
        "cmd": "mkdir -p runs && echo ${cnn.sweeps.paper.epochs} > runs/${item.width}",
        "params": ["cnn.sweeps.paper"],
        "outs": [{"runs/${item.width}": {"cache": False}}],
    },
    "fit": {
        "cmd": """echo '{"alpha": 0.123456, "of": {"runs": 2, "status": "ok"}}' > fit.json""",
        "deps": ["runs", "fit.txt"],
        "metrics": [{"fit.json": {"cache": False}}],
    },
}
TRAINED = ["train@1", "train@2", "fit"]


def configure(tree: Clone, epochs: int = 1) -> None:
    """Valid params."""
    changed = FROZEN.model_dump()
    changed["cnn"]["widths"] = [1, 2]
    changed["cnn"]["sweeps"]["paper"]["epochs"] = epochs
    write_params(tree.root, changed)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A repository with every result committed."""
    home = tmp_path_factory.mktemp("done")
    tree = Clone(home / "tree", isolated(home) | {"PYTHONPATH": str(ROOT)})
    tree.root.mkdir()
    (tree.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}))
    configure(tree)
    (tree.root / "fit.txt").write_text("fit.txt\n")
    tree.run("git", "init", "--quiet")
    tree.run("dvc", "init", "--quiet")
    tree.run("dvc", "repro", "--quiet")
    tree.run("git", "add", "--all")
    tree.run("git", "commit", "--quiet", "--message=Results")
    return tree


@pytest.fixture
def fresh(done: Clone, tmp_path: Path) -> Clone:
    """A clone of it."""
    done.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    return Clone(tmp_path / "clone", done.env)


def reproduce(clone: Clone) -> tuple[list[str], str]:
    """The stages that ran, and all that was printed."""
    said = clone.run("python", "-m", "stages.commands.repro").stdout
    ran = [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]
    return ran, said


def test_a_fresh_clone_trains_nothing_and_shows_the_metrics(fresh: Clone) -> None:
    ran, said = reproduce(fresh)
    assert not ran
    assert said.endswith("\nfit.json\n  alpha      0.1235\n  of.runs    2\n  of.status  ok\n")


def test_stale_training_runs(fresh: Clone) -> None:
    configure(fresh, epochs=2)
    assert reproduce(fresh)[0] == TRAINED
    assert (fresh.root / "runs/2").read_text() == "2\n"


@pytest.mark.parametrize(("deleted", "maker"), [("runs/2", "train@2"), ("fit.json", "fit")])
def test_a_deleted_result_is_made_again(fresh: Clone, deleted: str, maker: str) -> None:
    (fresh.root / deleted).unlink()
    assert reproduce(fresh)[0] == [maker]
    assert not fresh.run("git", "status", "--porcelain").stdout


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
def test_what_cannot_be_read_ends_it(fresh: Clone, name: str) -> None:
    (fresh.root / name).write_text("{a: 2\n")
    failed = fresh.run("python", "-m", "stages.commands.repro", check=False)
    assert failed.returncode
    assert name in failed.stderr
    assert not fresh.run("git", "status", "--porcelain", "--", "runs", "fit.json").stdout


def test_a_stage_that_cannot_run_ends_it(fresh: Clone) -> None:
    (fresh.root / "fit.txt").unlink()
    failed = fresh.run("python", "-m", "stages.commands.repro", check=False)
    assert failed.returncode
    assert "fit.txt" in failed.stderr
    assert "alpha" not in failed.stdout


def test_metrics_that_cannot_be_read_are_no_result() -> None:
    with pytest.raises(InputError, match=r"metrics/cnn\.json: missing or damaged"):
        repro.table({"metrics/cnn.json": {"error": {"type": "FileNotFoundError"}}})


def test_what_a_full_disk_leaves_does_not_stop_the_next_run(fresh: Clone) -> None:
    (fresh.root / "fit.txt").write_text("another\n")
    (fresh.root / ".dvc/tmp").mkdir(exist_ok=True)
    (fresh.root / ".dvc/tmp/rwlock").touch()
    corrupted = fresh.run("dvc", "repro", check=False)
    assert "JSON structure is corrupted" in corrupted.stderr
    assert reproduce(fresh)[0] == ["fit"]


def test_a_lock_that_lost_its_content_is_named(fresh: Clone) -> None:
    (fresh.root / "dvc.lock").write_bytes(b"")
    ended = fresh.run("python", "-m", "stages.commands.repro", check=False)
    assert ended.returncode == 1
    assert ended.stderr == "error: dvc.lock: damaged; restore it: git checkout -- dvc.lock\n"


def test_an_interrupt_is_one_line_once_dvc_has_ended(fresh: Clone) -> None:
    slow = {"fit": GRAPH["fit"] | {"cmd": "sleep 60"}}
    (fresh.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH | slow}))
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.commands.repro"],
        cwd=fresh.root,
        env=fresh.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert any("sleep" in line for line in process.stdout)
    time.sleep(0.5)  # DVC has printed the command, and then runs it
    os.killpg(process.pid, signal.SIGINT)
    *_, last = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 130
    assert last == "interrupted; run it again to go on"
