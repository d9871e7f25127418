"""The page of a model is what its card says, and nothing in a card can be markup of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from videmo import store
from videmo.show.card import card_page

MODELS = sorted(path.parent for path in store.EMBEDDED.glob("*/card.json"))


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_the_pages_that_ship_are_what_the_cards_say(folder: Path) -> None:
    page = card_page(folder.name, store.load(folder).card)
    again = f"videmo models show {folder.name} -f markdown > videmo/models/{folder.name}/README.md"
    assert (folder / "README.md").read_text("utf-8") == page, f"make it again: {again}"


def test_a_page_has_figures_terms_and_limits_as_tables() -> None:
    page = card_page("afew7", store.load("afew7").card)
    assert page.startswith("---\nlibrary_name: videmo\npipeline_tag: video-classification\n")
    for heading in ("Intended use", "Limits", "Terms", "Measured", "Training", "Recipe"):
        assert f"\n## {heading}\n" in page
    assert "|  | Angry | Disgust | Fear |" in page, "a confusion matrix has the labels"
    assert "| Angry | 60 | " in page and "\n\n\n" not in page


def test_what_a_card_of_others_says_cannot_leave_its_cell() -> None:
    card = {"kind": "head", "limits": "<img src=x onerror=alert(1)>", "license": {"a|b": "x\n# y"}}
    page = card_page("theirs", card)
    assert "<img" not in page and "| a\\|b | x # y |" in page


def test_a_card_without_figures_is_a_page_too() -> None:
    assert card_page("bare", {"kind": "backbone"}).splitlines()[8] == "# bare"
