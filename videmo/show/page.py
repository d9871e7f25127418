"""Facts go in, one HTML file comes out, which asks nothing of any network and runs no other script.

All that is not in a template is escaped. The policy in the page's head lets it show what is in it,
and run the one script and use the one style sheet whose sums stand there, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videmo.files.extras import missing_dependency
from videmo.show.strips import colours_of
from videmo.write.printable import printable

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, facts: Mapping[str, Any], *, rules: str = "", script: str = "") -> str:
    """Return a page.

    template: name of a file in the templates; facts: what it shows, all of it escaped
    rules: lines of CSS of this page alone; script: name of a file of JavaScript
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise missing_dependency("jinja2") from error
    style = _part("page.css") + rules
    code = _part(script) if script else ""
    page = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(_TEMPLATES),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page.filters["words"] = words
    text = page.get_template(template).render(
        facts, style=style, script=code, policy=_policy(style, code)
    )
    return text + "\n"


def words(value: object) -> str:
    """Return text of others so that any page can hold it, whatever bytes a name has."""
    return _SPACE.join(printable(part) for part in str(value).split(_SPACE))


_SPACE = "\N{NO-BREAK SPACE}"  # our own, which is not to be escaped


def percent(share: float) -> str:
    """Return a share in words."""
    return f"{100 * share:.0f}{_SPACE}%"


def colour_rules(labels: Sequence[str]) -> str:
    """Return CSS: the colour of each label by its number."""
    return "".join(f".l{n} {{ fill: {c}; }}\n" for n, c in enumerate(colours_of(labels)))


def _part(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the content security policy of a page."""
    parts = ["default-src 'none'", "img-src data:", f"style-src {_sum(style)}"]
    parts += [f"script-src {_sum(script)}"] if script else []
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _sum(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
