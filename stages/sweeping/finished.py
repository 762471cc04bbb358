"""What is trained and not yet recorded, on disk, so that a killed sweep loses nothing finished."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stages.base import files
from stages.sweeping.work import Result

_KEY = "key"
_OUTS = "outs"


@dataclass(frozen=True)
class Finished:
    """A folder with a folder for each finished stage, there whole or not at all."""

    folder: Path

    def add(self, result: Result) -> None:
        """Keep what a stage wrote, in place of what it wrote before."""
        aside = self.folder / f".{result.task.name}.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        for path, content in result.outs.items():
            (aside / _OUTS / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / _OUTS / path).write_bytes(content)
        (aside / _KEY).write_text(result.task.key)
        self.remove(result.task.name)
        os.replace(aside, self.folder / result.task.name)

    def keys(self) -> dict[str, str]:
        """The key from which each stage that is here was made."""
        return {path.parent.name: path.read_text() for path in self.folder.glob(f"[!.]*/{_KEY}")}

    def outs(self, name: str) -> Path:
        """The folder that holds a stage's outs, by their paths in the workspace."""
        return self.folder / name / _OUTS

    def place(self, name: str, root: Path) -> None:
        """Copy a stage's outs to their places in the workspace, each whole or not at all."""
        outs = self.outs(name)
        for source in sorted(path for path in outs.rglob("*") if path.is_file()):
            with files.aside(root / source.relative_to(outs)) as path:
                shutil.copyfile(source, path)

    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)
