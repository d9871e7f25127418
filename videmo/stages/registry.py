"""Names that stand for classes, imported on first use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from videmo.errors import UnknownName


def resolve(kind: str, table: Mapping[str, str], name: str) -> Any:
    """Return the object that `name` stands for in `table`.

    kind: what the table holds, for the error ("detector")
    table: name -> "module:attribute"

    Raises UnknownName, which lists the names there are.
    """
    if name not in table:
        raise UnknownName(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
