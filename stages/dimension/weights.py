"""The weights that lie beside a part: those of the networks that were trained with it."""

from safetensors import SafetensorError, safe_open
from torch import Tensor

from stages.base.errors import InputError, remedy
from stages.base.parts import Part


def read(part: Part) -> dict[str, Tensor]:
    """The weights by name.

    Raises:
        InputError: they are missing or damaged, or from other params.
    """
    path = part.weights
    mend = remedy(path, part.verb)
    try:
        with safe_open(path, framework="pt") as file:
            made = (file.metadata() or {}).get("fingerprint")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {mend}") from None
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: damaged ({reason}); {mend}") from None
    if made != part.fingerprint:
        raise InputError(f"{path}: made with other params; {mend}")
    return weights
