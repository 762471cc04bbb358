"""The weights that lie beside a part: those of the networks that were trained with it."""

from safetensors import SafetensorError, safe_open
from torch import Tensor

from stages.base import files
from stages.base.errors import InputError
from stages.base.parts import Part


def mend(part: Part) -> str:
    """What to do where they cannot be used."""
    return files.remedy(part.weights, part.stage)


def read(part: Part) -> dict[str, Tensor]:
    """The weights by name.

    Raises:
        InputError: they are missing or damaged, or from other params.
    """
    path = part.weights
    try:
        with safe_open(path, framework="pt") as file:
            made = (file.metadata() or {}).get("fingerprint")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {mend(part)}") from None
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: damaged ({reason}); {mend(part)}") from None
    if made != part.fingerprint:
        raise InputError(f"{path}: made with other params; {mend(part)}")
    return weights
