"""Tracks become persons: what is kept of each, what is asked of the backbone, who is who."""

from __future__ import annotations

import numpy as np
import pytest

import videmo
from videmo import store
from videmo.data import Faces, Features, VideoInfo
from videmo.errors import InputError, ModelError, UnknownName
from videmo.people.persons import (
    Grouping,
    Scene,
    Sighting,
    TrackCollector,
    attribute_records,
    group,
    make_pipeline,
    pair_records,
    person_records,
    threshold_of,
)
from videmo.pipeline import Answer
from videmo.stages.embed import BACKBONES, make_backbone
from videmo.stages.heads.attributes import AttributeOptions


def features(track, index, side=None, **outputs) -> Features:
    """Return faces of tracks in frames, 10 frames a second, `side` px wide."""
    m = len(track)
    side = np.full(m, 10) if side is None else np.array(side)
    box = np.column_stack([np.zeros((m, 2)), side, side]).astype(np.float32)
    index = np.array(index, np.int64)
    faces = Faces(
        index, index, index / 10, box, np.ones(m, np.float32),
        np.full((m, 5, 2), np.nan, np.float32), np.array(track, np.int64),
    )  # fmt: skip
    columns = {name: np.array(rows, np.float32) for name, rows in outputs.items()}
    return Features(np.zeros((m, 1), np.float32), faces, len(set(index.tolist())), columns)


def watched(*batches: Features) -> TrackCollector:
    watch = TrackCollector()
    assert list(watch(iter(batches))) == list(batches), "features are passed on as they are"
    return watch


RECORD = {
    "path": "a.mp4", "status": "ok", "label": None, "scores": None, "frames": 10, "faces": 8,
    "face_frames": 6, "coverage": 0.6, "duration": 1.0, "warnings": ["damage"], "error": None,
    "provenance": {},
}  # fmt: skip


def answer(decoder: str = "pyav", frames: int = 10) -> Answer:
    info = VideoInfo("a.mp4", 48, 64, frames, 1.0, 10.0, decoder)
    return Answer(info, None, None, ())  # type: ignore[arg-type]


def sighting(track: int, *identity: float) -> Sighting:
    box = (0.0, 0.0, 9.0, 9.0)
    return Sighting(track, 0.0, 1.0, 5, 0.5, box, {"identity": np.array(identity)})


def test_a_track_is_told_by_the_mean_of_its_faces_over_batches():
    one, two = np.log([[1, 3]]), np.log([[1, 1]])
    watch = watched(features([0], [0], gender=one), features([0], [1], gender=two))
    (found,) = watch.sightings()
    assert found.means["gender"] == pytest.approx([0.375, 0.625])


def test_tracks_are_kept_apart_and_come_in_order():
    watch = watched(
        features([1, 0], [3, 3], identity=[[0, 2], [5, 0]]), features([1], [4], identity=[[0, 1]])
    )
    first, second = watch.sightings()
    assert (first.track, first.start, first.end, first.frames) == (0, 0.3, 0.3, 1)
    assert (second.track, second.start, second.end, second.frames) == (1, 0.3, 0.4, 2)
    assert first.means["identity"].tolist() == [1, 0]
    assert second.means["identity"].tolist() == [0, 1]


def test_the_best_frame_is_the_first_of_those_with_the_largest_box():
    watch = watched(features([0, 0, 0], [0, 1, 2], [10, 30, 20]), features([0], [3], [30]))
    (found,) = watch.sightings()
    assert (found.best, found.box) == (0.1, (0, 0, 30, 30))


def test_where_batches_end_does_not_matter(rng):
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    whole = watched(features([0] * 6, range(6), age=logits))
    parts = [features([0] * 2, [i, i + 1], age=logits[i : i + 2]) for i in (0, 2, 4)]
    (a,), (b,) = whole.sightings(), watched(*parts).sightings()
    assert a.means["age"] == pytest.approx(b.means["age"], rel=1e-12)  # float64 sums
    assert (a.start, a.end, a.frames, a.best) == (b.start, b.end, b.frames, b.best)


def test_short_tracks_are_left_out_on_demand():
    watch = watched(features([0, 0, 1], [0, 1, 1]))
    assert [s.track for s in watch.sightings(min_frames=2)] == [0]


def test_a_clip_whose_tracks_are_all_too_short_says_so():
    scene = watched(features([0, 0], [0, 1])).scene(RECORD, answer(), min_frames=3)
    (record,) = attribute_records(scene, {}, AttributeOptions())
    assert record["status"] == "no_face"
    assert "min_frames=" in record["warnings"][-1]


def test_a_picture_counts_with_its_one_frame():
    scene = watched(features([0], [0])).scene(RECORD, answer("images", 1), min_frames=3)
    (record,) = attribute_records(scene, {}, AttributeOptions())
    assert scene.still and record["status"] == "ok"
    assert record["box"] == [0, 0, 10, 10]
    assert not {"start", "end", "best_time"} & set(record)
    assert record["duration"] is None


def test_a_record_holds_what_was_asked_for_and_nothing_else():
    outputs = {"gender": ("female", "male")}
    scene = watched(features([0], [2], gender=np.log([[1, 3]]))).scene(RECORD, answer())
    (record,) = attribute_records(scene, outputs, AttributeOptions())
    assert (record["gender"], record["gender_probability"]) == ("male", 0.75)
    assert not [key for key in record if key.startswith(("age", "ethnicity", "label", "score"))]
    assert (record["face_frames"], record["frames"], record["coverage"]) == (1, 10, 0.1)


def test_an_age_and_an_ethnicity_are_told_with_how_sure_they_are():
    outputs = {"age": ("0", "1", "2"), "ethnicity": ("white", "black")}
    batch = features([0], [0], age=np.log([[1, 2, 1]]), ethnicity=np.log([[1, 3]]))
    scene = watched(batch).scene(RECORD, answer())
    (record,) = attribute_records(scene, outputs, AttributeOptions(level=0.4))
    assert (record["age"], record["age_interval"]) == (1.0, [1.0, 1.0])
    assert record["ethnicity"] == "black"
    assert record["ethnicity_scores"] == {"white": 0.25, "black": 0.75}


def test_warnings_of_a_clip_are_said_once():
    scene = watched(features([0, 1], [0, 0])).scene(RECORD, answer())
    assert [r["warnings"] for r in attribute_records(scene, {}, AttributeOptions())] == [
        ["damage"],
        [],
    ]


def test_every_one_of_a_pair_is_compared_with_every_other():
    a = Scene(RECORD, (sighting(0, 1, 0), sighting(1, 0, 1)))
    b = Scene({**RECORD, "path": "b.mp4"}, (sighting(4, 1, 0), sighting(5, 1, 1)))
    records = pair_records(a, b, 0.7)
    got = [(r["track"], r["other_track"], round(r["similarity"], 3), r["same"]) for r in records]
    assert got == [(0, 4, 1, True), (0, 5, 0.707, True), (1, 4, 0, False), (1, 5, 0.707, True)]
    assert {(r["path"], r["other_path"], r["threshold"]) for r in records} == {
        ("a.mp4", "b.mp4", 0.7)
    }


def test_a_pair_without_faces_keeps_the_records_that_say_so():
    nobody = Scene({**RECORD, "path": "b.mp4", "status": "no_face"})
    (record,) = pair_records(Scene(RECORD, (sighting(0, 1, 0),)), nobody, 0.5)
    assert (record["path"], record["status"]) == ("b.mp4", "no_face")


def numbers(scenes, threshold, linkage="average"):
    return [r.get("person") for r in person_records(scenes, Grouping(threshold, linkage))]


def test_who_is_alike_is_one_person_across_clips():
    first = Scene(RECORD, (sighting(0, 0, 1), sighting(1, 1, 0)))
    second = Scene(RECORD, (sighting(0, 1, 0.1), sighting(1, -1, 0), sighting(2, 0.1, 1)))
    assert numbers([first, second], 0.9) == [0, 1, 1, 2, 0]


def test_two_in_one_frame_are_never_one_person_however_alike():
    scene = watched(features([0, 1], [0, 0], identity=[[1, 0], [1, 0]])).scene(RECORD, answer())
    later = watched(features([0], [0], identity=[[1, 0]])).scene(RECORD, answer())
    assert numbers([scene], -1) == [0, 1]
    assert numbers([scene, later], -1) == [0, 1, 0]


@pytest.mark.parametrize("linkage", ["average", "complete"])
def test_what_keeps_two_apart_keeps_their_persons_apart(linkage):
    near = np.array([[1, 0.2, 0.9], [0.2, 1, 0.8], [0.9, 0.8, 1]])
    assert group(near, [(0, 1)], Grouping(-1, linkage)).tolist() == [0, 1, 0]


def test_the_linkage_says_what_must_reach_the_threshold():
    near = np.array([[1, 0.9, 0.6], [0.9, 1, 0.2], [0.6, 0.2, 1]])
    assert group(near, [], Grouping(0.4, "average")).tolist() == [0, 0, 0]  # (0.6 + 0.2) / 2
    assert group(near, [], Grouping(0.4, "complete")).tolist() == [0, 0, 1]


def test_the_threshold_itself_is_enough():
    near = np.array([[1, 0.5], [0.5, 1]])
    assert group(near, [], Grouping(0.5)).tolist() == [0, 0]
    assert group(near, [], Grouping(0.51)).tolist() == [0, 1]


@pytest.mark.parametrize("linkage", ["average", "complete"])
def test_groups_are_those_of_scipy(rng, linkage):
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy", reason="scipy is not here")
    points = rng.normal(size=(40, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    near = points @ points.T
    pairs = np.triu_indices(40, 1)
    tree = hierarchy.linkage(1 - near[pairs], linkage)
    expected = hierarchy.fcluster(tree, 1 - 0.3, "distance")
    got = group(near, [], Grouping(0.3, linkage))
    assert 1 < len(set(got.tolist())) < 40
    assert (got[:, None] == got).tolist() == (expected[:, None] == expected).tolist()


def test_persons_are_numbered_as_they_appear(rng):
    points = rng.normal(size=(30, 4))
    got = group(points @ points.T, [], Grouping(0.5)).tolist()
    first = [got.index(person) for person in range(max(got) + 1)]
    assert first == sorted(first)


def test_a_clip_without_anybody_keeps_its_place_among_the_records():
    nobody = Scene({**RECORD, "path": "empty.mp4", "status": "no_face"})
    records = person_records([nobody, Scene(RECORD, (sighting(0, 1, 0),))], Grouping(0.5))
    assert [(r["path"], r.get("person")) for r in records] == [("empty.mp4", None), ("a.mp4", 0)]
    assert person_records([nobody], Grouping(0.5))[0]["status"] == "no_face"


def test_a_linkage_or_threshold_that_is_none_is_refused():
    with pytest.raises(UnknownName, match="average, complete"):
        Grouping(0.5, "single")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cosine"):
        Grouping(float("nan"))


def card(**measured) -> store.Model:
    return store.Model(None, {"name": "toy", "measured": measured})  # type: ignore[arg-type]


def test_the_threshold_is_what_the_card_measured():
    assert threshold_of(card(identity={"threshold": 0.31})) == 0.31


@pytest.mark.parametrize("measured", [{}, {"identity": {}}, {"identity": {"threshold": None}}])
def test_a_card_without_a_threshold_says_what_to_give(measured):
    with pytest.raises(InputError, match=r"backbone toy .* threshold="):
        threshold_of(card(**measured))


@pytest.fixture(scope="module")
def shipped() -> store.Model:
    return store.load(store.load("afew7").recipe.backbone)


def test_an_emotion_is_told_without_inferring_anything_else(demo):
    pipeline = videmo.load()
    outputs = [features.outputs for features in pipeline.features(demo, end=0.2)]
    assert set(pipeline.outputs) == {"emotion"}
    assert outputs and all(of.keys() == {"emotion"} for of in outputs)


def test_a_pipeline_yields_the_outputs_that_were_asked_for(demo):
    pipeline = videmo.load(outputs=("emotion",))
    (batch, *_) = pipeline.features(demo, end=0.2)
    assert list(batch.outputs) == ["emotion"]
    assert batch.outputs["emotion"].shape == (len(batch.faces), len(pipeline.outputs["emotion"]))


def test_an_output_that_the_backbone_lacks_names_both(shipped):
    with pytest.raises(ModelError, match=rf"backbone {shipped.name} has no output shoe_size; it"):
        videmo.load(outputs=("shoe_size",))


@pytest.mark.parametrize("engine", BACKBONES)
def test_outputs_left_out_leave_the_features_as_they_are(shipped, engine, rng):
    spec = shipped.backbone_spec()
    crops = rng.integers(0, 256, (3, spec.input_size, spec.input_size, 3), np.uint8)
    results = [
        make_backbone(
            spec, shipped.folder, engine=engine, device="cpu", threads=1, outputs=outputs
        )(crops)
        for outputs in (None, (), ("emotion",))
    ]
    assert [list(outputs) for _, outputs in results] == [list(spec.outputs), [], ["emotion"]]
    (all_, _), (bare, _), (one, _) = results
    assert all_.tobytes() == bare.tobytes() == one.tobytes()


def test_an_output_nobody_knows_lists_those_there_are(shipped):
    with pytest.raises(UnknownName, match="emotion"):
        make_backbone(
            shipped.backbone_spec(), shipped.folder, engine="openvino", outputs=("shoe_size",)
        )


def test_persons_are_sought_in_every_face_of_five_frames_a_second():
    recipe = make_pipeline(()).recipe
    assert (recipe.sampling.fps, recipe.sampling.every) == (5, 1)
    assert recipe.detection.faces == "all"


def test_what_the_caller_says_of_the_recipe_counts():
    pipeline = make_pipeline((), sampling={"every": 3}, detection={"faces": "largest"})
    assert (pipeline.recipe.sampling.fps, pipeline.recipe.sampling.every) == (None, 3)
    assert pipeline.recipe.detection.faces == "largest"
    assert pipeline.head_model is None, "no emotion is inferred"
