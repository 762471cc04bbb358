"""A part is a function of its params, code and data: trained again or after a kill, the same."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from stages.base.progress import LIVE
from stages.sweeping.graph import TRAINING
from tests.helpers.clone import Clone, change

PART = Path("metrics/runs/cnn/paper-1.parquet")


def kill_in_training(clone: Clone, *command: str) -> dict[str, Any]:
    """Start a command in a terminal; SIGKILL it and its children once it has kept some epochs.

    What `dvc exp show` then has as the workspace's metrics.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=clone.root,
        env=clone.env,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = ""
    try:
        while not re.search(r"\b([6-9]|\d\d+)/\d+ .*loss=", said):  # the progress bar
            said += os.read(ours, 4096).decode(errors="replace")
        os.killpg(process.pid, signal.SIGSTOP)
        shown = json.loads(clone.run("dvc", "exp", "show", "--json").stdout)
    except OSError:
        pytest.fail(f"ended before it was killed:\n{said}", pytrace=False)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
    metrics: dict[str, Any] = shown[0]["data"]["metrics"]
    return metrics


def test_what_was_killed_gives_the_same_part_when_run_again(ready: Clone) -> None:
    change(ready, "cnn.sweeps.paper.epochs", 40)
    kept = ready.root / "stages/training/kept.py"
    kept.write_text(kept.read_text().replace("PERIOD = 10.0", "PERIOD = 0.0"))
    made = [ready.root / PART, (ready.root / PART).with_suffix(".safetensors")]
    before = [path.read_bytes() for path in made]
    stage = ["dvc", "repro", f"{TRAINING}:train_cnn@paper-1"]
    [live] = [v for k, v in kill_in_training(ready, *stage).items() if k.startswith(str(LIVE))]
    assert live["data"].keys() == {"epoch", "loss", "seconds_left"}
    assert 0 < live["data"]["epoch"] < 40
    assert [path.read_bytes() for path in made] == before
    said = ready.run(*stage).stderr
    assert re.search(r"80 of 80 run-epochs, .* after [1-9]\d* taken up", said)
    after_kill = [path.read_bytes() for path in made]
    assert after_kill != before
    ready.run("python", "-m", "stages.train_cnn", "paper", "1")
    assert [path.read_bytes() for path in made] == after_kill
    assert not list(ready.root.glob("metrics/**/.*.tmp"))
    assert not list((ready.root / LIVE).glob("*.json"))
    assert not list((ready.root / ".dvc/tmp/training").iterdir())


def test_a_parity_part_trained_twice_has_the_same_bytes(ready: Clone) -> None:
    ready.run("dvc", "repro", "--force", "--single-item", f"{TRAINING}:train_parity@notebook")
    assert ready.changed() == []
