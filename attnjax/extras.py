"""Optional packages: imported where they are needed, with an error that names the extra to install."""

import importlib
from types import ModuleType
from typing import Any

from attnjax.errors import fail


def need(module: str, purpose: str, extra: str = "experiments") -> Any:
    """Imports a module that only an extra brings.

    Args:
        module: the module's name, for example `"matplotlib"`.
        purpose: what it is needed for, as it ends the sentence "... is needed".
        extra: the extra of `attnjax` that installs it.

    Returns:
        The module.

    Raises:
        UserError: if it is not installed.
    """
    package = module.partition(".")[0]
    try:
        found: ModuleType = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        fail(
            purpose,
            expected=f"the package '{package}'",
            got="an environment without it",
            advice=f"Install it with: pip install 'attnjax[{extra}]'",
        )
    return found
