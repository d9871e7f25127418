r"""Names of files as text that every program takes, and the way back.

A byte that is no UTF-8, which Python holds as half of a surrogate pair, is written as the six
characters \udcff; a backslash before what looks like that is written as \u005c.
"""

from __future__ import annotations

import re

_ODD = re.compile("[\ud800-\udfff]|\\\\(?=u(?:d[89a-f][0-9a-f]{2}|005c))")
_ESCAPED = re.compile(r"\\u(d[89a-f][0-9a-f]{2}|005c)")


def escaped(text: str) -> str:
    """Return a text that any encoding of Unicode takes."""
    if text.isascii() and "\\u" not in text:
        return text
    return _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", text)


def unescaped(text: str) -> str:
    """Return the text of which `escaped` made this one."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "\\u" in text else text
