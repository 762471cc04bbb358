"""The kernels of stages/cnn/fused.cu on a CPU: the same source, the threads of a block in turn."""

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from stages.cnn import fused
from tests.helpers.root import ROOT

HEADER = ROOT / "tests/helpers/emulated.h"
COMPILER = shutil.which("g++")
NEEDED = "#include <ucontext.h>\n_Float16 half;"
"""What the header wants of the compiler, which older ones do not have."""


def _compile(source: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [COMPILER or "", "-std=c++17", "-O1", "-w", *options, "-x", "c++", "-"]
    return subprocess.run(command, input=source, text=True, capture_output=True)


@cache
def compiled(width: int) -> dict[str, fused.Launch]:
    """As `fused.compiled`, for arguments on the CPU; skips the test where no compiler can."""
    if not COMPILER or _compile(NEEDED, "-fsyntax-only").returncode:
        pytest.skip("no g++ with _Float16 and ucontext.h")
    source = fused.SOURCE.read_text()
    kernels = fused.signatures(source)
    wrappers = [
        f'extern "C" void on_cpu_{name}(int columns, int rows, int bytes, {declared}) '
        f"{{ launch(columns, rows, bytes, [=] {{ {name}({', '.join(names)}); }}); }}"
        for name, (declared, names) in kernels.items()
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.so"
        options = ("-fPIC", "-shared", f"-DWIDTH={width}", "-include", HEADER, "-o", path)
        made = _compile("\n".join([source, *wrappers]), *options)
        assert not made.returncode, made.stderr
        library = ctypes.CDLL(str(path))

    def of(name: str) -> fused.Launch:
        function = getattr(library, f"on_cpu_{name}")
        return lambda grid, shared, arguments: function(*grid, shared, *map(_passed, arguments))

    return {name: of(name) for name in kernels}


def _passed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int(value)
