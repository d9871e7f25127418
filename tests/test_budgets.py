"""Answers from some of a clip's frames: the search for one that is sure enough."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import videmo
from videmo import store
from videmo.errors import InputError, ModelError
from videmo.people.moments import watch
from videmo.pipeline import Pipeline, load_backbone
from videmo.runs.batch import attempt, record
from videmo.runs.inputs import Clip
from videmo.stages.budget import NEVER, Budget
from videmo.write.schema import keys

SURE, UNSURE = (0.0, 0.0), (NEVER, NEVER)


def searching(leads: tuple[float, float], **engine: int) -> Pipeline:
    model = store.load("afew7")
    recipe = replace(model.recipe, budget=Budget((18, 6), leads))
    return Pipeline(recipe, model, videmo.Engine(**engine))


@pytest.fixture(scope="module")
def smile(demo: Path) -> Path:
    return demo.with_name("smile.mp4")


@pytest.fixture(scope="module")
def exact(smile: Path):
    return videmo.load("afew7").answer(smile)


def test_a_sure_answer_rests_on_few_frames(smile, exact):
    answer = searching(SURE).answer(smile)
    assert (answer.stride, answer.descriptor.seen) == (18, 5)
    assert answer.share == pytest.approx(5 / 75)
    assert answer.prediction.label == exact.prediction.label == "Happy"
    assert answer.looks.whole == 5, "frames so far apart are looked at as wholes"


def test_the_next_level_adds_to_what_was_seen(smile):
    answer = searching((NEVER, 0.0)).answer(smile)
    assert (answer.stride, answer.descriptor.seen, answer.descriptor.frames) == (6, 13, 13)
    assert answer.share == pytest.approx(13 / 75)


def test_an_answer_that_is_never_sure_is_that_of_every_frame_to_the_byte(smile, exact):
    answer = searching(UNSURE).answer(smile)
    assert (answer.stride, answer.share, answer.descriptor.seen) == (1, 1.0, 75)
    assert answer.prediction.scores.tobytes() == exact.prediction.scores.tobytes()
    assert answer.looks == exact.looks and answer.seen == exact.seen


def test_no_face_is_said_when_every_frame_was_looked_at(tmp_path):
    from PIL import Image

    for number in range(40):
        Image.new("RGB", (80, 60)).save(tmp_path / f"{number}.png")
    answer = searching(SURE).answer(tmp_path)
    assert (answer.prediction, answer.stride, answer.descriptor.seen) == (None, 1, 40)


def test_a_part_of_a_clip_is_searched_by_its_own_frames(smile):
    answer = searching(SURE).answer(smile, start=1.0)
    assert (answer.stride, answer.descriptor.seen) == (18, 3)
    assert answer.descriptor.start >= 1.0
    assert answer.share == pytest.approx(3 / 50)


def test_an_answer_from_some_frames_does_not_depend_on_batches_and_threads(smile):
    first = searching((NEVER, 0.0)).answer(smile)
    again = searching((NEVER, 0.0), batch_mb=1, threads=1).answer(smile)
    assert first.prediction.scores.tobytes() == again.prediction.scores.tobytes()
    assert first.seen == again.seen


def test_a_record_tells_how_far_the_search_went(smile):
    pipeline = searching(SURE)
    clip = Clip(str(smile))
    told = record(clip, attempt(clip, pipeline), pipeline.provenance, pipeline.extra_keys)
    assert (told["stride"], told["frames_share"], told["frames"]) == (18, 5 / 75, 5)
    assert {"stride", "frames_share"} <= {key.name for key in keys("record")}
    assert told["provenance"]["recipe"] != store.load("afew7").recipe.fingerprint()
    plain = videmo.load("afew7")
    assert not {"stride", "frames_share"} & {*plain.extra_keys}


def test_a_pipe_is_read_once(smile, tmp_path):
    pipe = tmp_path / "clip.mp4"
    os.mkfifo(pipe)
    # the smallest part of a clip that a pipe can hold: a Matroska file is read from its start
    film = tmp_path / "clip.mkv"
    _remux(smile, film)
    writer = threading.Thread(target=lambda: pipe.write_bytes(film.read_bytes()), daemon=True)
    writer.start()
    answer = searching(SURE).answer(pipe)
    writer.join(10)
    assert (answer.stride, answer.descriptor.seen) == (1, 75)


def _remux(source: Path, path: Path) -> None:
    import av

    with av.open(str(source)) as clip, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(clip.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


def test_who_wants_every_frame_is_refused(smile):
    pipeline = searching(SURE)
    with pytest.raises(InputError, match="every one is wanted"):
        next(pipeline.features(smile))
    with pytest.raises(InputError, match="every one is wanted"):
        watch(pipeline, smile)


def test_a_search_wants_a_head_that_answers_for_the_clip():
    recipe = replace(load_backbone("lite0_faces").recipe, budget=Budget((18,), (0.5,)))
    with pytest.raises(InputError, match="budget=fast is for a head"):
        Pipeline(recipe)


def test_other_frames_than_the_head_learned_from_are_refused():
    with pytest.raises(InputError, match="leave out fps="):
        videmo.load("afew7", budget="fast", fps=5)


def test_a_model_whose_card_tells_no_lead_is_refused(tmp_path):
    with pytest.raises(ModelError, match="afew7: budget=fast is not for it: its card does not"):
        videmo.load(carded(tmp_path / "mute", None), budget="fast")


def carded(folder: Path, budget: object) -> Path:
    model = store.load("afew7")
    store.save(folder, {**model.card, "budget": budget}, model.weights())
    return folder


def test_a_card_that_says_it_is_not_worth_it_is_believed(tmp_path):
    head = carded(tmp_path / "slow", {"note": "most answers want most of the frames"})
    with pytest.raises(ModelError, match="most answers want most of the frames; use budget=exact"):
        videmo.load(head, budget="fast")


@pytest.mark.parametrize(
    "budget",
    [
        {"strides": [18, 6], "leads": [0.5]}, {"strides": ["x"], "leads": [0.5]},
        {"strides": [18], "leads": [0.5], "fewest": 0}, {"strides": 18, "leads": 0.5},
    ],
)  # fmt: skip
def test_a_card_with_levels_that_cannot_be_is_an_error(tmp_path, budget):
    with pytest.raises(ModelError, match=r"budget.*update videmo"):
        videmo.load(carded(tmp_path / "odd", budget), budget="fast")


def test_leads_do_not_change_whose_answers_a_model_gives(tmp_path):
    head = store.load(carded(tmp_path / "head", {"strides": [18], "leads": [0.5]}))
    assert head.sha256 == store.load("afew7").sha256


@pytest.mark.parametrize("head", ["afew7", "vgaf3"])
def test_the_heads_that_ship_know_their_leads(head, smile):
    answer = videmo.load(head, budget="fast").answer(smile)
    assert answer.stride > 1 and answer.share < 0.2
    assert answer.prediction.label == videmo.load(head).predict(smile).label
    assert np.isclose(answer.prediction.scores.sum(), 1)


def test_the_shared_clips_keep_their_labels(shared):
    pipelines = videmo.load("afew7"), videmo.load("afew7", budget="fast")
    names = ("single_face.mp4", "signer_no.mkv", "head-pose-face-detection-male.mp4")
    for name in names:
        first, fast = (p.answer(shared / "clips" / "faces" / name) for p in pipelines)
        assert fast.prediction.label == first.prediction.label
        assert fast.share < 0.2
