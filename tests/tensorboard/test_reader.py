"""Event files: our reader against TensorBoard's own, and on files that are damaged."""

import re
import struct
import time
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from stages.base.errors import InputError
from stages.base.params import Import
from stages.tensorboard import events, logs, records

FLOAT, DOUBLE, INT32, INT64, HALF, STRING = 1, 2, 3, 9, 19, 7  # of TensorFlow's types.proto


def written(path: Path, contents: list[Event]) -> bytes:
    """An event file as TensorBoard writes it."""
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for content in contents:
            writer.write(content.SerializeToString())
        writer.flush()
    return path.read_bytes()


def event(tag: str, step: int = 0, **value: object) -> Event:
    return Event(
        wall_time=1.6e9 + step, step=step, summary=Summary(value=[Summary.Value(tag=tag, **value)])
    )


TENSORS = {
    "float_val": (TensorProto(dtype=FLOAT, float_val=[0.1]), np.float32(0.1)),
    "double_val": (TensorProto(dtype=DOUBLE, double_val=[0.1]), 0.1),
    "int_val": (TensorProto(dtype=INT32, int_val=[-3]), -3),
    "int64_val": (TensorProto(dtype=INT64, int64_val=[1 << 40]), 1 << 40),
    "float": (TensorProto(dtype=FLOAT, tensor_content=struct.pack("<f", 0.1)), np.float32(0.1)),
    "double": (TensorProto(dtype=DOUBLE, tensor_content=struct.pack("<d", 0.1)), 0.1),
    "half": (TensorProto(dtype=HALF, tensor_content=struct.pack("<e", 0.5)), 0.5),
    "int64": (TensorProto(dtype=INT64, tensor_content=struct.pack("<q", -7)), -7),
}


def test_scalars_in_both_encodings_and_texts_are_read_as_tensorboard_reads_them(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    contents = [Event(wall_time=12.5, file_version="brain.Event:2")]
    text = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    for name in ["one", "two", "two"]:
        tensor = TensorProto(dtype=STRING, string_val=[name.encode()])
        contents.append(event("a text", tensor=tensor, metadata=text))
    for step in [0, 1, 127, 128, 1 << 20, 1 << 40, -1]:
        for tag in ["Loss/Train", "Übung"]:
            contents.append(event(tag, step, simple_value=rng.normal()))
            tensor = TensorProto(dtype=FLOAT, float_val=[rng.normal()])
            contents.append(event(f"{tag}, tensor", step, tensor=tensor))
    for value in [np.nan, np.inf, 0.0]:
        contents.append(event("odd", simple_value=value))
    contents.append(event("image", image=Summary.Image(encoded_image_string=b"x" * 5000)))
    contents.append(event("vector", tensor=TensorProto(dtype=FLOAT, float_val=[1, 2])))
    path = tmp_path / "tfevents"
    log = events.read(written(path, contents))

    expected: dict[str, tuple[list[int], list[float]]] = {}
    for read in LegacyEventFileLoader(str(path)).Load():
        for value in read.summary.value:
            if value.WhichOneof("value") == "simple_value":
                number = value.simple_value
            elif len(value.tensor.float_val) == 1:
                number = value.tensor.float_val[0]
            else:
                continue
            steps, values = expected.setdefault(value.tag, ([], []))
            steps.append(read.step)
            values.append(number)
    assert len(expected) == 5
    assert {tag: steps for tag, (steps, _) in log.scalars.items()} == {
        tag: steps for tag, (steps, _) in expected.items()
    }
    for tag, (_, values) in expected.items():
        np.testing.assert_array_equal(log.scalars[tag][1], values)
    assert log.texts == {"a text": ["one", "two"]}
    assert (log.start, log.bad, log.lost) == (12.5, 0, 0)


@pytest.mark.parametrize("name", TENSORS)
def test_every_kind_of_number_in_a_tensor_is_a_scalar(name: str, tmp_path: Path) -> None:
    tensor, value = TENSORS[name]
    log = events.read(written(tmp_path / "tfevents", [event(name, 3, tensor=tensor)]))
    assert log.scalars == {name: ([3], [value])}


def test_hyperparameters_are_read(tmp_path: Path) -> None:
    start = plugin_data_pb2.SessionStartInfo()
    start.hparams["width"].number_value = 5
    start.hparams["optimizer"].string_value = "adam"
    start.hparams["augment"].bool_value = True
    content = plugin_data_pb2.HParamsPluginData(version=0, session_start_info=start)
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    metadata = SummaryMetadata(plugin_data=plugin)
    one = event("_hparams_/session_start_info", metadata=metadata)
    path = tmp_path / "tfevents"
    log = events.read(written(path, [one]))
    assert log.hyperparameters == {"width": 5.0, "optimizer": "adam"}
    named = Import(runs=".", hyperparameters={"width": "width"})
    assert logs.read(path, tmp_path, named).width == 5
    wrong = Import(runs=".", hyperparameters={"width": "optimizer"})
    with pytest.raises(InputError, match="width by hyperparameter optimizer is 'adam'; expected"):
        logs.read(path, tmp_path, wrong)


def test_what_we_write_tensorboard_reads(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=40).astype(np.float32)
    scalars = {"Loss/Train": values.tolist(), "b": (2 * values).tolist()}
    steps = [*range(39), 200]
    path = tmp_path / "tfevents"
    path.write_bytes(events.write(7.0, {"Model size/text_summary": "5408"}, steps, scalars))
    first, text, *rest = LegacyEventFileLoader(str(path)).Load()
    assert (first.wall_time, first.file_version) == (7.0, "brain.Event:2")
    assert text.summary.value[0].tensor.string_val == [b"5408"]
    assert text.summary.value[0].metadata.plugin_data.plugin_name == "text"
    found = [(e.step, e.wall_time, v.tag, v.simple_value) for e in rest for v in e.summary.value]
    assert found == [
        (step, 7.0 + step, tag, of[i])
        for i, step in enumerate(steps)
        for tag, of in scalars.items()
    ]
    log = events.read(path.read_bytes())
    assert log.scalars == {tag: (steps, of) for tag, of in scalars.items()}


def test_checksums_are_those_of_the_standard() -> None:
    # CRC-32C of "123456789" is E3069283; masked as record_writer.h has it
    crc = 0xE3069283
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert records.frame([b"123456789"])[-4:] == struct.pack("<I", masked)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 60])
def test_frames_are_read_back(count: int) -> None:
    rng = np.random.default_rng(count)
    lengths = [0, 5000, *rng.integers(0, 90, 60).tolist()][:count]
    data = [rng.bytes(length) for length in lengths]
    assert records.read(records.frame(data)) == records.Records(data, bad=0, lost=0)


DATA = [b"first", b"", b"the third", b"x" * 40, b"last"]
ENDS = list(accumulate(len(data) + 16 for data in DATA))


def test_a_file_cut_off_anywhere_keeps_its_whole_records_and_says_what_is_lost() -> None:
    content = records.frame(DATA)
    assert len(content) == ENDS[-1]
    for size in range(len(content) + 1):
        whole = sum(end <= size for end in ENDS)
        lost = size - (ENDS[whole - 1] if whole else 0)
        assert records.read(content[:size]) == records.Records(DATA[:whole], bad=0, lost=lost)


def test_one_bad_byte_anywhere_is_found_and_costs_its_record_or_what_follows_a_length() -> None:
    content = records.frame(DATA)
    for record, (start, end) in enumerate(pairwise([0, *ENDS])):
        for place in range(start, end):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            found = records.read(bytes(flipped))
            assert found.bad == 1
            if place < start + records.HEADER:
                assert found == records.Records(DATA[:record], 1, len(content) - start)
            else:
                assert found == records.Records(DATA[:record] + DATA[record + 1 :], 1, 0)


def test_a_file_of_anything_else_is_one_bad_record() -> None:
    log = events.read(b"not an event file, whatever its name")
    assert (log.bad, log.lost, log.scalars) == (1, 36, {})


def test_records_that_are_no_events_are_counted_and_the_rest_is_read() -> None:
    good = events.write(1.0, {}, [0], {"a": [0.5]})
    other = records.frame([b"\xff\xff\xff", b"\x2a\x7f", b"\x0f", b"\x2a\x03\x0a\x01\xff"])
    log = events.read(other + good)
    assert log.bad == 4
    assert log.scalars == {"a": ([0], [0.5])}


@pytest.mark.parametrize("size", [10, 1000, 1_000_000])
def test_a_number_without_end_is_a_bad_record_at_once(size: int) -> None:
    start = time.perf_counter()
    log = events.read(records.frame([b"\x10" + b"\xff" * size + b"\x01"]))
    assert time.perf_counter() - start < 1
    assert log.bad == 1


def test_a_record_of_many_megabytes_is_passed_over() -> None:
    content = bytearray(records.frame([b"first", bytes(records.LONGEST), b"last"]))
    content += records.frame([b""])
    long = struct.pack("<Q", 64 << 20)
    header = records.frame([long])[records.HEADER + 8 :]  # the checksum of these 8 bytes
    content += long + header + bytes((64 << 20) + records.FOOTER) + records.frame([b"after"])
    start = time.perf_counter()
    found = records.read(bytes(content))
    assert time.perf_counter() - start < 3
    assert [len(data) for data in found.data] == [5, records.LONGEST, 4, 0, 5]
    assert (found.bad, found.lost) == (0, 0)


def run(folder: Path, values: dict[str, float], text: str = "2", path: str = "") -> logs.Run:
    """What is read of one epoch with these metrics, as doubles, and a text that says the width."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=STRING, string_val=[text.encode()])
    contents = [event("Channel count/text_summary", tensor=tensor, metadata=metadata)]
    metrics = {"train_loss": 1.0, "train_accuracy": 0.5} | {"validation_loss": 1.0}
    for metric, value in (metrics | {"validation_accuracy": 0.5} | values).items():
        tag = getattr(Import(runs=".").tags, metric)
        contents.append(event(tag, tensor=TensorProto(dtype=DOUBLE, double_val=[value])))
    written(folder / "tfevents", contents)
    spec = Import(runs=".", path=path or r"n_(?P<width>\d+)$")
    return logs.read(folder / "tfevents", folder, spec)


def test_a_loss_that_the_table_cannot_hold_is_infinite(tmp_path: Path) -> None:
    assert run(tmp_path, {"train_loss": 1e300}).curves["train_loss"] == [np.inf]


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("train_loss", 0.0, "Loss/Train is 0 at epoch 1; expected more than 0 nats"),
        ("validation_loss", -5.0, "Loss/Validation is -5 at epoch 1; expected more than 0 nats"),
        ("train_loss", 1e-300, "Loss/Train is 0 at epoch 1; expected more than 0 nats"),
        ("train_accuracy", 7.0, "Accuracy/Train is 7 at epoch 1; expected 0 to 1; for percentages"),
    ],
)
def test_what_no_run_can_have_is_refused(
    tmp_path: Path, metric: str, value: float, said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        run(tmp_path, {metric: value})


def test_a_text_of_digits_without_end_is_no_width(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one whole number from 1") as error:
        run(tmp_path, {}, text="9" * 5000)
    assert len(str(error.value)) < 400


def test_an_expression_that_backtracks_without_end_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SECONDS", 0.1)
    folder = tmp_path / ("a" * 60)
    folder.mkdir()
    with pytest.raises(InputError, match=r"imports\.\*\.path '\(a\+\)\+b' finds no end; mend it"):
        run(folder, {}, path="(a+)+b")
