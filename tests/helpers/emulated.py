"""The kernels of stages/cnn/fused.cu on a CPU: the same source, the threads of a block in turn."""

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch

from stages.cnn import fused

HEADER = Path(__file__).with_suffix(".h")
COMPILER = shutil.which("g++")


@cache
def compiled(width: int) -> dict[str, fused.Launch]:
    """As `fused.compiled`, for arguments on the CPU."""
    source = fused.SOURCE.read_text()
    kernels = fused.signatures(source)
    wrappers = [
        f'extern "C" void on_cpu_{name}(int columns, int rows, int bytes, {declared}) '
        f"{{ launch(columns, rows, bytes, [=] {{ {name}({', '.join(names)}); }}); }}"
        for name, (declared, names) in kernels.items()
    ]
    folder = Path(mkdtemp())
    (folder / "all.cpp").write_text("\n".join([source, *wrappers]))
    command = [COMPILER or "g++", "-std=c++17", "-O1", "-w", "-fPIC", "-shared"]
    command += [f"-DWIDTH={width}", "-include", str(HEADER), "-o", "all.so", "all.cpp"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "all.so"))

    def of(name: str) -> fused.Launch:
        function = getattr(library, f"on_cpu_{name}")
        return lambda grid, shared, arguments: function(*grid, shared, *map(_passed, arguments))

    return {name: of(name) for name in kernels}


def _passed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int(value)
