"""Params for tests: those of params.yaml, with the values pinned that a result depends on.

No test fails because a valid value of params.yaml was changed; a key that is new there is here too.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from stages.base import params
from tests.helpers.root import ROOT

PINNED = yaml.safe_load((ROOT / "tests/helpers/params.yaml").read_text())
NAMED = (
    "images",
    "cnn.sweeps",
    "studies",
    "regime.changes",
    "imports",
    "parity.configurations",
    "fit.widths",
    "fit.sensitivity.widths",
)
"""Mappings from names that one chooses: only those pinned are there."""


def pinned(live: Mapping[str, Any], values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """`live` with these values; what has no value here keeps its own."""
    made = {key: value for key, value in live.items() if key in values or path not in NAMED}
    for key, value in values.items():
        where = f"{path}.{key}".lstrip(".")
        old = live.get(key) or next(iter(live.values()), {}) if path in NAMED else live.get(key)
        inner = isinstance(value, Mapping) and isinstance(old, Mapping)
        made[key] = pinned(old, value, where) if inner else value
    return made


FROZEN = params.Params.model_validate(
    pinned(params.load(ROOT / "params.yaml").model_dump(), PINNED)
)
