"""Where the project lies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FROZEN = Path(__file__).with_name("params.yaml")
"""Params that tests read: no test fails because a valid value of params.yaml was changed."""
