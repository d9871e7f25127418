"""Pages as a browser shows them: nothing on its console, no request, no barrier for anybody."""

from __future__ import annotations

import shutil

import pytest

from videmo.show.list_page import ListedClip, list_page

sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

LOOKS = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True},
}


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no Chromium is installed here")
    with sync.sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, demo):
    """A page of the demo clip, and one of four clips with their truth."""
    from videmo.evaluate import EvaluationOptions, evaluate_labels
    from videmo.evaluate.pairs import match, predictions_in, truth_of
    from videmo.evaluate.rows import Row
    from videmo.people.moments import load, watch
    from videmo.runs.inputs import Clip
    from videmo.show.clip_page import ClipPageOptions, clip_page
    from videmo.stages.decode import open_video

    folder = tmp_path_factory.mktemp("pages")
    pipeline = load("afew7")
    seen = watch(pipeline, demo, start=2.5, end=5.5)
    with open_video(demo) as video:
        page = clip_page("demo.mp4", seen, pipeline, video, ClipPageOptions(start=2.5, end=5.5))
    (folder / "clip.html").write_text(page, encoding="utf-8")
    rows = [("b.mp4", "Happy", 0.6), ("a.mp4", "Sad", 0.9), ("d.mp4", "Happy", 0.7),
            ("c.mp4", "Happy", 0.8)]  # fmt: skip
    found = [Row("x", n, {"path": p, "label": label}) for n, (p, label, _) in enumerate(rows)]
    truth = truth_of([Clip(p, label="Happy") for p, *_ in rows], "x")
    clips = [ListedClip(p, "ok", label, {label: s, "Fear": 1 - s}, "Happy", s, 3, "words")
             for p, label, s in rows]  # fmt: skip
    options = EvaluationOptions(("Happy", "Sad", "Fear"), draws=100)
    result = evaluate_labels(match(predictions_in(found), truth), options)
    page = list_page("four", clips, ["Happy", "Sad", "Fear"], evaluation=result)
    (folder / "list.html").write_text(page, encoding="utf-8")
    return folder


def visit(browser, path, look, **more):
    """Return a page, with what its console and its requests said in `said`."""
    page = browser.new_context(**LOOKS[look], **more).new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.said.append(request.url))
    page.goto(path.as_uri())
    page.said = [w for w in page.said if w != path.as_uri() and not w.startswith("data:image/")]
    return page


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ["clip.html", "list.html"])
def test_a_page_asks_for_nothing_fits_and_has_no_barrier(browser, pages, name, look):
    page = visit(browser, pages / name, look)
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    heights = page.evaluate(
        "[...document.querySelectorAll('td.code')].map(cell => cell.getBoundingClientRect().height)"
    )
    assert max(heights, default=0) < 150, "a sum of 64 letters stands in a few lines"
    open_to_axe = visit(browser, pages / name, look, bypass_csp=True)  # it is a script from outside
    found = axe.Axe().run(open_to_axe).response["violations"]
    assert [(one["impact"], one["id"]) for one in found] == []


def test_the_table_is_sorted_by_mouse_and_by_keyboard_and_says_so(browser, pages):
    page = visit(browser, pages / "list.html", "light")

    def clips():
        return [cell.inner_text().split()[0] for cell in page.query_selector_all("td.path")]

    assert clips() == ["a.mp4", "b.mp4", "d.mp4", "c.mp4"]  # wrong, then the least certain
    page.get_by_role("button", name="Clip").click()
    assert clips() == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    page.get_by_role("button", name="Probability").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert clips() == ["a.mp4", "c.mp4", "d.mp4", "b.mp4"]
    assert page.get_by_role("status").inner_text() == "Sorted by Probability, falling"
    assert page.query_selector("th[aria-sort=descending]").inner_text().startswith("Probability")


def test_clips_are_found_by_their_words(browser, pages):
    page = visit(browser, pages / "list.html", "light")
    page.get_by_label("Find").fill("sad")
    assert [c.inner_text() for c in page.query_selector_all("tr:not([hidden]) td.path")] == [
        "a.mp4\n\nwords"  # what is said of it stands below its name
    ]
    assert page.get_by_role("status").inner_text() == "1 of 4 clips shown"
