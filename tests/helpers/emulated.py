"""The kernels of stages/cnn/fused.cu on a CPU: the same source, its threads in turn."""

import ctypes
import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch

from stages.cnn import fused

HEADER = Path(__file__).with_suffix(".h")


@cache
def compiled(width: int) -> dict[str, fused.Launch]:
    """As `fused.compiled`, of arguments on the CPU."""
    source = fused.SOURCE.read_text()
    wrappers = []
    for name, arguments in re.findall(
        r"__launch_bounds__\([^)]*\)\s*(\w+)\((.*?)\)\s*\{", source, re.DOTALL
    ):
        names = ", ".join(fused.signatures(source)[name])
        wrappers.append(
            f'extern "C" void run_{name}(int x, int y, int bytes, {arguments}) '
            f"{{ launch(x, y, bytes, [=] {{ {name}({names}); }}); }}"
        )
    folder = Path(mkdtemp())
    (folder / "all.cpp").write_text("\n".join([source, *wrappers]))
    library = folder / "all.so"
    command = ["g++", "-std=c++17", "-O1", "-w", "-fPIC", "-shared", f"-DWIDTH={width}"]
    command += ["-include", str(HEADER), "-o", str(library), str(folder / "all.cpp")]
    subprocess.run(command, check=True)
    found = ctypes.CDLL(str(library))

    def launch(name: str) -> fused.Launch:
        def run(grid: tuple[int, int], shared: int, arguments: list[Any]) -> None:
            getattr(found, f"run_{name}")(*grid, shared, *map(_passed, arguments))

        return run

    return {name: launch(name) for name in fused.signatures(source)}


def _passed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int(value)
