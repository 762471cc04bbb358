"""How a stage ends on input that cannot be used: a line for each fault, no traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.base import errors
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
def test_a_failed_experiment_says_how_to_put_back_what_it_changed_where_it_did(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    below: str,
    said: bool,
) -> None:
    def main() -> None:
        raise errors.InputError("a.txt: missing")

    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / below)
    monkeypatch.setenv("DVC_EXP_NAME", "tried")
    with pytest.raises(SystemExit):
        errors.run(main)
    assert ("git checkout -- params.yaml" in capsys.readouterr().err) == said
