"""How an output appears: whole or not at all; and a file's hash."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path to write a file to that becomes `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # by the umask, which safetensors does not ask
        yield temporary
        temporary.chmod(mode)
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # where nothing can be written: the first error says so
            temporary.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """MD5 (hex) of a file, as dvc.lock has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def write(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all."""
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
