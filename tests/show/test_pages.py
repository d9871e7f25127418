"""Pages: what they tell, what they leave out, and that nothing from outside is run."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from videmo.people.moments import load, watch
from videmo.pipeline import load as load_pipeline
from videmo.show.clip_page import ClipPageOptions, clip_page
from videmo.show.drawing import draw, ticks
from videmo.show.list_page import ListedClip, list_page
from videmo.show.strips import Cell, strips_of
from videmo.stages.decode import open_video

EVIL = "<script>alert(1)</script>\n\"'&\udcff.mp4"
LABELS = ("Happy", "<b>Sad", "Neutral")


class Tags(HTMLParser):
    """Counts the tags of a page, and keeps its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.attributes = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words += data


def listed(path="a.mp4", status="ok", scores=(0.6, 0.3, 0.1), truth=None, **more):
    told = dict(zip(LABELS, scores, strict=True)) if status == "ok" else {}
    label = max(told, key=told.get) if told else None
    return ListedClip(path, status, label, told, truth, **more)


def order(page):
    return re.findall(r'data-key="([a-z]+)\.mp4"', page)


def test_the_worst_and_the_least_certain_clips_come_first():
    clips = [
        listed("sure.mp4", scores=(0.9, 0.1, 0.0), truth="Happy"),
        listed("unsure.mp4", scores=(0.4, 0.35, 0.25), truth="Happy"),
        listed("wrong.mp4", scores=(0.5, 0.4, 0.1), truth="Neutral"),
        listed("surelywrong.mp4", scores=(0.9, 0.1, 0.0), truth="Neutral"),
        listed("faceless.mp4", "no_face", truth="Happy"),
        replace(
            listed("abstained.mp4", scores=(0.45, 0.3, 0.25), truth="Happy"),
            status="abstained",
            label=None,
        ),
        listed("broken.mp4", "error", truth="Happy", words="no video stream"),
    ]
    page = list_page("x", clips, LABELS)
    assert order(page) == ["broken", "faceless", "surelywrong", "wrong", "unsure", "abstained",
                           "sure"]  # fmt: skip
    assert "(Happy)" in page
    assert "no video stream" in page


def test_names_from_outside_are_words_and_nothing_else():
    page = list_page(EVIL, [listed(EVIL, words=EVIL, truth="<b>Sad")], LABELS,
                     made_by={"head": EVIL}, notes=[EVIL])  # fmt: skip
    seen = Tags(page)
    assert seen.tags.count("script") == 1
    assert "b" not in seen.tags
    assert "<script>alert(1)</script>" in seen.words
    page.encode()  # a byte that is no UTF-8 would fail


def test_the_policy_names_the_sums_of_the_one_style_and_script_of_the_page():
    page = list_page("x", [listed()], LABELS)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    for tag in ("style", "script"):
        (code,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not {name for name, _ in Tags(page).attributes} & {"style", "onclick", "onload"}


def test_columns_in_which_nothing_stands_are_left_out():
    page = list_page("x", [listed(), listed("b.mp4")], LABELS)
    assert "True label" not in page and '<p class="why">' not in page
    assert "True label" in list_page("x", [listed(truth="Happy")], LABELS)


def test_the_folder_that_all_clips_share_is_told_once():
    page = list_page("x", [listed("in/one/a.mp4"), listed("in/two/b.mp4")], LABELS)
    assert page.count("in/") == 1 and 'data-key="one/a.mp4"' in page


def test_the_axis_has_few_round_times_for_clips_of_any_length():
    for length in (0.1, 1, 8, 59, 61, 3600, 80_000):
        got = ticks(0, length)
        assert 2 <= len(got) <= 12 and got[0] == 0 and got[-1] <= length + 1e-9


def test_a_strip_fills_its_height_where_the_person_is_seen():
    (strip,) = strips_of([Cell(1, 0, 1, (0.25, 0.75)), Cell(1, 2, 4, (1.0, 0.0))])
    got = draw(strip, 0, 4, [2.0])
    assert got.gaps == ((250.0, 250.0),)
    assert [(run.label, run.x, run.width) for run in got.runs] == [(1, 0, 250), (0, 500, 500)]
    assert got.cuts == (500.0,)
    first = got.areas[0].path
    assert first == "M0.0 100.0V79.5H250.0V100.0H0.0ZM500.0 100.0V18.0H1000.0V100.0H500.0Z"


@pytest.fixture(scope="module")
def pipeline():
    return load("afew7").prepare()


@pytest.fixture(scope="module")
def seen(pipeline, demo):
    return watch(pipeline, demo, start=2.5, end=5.5)


def page_of(seen, pipeline, demo, name="demo.mp4", **options):
    with open_video(demo) as video:
        wanted = ClipPageOptions(start=2.5, end=5.5, **options)
        return clip_page(name, seen, pipeline, video, wanted)


def test_the_page_of_a_clip_tells_what_classify_tells(seen, pipeline, demo):
    page = page_of(seen, pipeline, demo)
    told = load_pipeline("afew7").predict(demo, start=2.5, end=5.5)
    answer = re.search(r'<p class="answer">(\w+) (\d+)\N{NO-BREAK SPACE}%</p>', page)
    assert answer and answer[1] == told.label
    # the page looks for every face, and so at larger frames: O-Net's box moves by a little
    assert int(answer[2]) == pytest.approx(100 * told.scores.max(), abs=5)


def test_an_answer_that_is_too_little_says_so(seen, pipeline, demo):
    page = page_of(seen, pipeline, demo, faces=False)
    assert "The answer is of several persons: person 1 in 12 frames, person 2 in" in page
    first = seen.moments.person == 1
    alone = replace(seen, moments=seen.moments[first])
    page = page_of(alone, pipeline, demo, faces=False)
    assert "several persons" not in page
    assert f"A face is seen in {first.sum()} of 75 frames only" in page


def test_the_faces_that_were_counted_are_shown_with_their_times(seen, pipeline, demo):
    from PIL import Image

    page = page_of(seen, pipeline, demo)
    pictures = re.findall(r'<img src="data:image/jpeg;base64,([^"]*)"', page)
    assert 30 <= len(pictures) <= 48 and len(page) < 500_000
    sizes = {Image.open(io.BytesIO(base64.b64decode(p))).size for p in pictures}
    assert sizes == {(96, 96)}
    assert re.findall(r'alt="(Person \d) at ([\d:.]+)"', page)[0] == ("Person 1", "0:02.52")
    assert "Person 2:" in page and "Person 3:" not in page


def test_no_faces_leaves_out_every_picture_and_reads_no_frame(seen, pipeline):
    class Closed:
        def read(self, sampling):
            raise AssertionError("a frame was read")

    page = clip_page("x", seen, pipeline, Closed(), ClipPageOptions(faces=False))
    assert "data:image" not in page and "<img" not in page
    assert 'class="film"' not in page


def test_the_same_clip_gives_the_same_page(seen, pipeline, demo):
    assert page_of(seen, pipeline, demo) == page_of(seen, pipeline, demo)


def test_a_clip_without_a_face_says_how_far_it_was_read(seen, pipeline):
    none = replace(seen, moments=seen.moments[np.zeros(len(seen.moments), bool)])
    page = clip_page(EVIL, none, pipeline, None, ClipPageOptions())
    assert "No face" in page and f"no face was found in {len(seen.moments.times)} frames" in page
    assert Tags(page).tags.count("script") == 0


def test_a_strip_of_a_person_can_be_read_out(seen, pipeline, demo):
    page = page_of(seen, pipeline, demo, faces=False)
    told = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert told[0].startswith("Most probable label of person 1 over time: Happy 0:02.50 to 0:03.")
    assert "<summary>The same as a table</summary>" in page
