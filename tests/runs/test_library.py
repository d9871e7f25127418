"""One call for one question: paths, lists, arrays and folders in, answers that show themselves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import videmo
from videmo.data import Descriptor, Prediction
from videmo.errors import InputError
from videmo.recipe import OPTIONS, stage_changes
from videmo.stages.decode import FrameBatch, Sampling, open_video
from videmo.stages.decode.arrays import Frames


@pytest.fixture(scope="module")
def seen(demo: Path) -> FrameBatch:
    with open_video(demo) as video:
        return next(video.read(Sampling(end=0.4, every=2)))


@pytest.fixture(scope="module")
def prediction(demo: Path) -> Prediction:
    return videmo.classify(demo, end=0.4, every=2)


def test_frames_in_memory_answer_as_their_file_does(
    prediction: Prediction, seen: FrameBatch
) -> None:
    again = videmo.classify(seen.pixels, times=seen.time)
    assert again.scores.tobytes() == prediction.scores.tobytes()
    assert again.descriptor.end == prediction.descriptor.end


def test_a_list_of_clips_gives_a_record_each_and_none_raises(demo: Path) -> None:
    records = [*videmo.classify([demo, "gone.mp4"], end=0.2)]
    assert [record["status"] for record in records] == ["ok", "error"]
    assert records[0]["end"] == 0.2
    frame = pytest.importorskip("pandas") and videmo.to_frame(records)
    assert [*frame.columns[:6]] == ["path", "status", "label", "score", "p_angry", "p_disgust"]
    assert frame.p_happy[0] == records[0]["scores"]["Happy"] and frame.label[1] is not None
    assert frame.error_message[1] == "no such file; check the path"


def test_what_is_given_is_taken_by_what_it_is(
    demo: Path, prediction: Prediction, seen: FrameBatch
) -> None:
    path = str(demo).encode()
    assert videmo.classify(path, end=0.4, every=2).label == prediction.label
    assert next(videmo.classify(np.array([str(demo)]), end=0.2))["status"] == "ok"
    again = videmo.classify([*seen.pixels], times=seen.time)
    assert again.scores.tobytes() == prediction.scores.tobytes()
    with pytest.raises(ValueError, match="clips have their own"):
        videmo.classify([demo], times=[0.0])
    with pytest.raises(InputError, match="there is none"):
        videmo.classify(seen.pixels[:0], times=[])


@pytest.mark.parametrize("what", [None, 3, io.BytesIO(b"x")])
def test_what_is_no_path_is_told_so(what: object) -> None:
    for ask in (videmo.classify, videmo.extract_features):
        with pytest.raises(TypeError, match="expected a path"):
            ask(what)
    with pytest.raises(TypeError, match="expected a path"):
        next(videmo.attributes(what, ("age",)))


def test_a_list_that_names_no_clip_is_said_before_the_first_record(tmp_path: Path) -> None:
    with pytest.raises(videmo.VidemoError, match="no clip in"):
        videmo.classify([tmp_path])


def test_a_prediction_shows_its_answer(prediction: Prediction) -> None:
    assert repr(prediction) == "Prediction('Happy' 1.00, a face in 5 of 5 frames)"
    told = prediction.to_dict()
    assert told["label"] == "Happy" and (told["frames"], told["coverage"]) == (5, 1.0)
    assert [*told["scores"]] == [*prediction.labels]
    frame = pytest.importorskip("pandas") and videmo.to_frame([prediction, prediction])
    assert frame.shape == (2, 13) and frame.score[0] == told["scores"]["Happy"]


def test_a_label_of_others_cannot_write_into_a_notebook() -> None:
    shown = Descriptor(np.zeros(1, np.float32), 1, 1, 1)
    labels = ("<script>alert(1)</script>", "b")
    html = Prediction(labels, np.array([0.75, 0.25], np.float32), shown)._repr_html_()
    assert "<script" not in html and "&lt;script&gt;" in html
    assert html.index("75 %") < html.index("25 %")


def test_attributes_tell_only_what_is_asked_for(demo: Path) -> None:
    (record,) = videmo.attributes(demo, ("age",), fps=2, end=1)
    assert record["frames"] == 2 and "age" in record and "gender" not in record
    with pytest.raises(InputError, match="no attribute is called 'mood'"):
        [*videmo.attributes(demo, ("mood",))]


def test_evaluate_takes_records_and_files_alike(tmp_path: Path) -> None:
    rows = [{"path": f"{n}.mp4", "status": "ok", "label": "Happy"} for n in range(4)]
    truth = {f"{n}.mp4": "Happy" if n else "Sad" for n in range(4)}
    first = videmo.evaluate(rows, truth, labels=("Happy", "Sad"), draws=100)
    assert first["all"]["accuracy"] == 0.75
    lines = ["path,label", *(f"{path},{label}" for path, label in truth.items())]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    again = videmo.evaluate(  # a second time, when the room of that name is loaded
        rows, tmp_path / "truth.csv", labels=("Happy", "Sad"), draws=100, match_by="name"
    )
    assert again["all"] == first["all"]


def test_the_options_of_a_recipe_are_keywords(demo: Path) -> None:
    values = {
        "fps": 5.0, "max_side": 320, "frame_rate": 10.0, "detector": "whole", "score": 0.5,
        "min_face": 24, "faces": "all", "detect_every": "auto",
    }  # fmt: skip
    recipe = videmo.load("afew7", **values).recipe
    for name, value in values.items():
        stage, option = OPTIONS[name]
        assert getattr(getattr(recipe, stage), option) == value
    assert {*values, "every"} == {*OPTIONS}
    assert videmo.load("afew7", sampling={"fps": 5}).recipe.sampling.fps == 5


def test_every_takes_the_place_of_frames_a_second_in_the_recipe() -> None:
    assert stage_changes(every=3, fps=None) == {"sampling": {"every": 3, "fps": None}}


@pytest.mark.parametrize("wrong", [{"fps": 5, "every": 2}, {"min_face": -3}])
def test_options_that_cannot_be_are_refused_as_python_writes_them(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError) as caught:
        videmo.load("afew7", **wrong)
    assert "--" not in str(caught.value) and all(name in str(caught.value) for name in wrong)
    with pytest.raises(TypeError, match="clour is no option of a recipe; there are fps"):
        videmo.load("afew7", clour=3)


@pytest.mark.parametrize("shape", [(2, 8, 9), (8, 9, 3), (2, 8, 9, 3)])
def test_grey_frames_and_one_picture_are_frames(shape: tuple[int, ...]) -> None:
    frames = Frames(np.zeros(shape, np.uint8), rate=5)
    assert frames.pixels.shape[1:] == (8, 9, 3)
    with open_video(frames) as video:
        assert (
            video.info.frames == len(frames.pixels)
            and video.info.duration == len(frames.pixels) / 5
        )
        assert sum(len(batch) for batch in video.read(Sampling())) == len(frames.pixels)


def test_frames_that_are_none_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"frames are float64 \(2, 8, 9, 3\), expected uint8"):
        Frames(np.zeros((2, 8, 9, 3)))
    with pytest.raises(ValueError, match=r"times are \(3,\), expected \(2,\)"):
        Frames(np.zeros((2, 8, 9, 3), np.uint8), np.arange(3))
    with pytest.raises(InputError, match="no seconds that ascend"):
        Frames(np.zeros((2, 8, 9, 3), np.uint8), np.array([1, 0]))
    with pytest.raises(ValueError, match="a file has its own"):
        videmo.classify("clip.mp4", times=[0, 1])


def test_frames_larger_than_is_read_are_refused() -> None:
    with pytest.raises(videmo.VideoError, match="9 x 8 px"):
        open_video(Frames(np.zeros((1, 8, 9, 3), np.uint8)), pixels=71)


def test_a_clip_without_a_face_says_so_as_python_writes_it() -> None:
    with pytest.raises(videmo.NoFaceError, match=r"try less than min_face=32 or score=0\.9$"):
        videmo.classify(np.zeros((2, 60, 80, 3), np.uint8))
