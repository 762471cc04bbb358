"""What a worker returns: it says what was made, and the head says where that belongs."""

import pytest

from stages.sweeping.work import Result, Task

TASK = Task("train_cnn@a", "stages.noop", ("a",), (), ("out/a.a", "out/a.b"), "key")
OUTS = {"out/a.a": b"a", "out/a.b": b"b"}


def test_the_outs_of_a_task_are_its_result() -> None:
    result = Result(TASK, 2.0, dict(OUTS))
    assert result.of(TASK) == result


@pytest.mark.parametrize(
    "outs",
    [
        OUTS | {"stages/evil.py": b""},
        {"out/a.a": b"a", "../out/a.b": b"b"},
        {"out/a.a": b"a", "/tmp/evil": b"b"},
        {"out/a.a": b"a"},
        {},
    ],
)
def test_other_files_than_its_outs_are_a_fault_and_go_nowhere(outs: dict[str, bytes]) -> None:
    result = Result(TASK, 2.0, outs).of(TASK)
    assert result.fault.startswith("its worker returned ")
    assert result.outs == {}


def test_a_worker_does_not_say_whose_its_result_is() -> None:
    other = Task("../../x", "stages.noop", (), (), ("stages/evil.py",), "another key")
    assert Result(other, outs=dict(OUTS)).of(TASK).task == TASK
    assert Result(other, outs={"stages/evil.py": b""}).of(TASK).fault
    assert Result(other, fault="no luck").of(TASK) == Result(TASK, fault="no luck")
