"""A file is what its name says: suffixes of outputs, the same for every command."""

from __future__ import annotations

import os
from collections.abc import Mapping

from videmo.errors import InputError, UnknownName

DEVICES = ("/dev/", "/proc/")  # names of what is open already, which have no suffix


def kind_of(
    out: str | os.PathLike[str],
    kinds: Mapping[str, str],
    *,
    asked: str | None = None,
    option: str | None = None,
) -> str:
    """Return what kind of file `out` is to be: what its suffix says.

    kinds: suffix -> kind
    asked: the kind that a file shall have whose suffix says nothing
    option: what asks for one

    Raises UnknownName for a suffix that says nothing, InputError where there is none, and for one
    that says another kind than what is asked.
    """
    name = os.fspath(out)
    suffix = os.path.splitext(name)[1].lower()
    ends = [end for end in kinds if name.lower().endswith(end)]
    said = kinds[max(ends, key=len)] if ends else None  # a_events.tsv is more than .tsv
    if said is None and asked is None and os.path.isdir(name):
        inside = os.path.join(name, f"name{next(iter(kinds))}")
        raise InputError(f"{name}: is a folder; name a file in it, such as {inside}")
    if asked is None:
        if said is None and not suffix:
            known = ", ".join(kinds) + (f", or give {option}" if option else "")
            raise InputError(f"{name}: no suffix says the format; end it in {known}")
        if said is None:
            raise UnknownName("output format", suffix, kinds)
        return said
    if said not in (None, asked):
        known = " or ".join(end for end, kind in kinds.items() if kind == asked)
        raise InputError(f"{name}: its name says {said}, {asked} is asked for; end it in {known}")
    return asked
