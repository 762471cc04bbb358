"""How a stage ends on input that cannot be used: a line for each fault, no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.base import errors
from tests.helpers.clone import isolated
from tests.helpers.root import ROOT


def test_each_fault_has_a_line_and_the_exit_code_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise errors.InputError("a.txt: missing\nb.txt: damaged")

    with pytest.raises(SystemExit) as end:
        errors.run(main)
    assert end.value.code == 1
    assert capsys.readouterr() == ("", "error: a.txt: missing\nerror: b.txt: damaged\n")


def test_an_interrupt_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        errors.run(main)
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted; run it again to go on\n"


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        ("KeyboardInterrupt", -signal.SIGINT, "interrupted; run it again to go on"),
        ("ZeroDivisionError", 1, "ZeroDivisionError"),
    ],
)
def test_an_interrupt_of_an_import_is_one_line_and_an_error_there_keeps_its_traceback(
    error: str, code: int, last: str
) -> None:
    command = [sys.executable, "-c", f"import stages.base.errors\nraise {error}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stderr.splitlines()[-1] == last
    assert ("Traceback" in ended.stderr) == (code == 1)


def test_what_no_user_can_mend_keeps_its_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        errors.run(main)


def test_a_stage_that_succeeds_says_nothing_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    errors.run(lambda: print("done"))
    assert capsys.readouterr() == ("done\n", "")


@pytest.mark.parametrize(("below", "said"), [("", True), (".dvc/tmp/exps/abc", False)])
@pytest.mark.parametrize("error", [errors.InputError("a.txt: missing"), KeyboardInterrupt()])
def test_an_experiment_that_ends_early_says_how_to_put_back_what_it_changed_where_it_did(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    below: str,
    said: bool,
) -> None:
    def main() -> None:
        raise error

    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / below)
    monkeypatch.setenv("DVC_EXP_NAME", "tried")
    with pytest.raises(SystemExit):
        errors.run(main)
    assert ("git checkout -- params.yaml" in capsys.readouterr().err) == said


@pytest.mark.parametrize("error", ["InputError", "KeyboardInterrupt"])
def test_the_line_puts_back_what_was_changed_in_the_second_in_which_git_looked(
    tmp_path: Path, error: str
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, env=env, check=True)

    env = isolated(tmp_path) | {"DVC_EXP_NAME": "tried", "PYTHONPATH": str(ROOT)}
    params = tmp_path / "params.yaml"
    for name in ("params.yaml", "dvc.lock", "metrics/a", "plots/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a: 1\n")
    git("init", "--quiet")
    git("config", "core.trustCtime", "false")  # else the second is the one in which this runs
    os.utime(params, (1e9, 1e9))
    git("add", "--all")
    git("commit", "--quiet", "--message=a")
    params.write_text("a: 2\n")
    os.utime(params, (1e9, 1e9))
    command = f"from stages.base.errors import *\nraise {error}"
    ended = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    *_, line = ended.stderr.splitlines()
    git(*line.partition(": git ")[2].split())
    assert params.read_text() == "a: 1\n"
