"""TensorBoard's events as far as runs need them: scalars, texts, hyperparameters.

The records of an event file are messages that TensorBoard defines. What is damaged is told apart,
where TensorBoard's own reader stops at the first bad record; the tests hold this one against it.
1,000 files with 200,000 scalars: under 1 s of one core.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import (
    DT_DOUBLE,
    DT_FLOAT,
    DT_HALF,
    DT_INT32,
    DT_INT64,
    DT_STRING,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from stages.tensorboard import records

PACKED = {DT_FLOAT: "<f4", DT_DOUBLE: "<f8", DT_INT32: "<i4", DT_INT64: "<i8", DT_HALF: "<f2"}
"""The numbers that a scalar can have, as `tensor_content` holds them."""


@dataclass
class Log:
    """What one event file holds.

    Attributes:
        start: wall time of the first event, seconds; 0 where there is none.
        scalars: by tag, the steps and values, in the order of the file.
        texts: by tag, the distinct texts.
        hyperparameters: numbers and strings, by name, those of the last session.
        bad: records with a bad checksum, or that are no event.
        lost: bytes at the end that are no record.
    """

    start: float = 0.0
    scalars: dict[str, tuple[list[int], list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: ([], []))
    )
    texts: dict[str, list[str]] = field(default_factory=dict)
    hyperparameters: dict[str, float | str] = field(default_factory=dict)
    bad: int = 0
    lost: int = 0


def read(content: bytes) -> Log:
    """Decode an event file, whatever its state."""
    found = records.read(content)
    log = Log(bad=found.bad, lost=found.lost)
    starts = []
    for data in found.data:
        try:
            event = Event.FromString(data)
            for value in event.summary.value:
                _add(value, event.step, log)
        except (DecodeError, ValueError):  # the latter of numbers that end in between
            log.bad += 1
        else:
            starts.append(event.wall_time)
    log.start = next(iter(starts), 0.0)
    return log


def _add(value: Summary.Value, step: int, log: Log) -> None:
    kind, number = value.WhichOneof("value"), None
    if kind == "simple_value":
        number = value.simple_value
    elif kind == "tensor" and value.tensor.dtype == DT_STRING:
        text = b"\n".join(value.tensor.string_val).decode(errors="replace")
        texts = log.texts.setdefault(value.tag, [])
        if text not in texts:
            texts.append(text)
    elif kind == "tensor":
        number = _number(value.tensor)
    elif value.tag.startswith("_hparams_/"):
        plugin = HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for name, held in plugin.session_start_info.hparams.items():
            if (kind := held.WhichOneof("kind")) in ("number_value", "string_value"):
                log.hyperparameters[name] = getattr(held, kind)
    if number is not None:
        steps, values = log.scalars[value.tag]
        steps.append(step)
        values.append(number)


def _number(tensor: TensorProto) -> float | None:
    """The value of a tensor of one number."""
    kind = PACKED.get(tensor.dtype)
    if kind and tensor.tensor_content:
        numbers = np.frombuffer(tensor.tensor_content, kind).tolist()
    else:
        numbers = [*tensor.float_val, *tensor.double_val, *tensor.int_val, *tensor.int64_val]
    return float(numbers[0]) if len(numbers) == 1 else None


def write(
    start: float,
    texts: Mapping[str, str],
    steps: Sequence[int],
    scalars: Mapping[str, Sequence[float]],
) -> bytes:
    """An event file of texts, and of scalars (as float32) at each of `steps`.

    There is no clock in it: the events of a step are so many seconds after `start`.
    """

    def event(step: int, **value: object) -> Event:
        return Event(wall_time=start + step, step=step, summary={"value": [value]})

    events = [Event(wall_time=start, file_version="brain.Event:2")]
    for tag, text in texts.items():
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
        tensor.tensor_shape.dim.add(size=1)
        metadata = {"plugin_data": {"plugin_name": "text"}}
        events.append(event(0, tag=tag, tensor=tensor, metadata=metadata))
    for place, step in enumerate(steps):
        events += [event(step, tag=tag, simple_value=of[place]) for tag, of in scalars.items()]
    return records.frame([event.SerializeToString() for event in events])
