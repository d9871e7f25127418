"""Text of others, so that it cannot break a line or move the cursor of a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text in which what does not print is escaped, as Python writes it."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)
