"""The public face: what `import videmo` offers, and that it fetches it late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import videmo


def test_the_public_names_are_sorted_and_each_once() -> None:
    assert videmo.__all__ == sorted(set(videmo.__all__))


def test_every_public_name_has_a_home_and_no_other_has() -> None:
    assert set(videmo._HOME) == set(videmo.__all__)


@pytest.mark.parametrize("name", videmo.__all__)
def test_a_public_name_can_be_fetched_and_says_what_it_is(name: str) -> None:
    there = getattr(videmo, name)
    assert there.__name__.rpartition(".")[2] == name
    assert (there.__doc__ or "").strip()
    assert not there.__doc__.startswith(f"{name}("), "a dataclass without a docstring of its own"


def test_dir_lists_the_public_names_and_the_version() -> None:
    assert dir(videmo) == sorted([*videmo.__all__, "__version__"])


def test_star_gives_the_public_names() -> None:
    space: dict[str, object] = {}
    exec("from videmo import *", space)
    assert set(space) - {"__builtins__"} == set(videmo.__all__)


def test_another_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="'videmo' has no attribute 'clasify'"):
        _ = videmo.clasify


def test_importing_videmo_imports_nothing_of_its_own() -> None:
    program = (
        "import sys, videmo; print([m for m in sys.modules if m.startswith(('videmo.', 'numpy'))])"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr
