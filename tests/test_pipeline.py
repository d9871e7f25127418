"""The river, with the simplest stage at every seam and with the models that ship."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import videmo
from videmo.errors import InputError, RecipeMismatch
from videmo.pipeline import load, load_features
from videmo.recipe import Recipe
from videmo.stages.crop import Cropping, crop
from videmo.stages.decode import Sampling, open_video
from videmo.stages.detect import WholeFrame, detect
from videmo.stages.embed import Thumbnail, embed
from videmo.stages.pool import pool
from videmo.stages.track import Tracking, track


def picture_folder(folder: Path, grey: list[int]) -> Path:
    from PIL import Image

    folder.mkdir()
    for i, value in enumerate(grey):
        Image.new("RGB", (80, 60), (value, value, value)).save(folder / f"{i}.png")
    return folder


def test_the_doorstep_stages_make_a_river_without_weights(tmp_path):
    folder = picture_folder(tmp_path / "clip", [0, 51, 102, 255])
    with open_video(folder) as video:
        faces = detect(video.read(Sampling()), WholeFrame())
        crops = crop(track(faces, Tracking()), Cropping(size=16))
        descriptor = pool(embed(crops, Thumbnail(16)))
    mean, std, low, high = descriptor.values.reshape(4, 64)[:, 0]
    values = np.array([0, 0.2, 0.4, 1.0])
    expected = np.array([values.mean(), values.std(), 0, 1])
    assert (descriptor.faces, descriptor.frames, descriptor.seen) == (4, 4, 4)
    assert [mean, std, low, high] == pytest.approx(
        expected / np.linalg.norm(np.repeat(expected, 64)), rel=1e-6
    )


@pytest.fixture(scope="module")
def pipeline():
    return videmo.load("afew7")


def test_the_smiling_part_of_the_demo_is_happy(pipeline, demo):
    prediction = pipeline.predict(demo, end=3)
    assert prediction.label == "Happy"
    assert prediction.scores.sum() == pytest.approx(1, abs=1e-6)
    assert prediction.descriptor.coverage == 1


def test_every_face_of_two_is_seen_in_the_last_part_of_the_demo(demo):
    everyone = videmo.load("afew7", detection={"faces": "all"})
    descriptor = everyone.describe(demo, start=5, end=6)
    assert descriptor.seen == 25
    assert descriptor.faces == 50


def test_two_runs_give_identical_bytes(pipeline, demo):
    first, again = (p.describe(demo, end=1).values for p in (pipeline, videmo.load("afew7")))
    assert first.tobytes() == again.tobytes()


def test_the_size_of_a_batch_does_not_change_the_answer(pipeline, demo):
    small = videmo.load("afew7", engine=videmo.Engine(batch_mb=2, threads=1))
    got, expected = (p.predict(demo, end=2) for p in (small, pipeline))
    # boxes may move by 0.05 px with the batch, which moves a probability by far less than 1e-3
    assert got.scores == pytest.approx(expected.scores, abs=1e-3)
    assert got.descriptor.faces == expected.descriptor.faces


def test_a_clip_without_a_face_says_how_far_it_looked(pipeline, tmp_path):
    folder = picture_folder(tmp_path / "clip", [90, 90, 90])
    with pytest.raises(videmo.NoFaceError, match="no face in 3 sampled frames") as caught:
        pipeline.predict(folder)
    assert caught.value.seen == 3


def test_a_clip_without_a_face_is_still_an_answer(pipeline, tmp_path):
    answer = pipeline.answer(picture_folder(tmp_path / "clip", [90]))
    assert answer.prediction is None
    assert answer.descriptor.values.shape == (0,)
    assert answer.descriptor.seen == 1


def test_a_recipe_for_other_weights_is_refused(pipeline):
    other = Recipe(pipeline.recipe.backbone, "0" * 64)
    with pytest.raises(RecipeMismatch, match="000000000000"):
        videmo.Pipeline(other)


@pytest.mark.parametrize(("make", "first"), [(load, "mean_neutral"), (load_features, "mean_0")])
def test_feature_names_are_one_for_each_value(make, first, demo):
    pipeline = make("afew7")
    names = pipeline.feature_names
    assert len(names) == len(pipeline.describe(demo, end=0.2).values)
    assert names[0] == first
    assert len(set(names)) == len(names)


def test_the_river_ends_its_thread_when_it_is_left_early(pipeline, demo):
    import threading

    before = threading.active_count()
    river = pipeline.features(demo)
    next(river)
    river.close()
    assert threading.active_count() <= before


def test_classify_and_extract_features_are_the_pipeline_in_one_call(pipeline, demo):
    assert videmo.classify(demo, end=0.5).label == pipeline.predict(demo, end=0.5).label
    got = videmo.extract_features(demo, end=0.5).values
    features = load_features("afew7").describe(demo, end=0.5).values
    assert got.tobytes() == features.tobytes() and got.shape == (4 * 1280,)


@pytest.mark.parametrize("name", ["rot_meta_270", "portrait_stored_sideways_rot"])
def test_both_decoders_give_a_turned_clip_the_same_boxes(shared, name):
    pytest.importorskip("decord", reason="decord has no wheel for this platform")
    clip, boxes = shared / "clips" / "odd" / "derived" / f"{name}.mp4", {}
    for decoder in ("pyav", "decord"):
        pipeline = videmo.load(engine=videmo.Engine(decoder=decoder), sampling={"every": 10})
        boxes[decoder] = np.concatenate([f.faces.box for f in pipeline.features(clip)])
    assert len(boxes["pyav"]) > 0
    # decoded pixels of 8-bit H.264 are equal, so boxes differ by nothing but rounding
    assert boxes["decord"] == pytest.approx(boxes["pyav"], abs=0.1)


def faces_of(clip: Path, **engine: int) -> list[bytes]:
    pipeline = videmo.load(
        "afew7", engine=videmo.Engine(**engine), following={"every": "auto"}, sampling={"every": 2}
    )
    batches = list(pipeline.features(clip, end=3))
    columns = ("index", "box", "score", "landmarks", "track")
    parts = [np.concatenate([getattr(b.faces, name) for b in batches]) for name in columns]
    return [part.tobytes() for part in (*parts, np.concatenate([b.values for b in batches]))]


def test_followed_faces_are_the_same_to_the_byte_in_any_batch_and_with_any_threads(demo):
    expected = faces_of(demo)
    assert faces_of(demo, threads=1) == expected
    assert faces_of(demo, batch_mb=1, threads=3) == expected


def test_an_answer_tells_how_many_frames_were_looked_at_as_a_whole(demo):
    exact = videmo.load("afew7", following={"every": 1}).answer(demo, end=2)
    fast = videmo.load("afew7").answer(demo, end=2)
    assert (exact.looks.whole, exact.descriptor.seen) == (50, 50)
    assert 4 <= fast.looks.whole <= 8 and fast.descriptor.frames == 50
    assert exact.prediction.label == fast.prediction.label == "Happy"


def test_following_keeps_the_largest_face_where_that_is_asked_for(demo):
    one = videmo.load("vgaf3", following={"every": "auto"}, detection={"faces": "largest"})
    assert one.describe(demo, start=5, end=6).faces == 25


def test_who_cannot_follow_looks_at_every_frame(tmp_path):
    clip = picture_folder(tmp_path / "clip", [0, 51, 102])
    whole = {"detection": {"detector": "whole"}, "following": {"every": "auto"}}
    assert videmo.load("afew7", **whole).answer(clip).looks.whole == 3


@pytest.mark.parametrize("number", [0, -1, math.nan, math.inf])
def test_a_limit_of_pixels_is_a_finite_number_above_0(number: float) -> None:
    with pytest.raises(InputError, match="megapixels"):
        videmo.Engine(megapixels=number)
