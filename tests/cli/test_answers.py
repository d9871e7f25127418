"""What a network says of each face as the answer for a clip, and features of any network."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from toys import by_the_book

from videmo import store
from videmo.data import Failure
from videmo.errors import FewFacesError, InputError, ModelError
from videmo.pipeline import Pipeline, load, load_backbone
from videmo.recipe import Recipe
from videmo.runs.batch import classify, record
from videmo.runs.inputs import Clip
from videmo.stages.heads.attributes import Affect, affect, per_face
from videmo.write import open_writer
from videmo.write.schema import json_schema

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of toy models: faces, moods (emotion alone), features (no outputs), engagement."""
    folder = tmp_path_factory.mktemp("models")
    faces = toys.network(folder / "faces", "emotion", "valence_arousal")
    toys.network(folder / "moods", "emotion")
    toys.network(folder / "features")
    toys.engagement(folder / "engagement", faces)
    return folder


@pytest.fixture
def faces(models: Path) -> Pipeline:
    return load(models / "faces")


def colours(count: int, seed: int = 0) -> np.ndarray:
    """Return colours that wander, of a clip whose faces change slowly."""
    steps = np.random.default_rng(seed).normal(0, 20, (count, 3)).cumsum(0)
    return np.asarray(128 + 127 * np.sin(steps / 100)).astype(np.uint8)


def shares(colour: Any) -> np.ndarray:
    """Return the probability of each emotion that the toy network gives pictures of colours."""
    e = np.exp(toys.SHARPNESS * np.asarray(colour, np.float64) / 255)
    return np.asarray(e / e.sum(-1, keepdims=True))


def affects(colour: Any) -> np.ndarray:
    """Return valence and arousal of pictures of colours, clipped."""
    return (4 * np.asarray(colour, np.float64)[:, [0, 2]] / 255 - 2).clip(-1, 1)


# a network's own answer


def test_the_answer_is_the_mean_of_what_is_said_of_each_face(faces, tmp_path) -> None:
    clip = toys.clip(tmp_path / "clip", [RED, RED, GREEN, GREY])
    prediction = faces.predict(clip)
    assert prediction.labels == toys.EMOTIONS == faces.labels
    assert prediction.label == "Anger"
    expected = shares([RED, RED, GREEN, GREY]).mean(0)
    np.testing.assert_allclose(prediction.scores, expected, atol=1e-6)
    assert prediction.scores.sum() == pytest.approx(1, abs=1e-6)


def test_probabilities_are_averaged_and_not_logits(faces, tmp_path) -> None:
    colour = np.array([RED, GREEN, GREEN])
    got = faces.predict(toys.clip(tmp_path / "clip", colour)).scores
    of_logits = shares(colour.mean(0))
    assert np.abs(of_logits - shares(colour).mean(0)).max() > 0.01
    np.testing.assert_allclose(got, shares(colour).mean(0), atol=1e-6)


def test_valence_and_arousal_are_clipped_before_they_are_averaged(faces, tmp_path) -> None:
    answer = faces.answer(toys.clip(tmp_path / "clip", [RED, RED, GREY, BLUE]))
    assert answer.affect == pytest.approx(affects([RED, RED, GREY, BLUE]).mean(0), abs=1e-6)
    assert answer.affect == pytest.approx((0.25, -0.25), abs=0.01)  # unclipped: 0.5, -0.5


def test_what_is_said_of_each_face_is_at_hand_raw(faces, tmp_path) -> None:
    clip = toys.clip(tmp_path / "clip", [RED, BLUE])
    raw = np.concatenate([f.outputs["valence_arousal"] for f in faces.features(clip)])
    np.testing.assert_allclose(raw, [[2, -2], [-2, 2]], atol=1e-6)
    np.testing.assert_array_equal(per_face("valence_arousal", raw), [[1, -1], [-1, 1]])


def test_only_what_the_answer_is_made_of_is_computed(models) -> None:
    assert load(models / "faces").outputs.keys() == {"emotion", "valence_arousal"}
    assert load(models / "moods").outputs.keys() == {"emotion"}
    assert load_backbone(models / "faces").outputs == {}
    assert load("vgaf3").outputs == {}
    assert load("afew7").outputs.keys() == {"emotion"}


def test_the_network_that_ships_answers_for_itself(demo) -> None:
    pipeline = load("lite0_faces")
    answer = pipeline.answer(demo, end=0.4)
    assert list(pipeline.outputs) == ["emotion"]
    assert answer.prediction is not None and answer.affect is None
    assert answer.prediction.label == "happiness"
    assert answer.prediction.scores.sum() == pytest.approx(1, abs=1e-6)


def test_a_network_without_emotions_says_what_it_has_and_what_to_do(models) -> None:
    with pytest.raises(ModelError, match="names no emotion, it has features; train a head on"):
        load(models / "features")


def test_names_decide_which_number_is_valence() -> None:
    assert affect(np.array([0.1, 0.2]), ("arousal", "valence")) == Affect(0.2, 0.1)
    with pytest.raises(ModelError, match="labels pleasure, arousal, not valence and arousal"):
        affect(np.zeros(2), ("pleasure", "arousal"))


def with_shares(model: Path, folder: Path, power: float = 1.0) -> Path:
    """Return a copy of a toy network whose card tells how common its labels were."""
    shutil.copytree(model, folder)
    shares = {label: 0.1 if label == "Anger" else 0.4 for label in toys.EMOTIONS}
    card = json.loads((folder / "card.json").read_text())
    store.write_card(folder, {**card, "shares": {"emotion": {"shares": shares, "power": power}}})
    return folder


def test_a_balanced_prior_divides_the_mean_by_the_shares_of_the_training(models, tmp_path) -> None:
    network = with_shares(models / "moods", tmp_path / "moods")
    clip = toys.clip(tmp_path / "clip", [RED, GREEN, GREY])
    mean = shares([RED, GREEN, GREY]).mean(0)
    expected = mean / [0.1 if label == "Anger" else 0.4 for label in toys.EMOTIONS]
    got = load(network, prior="balanced").predict(clip).scores
    np.testing.assert_allclose(got, expected / expected.sum(), atol=1e-5)
    np.testing.assert_allclose(load(network, prior="natural").predict(clip).scores, mean, atol=1e-6)


def test_a_prior_is_part_of_the_recipe_and_of_its_fingerprint(models, tmp_path) -> None:
    network = with_shares(models / "moods", tmp_path / "moods")
    plain, balanced = load(network), load(network, prior="balanced")
    assert plain.recipe.fingerprint() == load(network, prior="natural").recipe.fingerprint()
    assert plain.recipe.fingerprint() != balanced.recipe.fingerprint()
    assert "prior" not in plain.recipe.to_dict()["pooling"]
    assert Recipe.from_dict(balanced.recipe.to_dict()) == balanced.recipe


def test_a_network_that_does_not_tell_its_shares_has_its_natural_answer_alone(models) -> None:
    assert load(models / "moods", prior="natural").recipe.pooling.prior == ()
    with pytest.raises(ModelError, match="prior=natural takes its answers as they are"):
        load(models / "moods", prior="balanced")


def test_a_head_that_reads_features_has_no_prior() -> None:
    with pytest.raises(InputError, match=r"reads features.*give head="):
        load("vgaf3", prior="balanced")


# recipes


def test_a_network_that_says_nothing_is_read_as_published(models, tmp_path) -> None:
    model = store.load(models / "faces")
    card = {key: value for key, value in model.card.items() if key != "recipe"}
    recipe = store.Model(model.folder, card).recipe
    assert (recipe.detection.detector, recipe.detection.score) == ("mtcnn", 0.9)
    assert (recipe.detection.min_face, recipe.detection.faces) == (32, "largest")
    assert (recipe.cropping.size, recipe.cropping.shape, recipe.cropping.scale) == (8, "box", 1)
    assert recipe.cropping.margin == (0, 0) and recipe.cropping.colour == "rgb"
    assert (recipe.sampling.fps, recipe.sampling.every) == (None, 1)


def test_the_network_that_ships_has_the_recipe_of_its_head() -> None:
    assert store.load("lite0_faces").recipe == store.load("afew7").recipe.for_features()


def test_an_answer_and_features_of_one_network_are_two_recipes(models) -> None:
    own, features = load(models / "faces").recipe, load_backbone(models / "faces").recipe
    assert own.fingerprint() != features.fingerprint()
    assert {line.split()[0] for line in features.differences(own)} == {
        "pooling.stats", "pooling.normalise", "pooling.of"
    }  # fmt: skip


@pytest.mark.parametrize(
    "stages", [[], 3, {"cropping": 3}, {"colours": {}}, {"sampling": {"x": 1}}]
)
def test_a_card_whose_stages_are_none_is_refused(models, stages: Any) -> None:
    model = store.load(models / "faces")
    with pytest.raises(ModelError, match=r"expected an object|expected stages|unknown key"):
        _ = store.Model(model.folder, {**model.card, "recipe": stages}).recipe


def test_a_network_is_called_by_its_name_where_that_finds_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path))
    installed = toys.network(tmp_path / "models" / "mine", "emotion")
    assert store.load("mine").handle == "mine" == store.load(installed.folder).handle
    elsewhere = toys.network(tmp_path / "elsewhere" / "mine", "emotion")
    assert elsewhere.handle == str(elsewhere.folder)
    assert load("mine").recipe.fingerprint() == load(elsewhere.folder).recipe.fingerprint()


# features of a network without a head


def test_features_of_any_network_are_its_statistics(models, tmp_path) -> None:
    pipeline = load_backbone(models / "features")
    descriptor = pipeline.describe(toys.clip(tmp_path / "clip", [RED, GREEN]))
    rows = np.array([RED, GREEN]) / 255
    expected = np.concatenate([rows.mean(0), rows.std(0), rows.min(0), rows.max(0)])
    np.testing.assert_allclose(descriptor.values, expected / np.linalg.norm(expected), atol=1e-6)
    assert pipeline.feature_names[:4] == ["mean_0", "mean_1", "mean_2", "std_0"]
    assert pipeline.labels == () and pipeline.provenance["head"] is None


def test_the_columns_of_an_answer_are_called_by_its_labels(faces) -> None:
    assert faces.feature_names == ["mean_Anger", "mean_Happiness", "mean_Sadness"]


def test_a_head_learns_from_the_features_of_a_network_and_classifies(
    videmo_command, models, tmp_path
) -> None:
    rng, rows = np.random.default_rng(0), ["path,label"]
    for n in range(24):
        centre = (RED, BLUE)[n % 2]
        noise = rng.integers(-60, 60, (4, 3))
        clip = toys.clip(tmp_path / f"{n}.gif", (centre + noise).clip(0, 255))
        rows.append(f"{clip},{('angry', 'sad')[n % 2]}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    features, head = tmp_path / "feats.npz", tmp_path / "mine"
    ran = videmo_command(
        "extract-features", "--manifest", tmp_path / "clips.csv", "--out", features,
        "--backbone", models / "features",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    meta = json.loads(str(np.load(features)["meta"]))
    assert (meta["head"], meta["backbone"]) == (None, "features")
    ran = videmo_command("train", "head", features, "--out", head, "--folds", "3", "-q")
    assert ran.code == 0, ran.err
    trained = store.load(head)
    assert trained.recipe.fingerprint() == load_backbone(models / "features").recipe.fingerprint()
    new = toys.clip(tmp_path / "new.gif", [BLUE, (10, 20, 230)])
    ran = videmo_command("classify", new, "--head", head)
    assert [r["label"] for r in ran.records] == ["sad"], ran.err
    assert ran.records[0]["provenance"]["backbone"] == "features"


def test_a_head_and_a_network_at_once_are_two_recipes(videmo_command, models, tmp_path) -> None:
    clip = toys.clip(tmp_path / "a.gif", [RED])
    ran = videmo_command(
        "extract-features", clip, "--head", "afew7", "--backbone", models / "faces",
        "--out", tmp_path / "f.npz",
    )  # fmt: skip
    assert ran.code == 2
    assert "--head and --backbone are two recipes; give one" in ran.err


# records


def cells(text: str, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def errors(found: dict[str, Any]) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json_schema("record"))
    return [e.message for e in validator.iter_errors(json.loads(json.dumps(found)))]


def test_a_record_tells_valence_and_arousal_and_who_says_so(faces, tmp_path) -> None:
    clip = toys.clip(tmp_path / "clip", [RED, GREY])
    (found,) = classify([Clip(str(clip))], faces)
    assert (found["valence"], found["arousal"]) == pytest.approx(
        affects([RED, GREY]).mean(0), abs=1e-6
    )
    assert errors(found) == []
    assert found["provenance"]["head"] == found["provenance"]["backbone"] == "faces"
    assert found["provenance"]["head_sha256"] == found["provenance"]["backbone_sha256"]


def test_valence_and_arousal_are_null_without_a_face_and_of_an_error(models, tmp_path) -> None:
    pipeline = load(models / "faces", detection={"detector": "mtcnn"})
    blank = toys.clip(tmp_path / "blank", [GREY])
    none, failed = classify([Clip(str(blank)), Clip(str(tmp_path / "gone.mp4"))], pipeline)
    assert (none["status"], failed["status"]) == ("no_face", "error")
    for found in (none, failed):
        assert (found["valence"], found["arousal"]) == (None, None)
        assert errors(found) == []


def test_other_records_do_not_have_them(models, tmp_path) -> None:
    clip = toys.clip(tmp_path / "clip", [RED])
    (found,) = classify([Clip(str(clip))], load(models / "moods"))
    assert "valence" not in found and found["label"] == "Anger"
    assert errors({**found, "valence": 1.5})


@pytest.mark.parametrize("format_", ["csv", "tsv"])
def test_they_are_columns_before_start_and_end(faces, tmp_path, format_: str) -> None:
    clip = Clip(str(toys.clip(tmp_path / "clip", [RED, GREY, BLUE])), 0.0, None)
    (found,) = classify([clip], faces)
    failed = record(
        clip, Failure(clip.path, "VideoError", "x"), found["provenance"], faces.extra_keys
    )
    out = tmp_path / f"out.{format_}"
    extra = [*faces.extra_keys, "start"]
    with open_writer(format_, out, labels=faces.labels, extra=extra) as writer:
        writer.write(found)
        writer.write(failed)
    text = out.read_text()
    good, bad = cells(text, "\t" if format_ == "tsv" else ",")
    assert list(good)[-3:] == ["valence", "arousal", "start"]
    assert good["valence"] == f"{found['valence']:.6f}" and bad["valence"] == ""


def test_in_json_they_follow_the_scores(faces, tmp_path) -> None:
    (found,) = classify([Clip(str(toys.clip(tmp_path / "clip", [RED])))], faces)
    out = tmp_path / "out.ndjson"
    with open_writer("ndjson", out, labels=faces.labels, extra=faces.extra_keys) as writer:
        writer.write({**found, "valence": 0.12345678})
    told = json.loads(out.read_text())
    assert [*told][3:7] == ["label", "scores", "valence", "arousal"]
    assert told["valence"] == 0.123457


def test_in_parquet_they_are_numbers(faces, tmp_path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    clip = Clip(str(toys.clip(tmp_path / "clip", [RED])))
    (found,) = classify([clip], faces)
    with open_writer(
        "parquet", tmp_path / "r.parquet", labels=faces.labels, extra=faces.extra_keys
    ) as writer:
        writer.write(found)
        writer.write(record(clip, Failure("x", "y", "z"), found["provenance"], faces.extra_keys))
    assert pq.read_table(tmp_path / "r.parquet")["valence"].to_pylist() == [1.0, None]


@pytest.mark.parametrize("width", [70, 100])
def test_in_the_table_they_have_columns_of_their_own(
    faces, tmp_path, monkeypatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    (found,) = classify([Clip(str(toys.clip(tmp_path / "clip", [RED, GREY])))], faces)
    stream = io.StringIO()
    with open_writer(
        "table", None, labels=faces.labels, extra=faces.extra_keys, stream=stream
    ) as writer:
        writer.write(found)
        writer.write({**found, "status": "no_face", "scores": None, "valence": None})
    head, rule, row, *_ = stream.getvalue().splitlines()
    assert head.endswith("valence  arousal  with face") and len(head) == len(rule) <= width
    assert row.split()[-3:] == ["+0.50", "-0.50", "2/2"] and len(row) == len(head)


def test_a_narrow_table_leaves_them_out(faces, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    with open_writer("table", None, labels=faces.labels, extra=faces.extra_keys, stream=stream):
        pass
    head, rule = stream.getvalue().splitlines()
    assert "valence" not in head and len(rule) <= 60


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three short clips and one that cannot be read."""
    folder = tmp_path_factory.mktemp("clips")
    for n in range(3):
        toys.clip(folder / f"{n}.gif", colours(6, n))
    (folder / "3.gif").write_bytes(b"no picture")
    return folder


def test_workers_shards_and_resumed_runs_say_the_same(
    videmo_command, models, moving, tmp_path
) -> None:
    def run(name: str, *more: Any) -> bytes:
        out = tmp_path / name
        ran = videmo_command("classify", moving, "--head", models / "faces", "--out", out, *more)
        assert ran.code in (0, 1), ran.err
        return out.read_bytes()

    whole = run("whole.csv")
    assert len(cells(whole.decode())) == 4
    assert run("two.csv", "-j", "2") == whole
    run("part1.csv", "--shard", "1/2")
    run("part2.csv", "--shard", "2/2")
    parts = [tmp_path / "part1.csv", tmp_path / "part2.csv"]
    assert videmo_command("merge", *parts, "--out", tmp_path / "merged.csv").code == 0
    assert (tmp_path / "merged.csv").read_bytes() == whole


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same(faces, moving, tmp_path) -> None:
    from videmo.runs.journal import Journal
    from videmo.runs.worker import run_clip

    clips = [Clip(str(path)) for path in sorted(moving.iterdir())]
    with Journal(tmp_path / "out.csv") as journal:
        journal.begin({"recipe": faces.recipe.fingerprint()})
        done = run_clip(faces, clips[0], None)
        first = record(clips[0], done.answer, faces.provenance, faces.extra_keys)
        journal.add(clips[0], done, first)
    with Journal(tmp_path / "out.csv") as journal:
        journal.resume({"recipe": faces.recipe.fingerprint()})
        assert clips[0] in journal
        assert journal[clips[0]].record == first and first["valence"] is not None


def test_answers_are_judged_by_meaning(videmo_command, models, tmp_path) -> None:
    names = {"a": (RED, "angry"), "b": (GREEN, "happy"), "c": (BLUE, "sad"), "d": (RED, "sad")}
    rows = ["path,label"]
    for name, (colour, label) in names.items():
        rows.append(f"{toys.clip(tmp_path / f'{name}.gif', [colour])},{label}")
    truth, found = tmp_path / "truth.csv", tmp_path / "found.ndjson"
    truth.write_text("\n".join(rows) + "\n")
    ran = videmo_command(
        "classify", "--manifest", truth, "--head", models / "moods", "--out", found
    )
    assert ran.code == 0, ran.err
    ran = videmo_command(
        "evaluate", "--predictions", found, "--truth", truth, "--by-meaning", "--out", "-"
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["all"]["accuracy"] == 0.75


# heads that read windows


@pytest.mark.parametrize("count", [128, 129, 300])
def test_engagement_is_the_mean_over_windows_of_faces(models, tmp_path, count: int) -> None:
    colour = colours(count)
    pipeline = load(models / "engagement")
    prediction = pipeline.predict(toys.clip(tmp_path / "clip", colour))
    rows = (colour / 255).astype(np.float32)
    expected = by_the_book(toys.attention(), rows).mean(0)
    np.testing.assert_allclose(prediction.scores, expected, atol=1e-6)
    assert prediction.labels == ("Distracted", "Engaged")
    assert prediction.descriptor.faces == count


def test_too_few_faces_are_an_error_that_counts_them(models, tmp_path) -> None:
    clip = toys.clip(tmp_path / "clip", colours(127))
    pipeline = load(models / "engagement")
    with pytest.raises(FewFacesError) as caught:
        pipeline.predict(clip)
    assert (caught.value.faces, caught.value.needed) == (127, 128)
    (short,) = classify([Clip(str(clip))], pipeline)
    assert short["status"] == "error" and short["label"] is None
    assert short["error"]["type"] == "FewFacesError"
    assert short["error"]["message"].startswith("127 face frames, the head needs 128;")


def test_no_face_at_all_is_no_face_as_ever(models, tmp_path) -> None:
    pipeline = load(models / "engagement", detection={"detector": "mtcnn"})
    (found,) = classify([Clip(str(toys.clip(tmp_path / "blank", [GREY])))], pipeline)
    assert found["status"] == "no_face"


def test_all_faces_of_a_frame_are_no_sequence(models) -> None:
    with pytest.raises(InputError, match="one face a frame through time; give faces=largest"):
        load(models / "engagement", detection={"faces": "all"})


def test_the_record_of_a_head_over_windows_names_both_models(
    videmo_command, models, tmp_path
) -> None:
    toys.clip(tmp_path / "long.gif", colours(140))
    toys.clip(tmp_path / "short.gif", colours(20))
    ran = videmo_command("classify", tmp_path, "--head", models / "engagement", "-j", "2")
    assert ran.code == 1
    long, short = ran.records
    assert (long["status"], short["status"]) == ("ok", "error")
    assert set(long["scores"]) == {"Distracted", "Engaged"} and "valence" not in long
    assert (long["provenance"]["head"], long["provenance"]["backbone"]) == ("engagement", "faces")
    assert "20 face frames, the head needs 128" in ran.err
