"""A clone of the working tree to run commands in, and what is asked of it."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from tests.helpers.tiny import dumped


@dataclass(frozen=True)
class Clone:
    """A git clone to run commands in, with the interpreter and tools of this environment."""

    root: Path
    env: dict[str, str]

    def run(
        self, *command: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone; unless `check` is off, fail with its output if it fails."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            said = f"{done.stdout}\n{done.stderr}"
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{said}", pytrace=False)
        return done

    def changed(self) -> list[str]:
        """Files that differ from the last commit, or that git does not know, in order."""
        status = self.run("git", "status", "--porcelain", "--untracked-files=all").stdout
        return sorted(line[3:] for line in status.splitlines())

    def twin(self, root: Path) -> "Clone":
        """A clone of this clone's last commit: what git keeps, and nothing else."""
        self.run("git", "clone", "--quiet", ".", str(root))
        return Clone(root, self.env)


def isolated(home: Path) -> dict[str, str]:
    """An environment in which git and DVC know nothing of this machine's user or repository."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_"))}
    env = {k: v for k, v in env.items() if not k.endswith(("_SOURCE", "_URL"))}  # of images
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # stages are processes: byte code saves each seconds
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env |= {f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")}
    env |= {f"GIT_{role}_EMAIL": "test@localhost" for role in ("AUTHOR", "COMMITTER")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    # The tests' own checkout may be another user's.
    anyone = {"KEY_0": "safe.directory", "VALUE_0": "*", "COUNT": "1"}
    env |= {f"GIT_CONFIG_{name}": value for name, value in anyone.items()}
    env |= {f"DVC_{kind}_CONFIG_DIR": str(home / kind.lower()) for kind in ("GLOBAL", "SYSTEM")}
    return env | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(home / "site")}


def ran(said: str) -> list[str]:
    """The stages that DVC says it ran, without the file that they are in."""
    return re.findall(r"^Running stage '(?:\S+:)?(.+)':", said, re.MULTILINE)


def stale(clone: Clone) -> set[str]:
    """The stages that would run for what has changed in their own deps, params or outs."""
    with Repo(str(clone.root)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


def change(clone: Clone, path: str, value: Any) -> None:
    """Set one value of params.yaml, by its path with dots."""
    file = clone.root / "params.yaml"
    content = yaml.safe_load(file.read_text())
    *sections, key = path.split(".")
    section = content
    for name in sections:
        section = section[name]
    section[key] = value
    file.write_text(dumped(content))
