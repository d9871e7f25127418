"""Files that were cut off, in formats whose end alone tells it: GIF and Ogg."""

from __future__ import annotations

import os

_TAIL = 1 << 17  # bytes; an Ogg page has at most half as many (RFC 3533, 6)
_LAST_PAGE = 4  # in an Ogg page's flags, the sixth byte: its stream ends here


def cut_off(path: str, container: str) -> str | None:
    """Return what is to be told of a file that lacks its end; None where nothing is known.

    container: FFmpeg's name of the format
    """
    if container not in ("gif", "ogg") or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _TAIL))
        tail = file.read()
    if container == "gif":
        whole = tail.rstrip(b"\0\r\n").endswith(b";")  # the trailer (GIF89a, 27)
    else:
        page = tail.rfind(b"OggS")
        whole = page >= 0 and len(tail) > page + 5 and bool(tail[page + 5] & _LAST_PAGE)
    return None if whole else "does not end as its format does: cut off, or still being written"
