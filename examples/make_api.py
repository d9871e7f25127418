"""Make examples/api.md, the page of every name that `import videmo` offers, from the docstrings.

python examples/make_api.py > examples/api.md
"""

import inspect
import re
import textwrap

import videmo

LEAD = "Made from the docstrings by `examples/make_api.py`; do not edit it here."


def page():
    """Return the page as Markdown."""
    return "\n".join([f"# Every name of videmo\n\n{LEAD}\n", *map(entry, videmo.__all__)])


def entry(name):
    """Return the part of one name: how it is called, what it says of itself, its methods."""
    there = getattr(videmo, name)
    there = getattr(there, "evaluate", there) if inspect.ismodule(there) else there
    parts = [f"## {name}\n", block(name, there)]
    for method, it in vars(there).items() if inspect.isclass(there) else ():
        if not method.startswith("_") and callable(it) and it.__doc__:
            parts.append(f"### {name}.{method}\n\n{block(method, it)}")
    return "\n".join(parts)


def block(name, there):
    """Return signature and docstring, as code: their lines are laid out by hand."""
    try:
        signature = re.sub(r"<factory>|<[^>]* at 0x[^>]*>", "...", str(inspect.signature(there)))
        signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature)  # as it stands in the source
    except ValueError:
        signature = "(...)"
    signature = "\n    ".join(textwrap.wrap(signature, 96, break_long_words=False))
    called = "" if issubclass(type(there), type) and issubclass(there, Exception) else signature
    return f"```\n{name}{called}\n\n{inspect.getdoc(there)}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
