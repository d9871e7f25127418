"""Truth and predictions: who belongs to whom, what counts, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from videmo.errors import InputError, ManifestError
from videmo.evaluate import EvaluationOptions, evaluate_labels, evaluate_numbers, with_protocol
from videmo.evaluate.pairs import (
    ColumnNames,
    match,
    predictions_in,
    read_predictions,
    read_training,
    read_truth,
    refuse_leaks,
    truth_in_folders,
    truth_of,
)
from videmo.evaluate.rows import Row
from videmo.runs.inputs import Clip
from videmo.train.datasets import protocol_of
from videmo.write import open_writer

metrics = pytest.importorskip("sklearn.metrics")

LABELS = ("Angry", "Happy", "Sad")


def record(path, status="ok", scores=(0.2, 0.5, 0.3), **more):
    told = dict(zip(LABELS, scores, strict=True)) if status == "ok" else None
    label = max(told, key=told.get) if told else None
    return {"schema_version": 1, "path": str(path), "status": status, "label": label,
            "scores": told, "error": None, "warnings": [], **more}  # fmt: skip


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Write a file into an empty working folder, whose name it then has."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.fixture
def three(put):
    """One clip right, one without a face, one that failed, and their truth."""
    records = [record("a.mp4"), record("b.mp4", "no_face"), record("c.mp4", "error")]
    put("found.ndjson", "".join(json.dumps(r) + "\n" for r in records))
    put("truth.csv", "path,label\na.mp4,Happy\nb.mp4,Happy\nc.mp4,Sad\n")
    return match(read_predictions("found.ndjson"), read_truth("truth.csv"))


def test_both_denominators_are_counted(three):
    got = evaluate_labels(three)
    assert (got["clips"], got["ok"], got["no_face"], got["error"]) == (3, 1, 1, 1)
    assert (got["with_face"]["n"], got["with_face"]["accuracy"]) == (1, 1)
    assert (got["all"]["n"], got["all"]["accuracy"]) == (3, round(1 / 3, 4))
    assert got["all"]["no_answer"] == [0, 1, 1]


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_a_clip_on_which_the_head_abstained_is_no_answer(put, tmp_path, suffix):
    with open_writer(suffix, tmp_path / f"found.{suffix}", labels=LABELS) as writer:
        writer.write(record("a.mp4"))
        writer.write({**record("b.mp4", scores=(0.3, 0.4, 0.3)), "label": None})
    put("truth.csv", "path,label\na.mp4,Happy\nb.mp4,Happy\n")
    got = evaluate_labels(match(read_predictions(f"found.{suffix}"), read_truth("truth.csv")))
    assert (got["ok"], got["abstained"], got["with_face"]["n"]) == (1, 1, 1)
    assert (got["all"]["accuracy"], got["all"]["no_answer"]) == (0.5, [0, 1, 0])


def test_figures_equal_those_of_scikit_learn_on_both_sides(put, rng):
    truth = rng.integers(0, 3, 90)
    states = rng.choice(["ok", "ok", "ok", "no_face"], 90)
    records = [record(f"{n}.mp4", s, rng.dirichlet([1, 1, 1])) for n, s in enumerate(states)]
    put("found.json", json.dumps(records))
    put(
        "truth.csv", "path,label\n" + "".join(f"{n}.mp4,{LABELS[t]}\n" for n, t in enumerate(truth))
    )
    got = evaluate_labels(
        match(read_predictions("found.json"), read_truth("truth.csv")), EvaluationOptions(draws=100)
    )
    found = np.array([LABELS.index(r["label"]) if r["label"] else 3 for r in records])
    for side, rows in (("with_face", found < 3), ("all", found < 4)):
        right = {
            "accuracy": metrics.accuracy_score(truth[rows], found[rows]),
            "uar": metrics.recall_score(
                truth[rows], found[rows], labels=[0, 1, 2], average="macro"
            ),
            "macro_f1": metrics.f1_score(
                truth[rows], found[rows], labels=[0, 1, 2], average="macro"
            ),
            "weighted_f1": metrics.f1_score(
                truth[rows], found[rows], labels=[0, 1, 2], average="weighted"
            ),
        }
        assert {k: got[side][k] for k in right} == pytest.approx(right, abs=1e-4)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "ndjson", "json"])
def test_every_format_that_classify_writes_is_read_back(put, tmp_path, suffix):
    name = 'tab\t, "quote" \\t.mp4'
    with open_writer(suffix, tmp_path / f"out.{suffix}", labels=LABELS) as writer:
        writer.write(record(name, scores=(0.1, 0.7, 0.2)))
        writer.write(record("none.mp4", "no_face"))
    put("put", "")
    first, second = read_predictions(f"out.{suffix}")
    assert (first.path, first.label) == (name, "Happy")
    assert first.scores == {"Angry": 0.1, "Happy": 0.7, "Sad": 0.2}
    assert (second.status, second.label, second.scores) == ("no_face", None, {})


def test_clips_are_matched_by_name_whatever_the_order(put):
    put("found.csv", "path,label\nb,Sad\na,Happy\n")
    put("truth.csv", "path,label\na,Happy\nb,Sad\n")
    pairs = match(read_predictions("found.csv"), read_truth("truth.csv"))
    assert [p.truth.clip.path for p in pairs] == ["a", "b"]
    assert evaluate_labels(pairs)["all"]["accuracy"] == 1


@pytest.mark.parametrize("path", ["clips/a.mp4", "./clips//a.mp4", "{here}/clips/a.mp4"])
def test_a_truth_counts_from_its_own_folder_as_a_manifest_does(put, tmp_path, path):
    put("clips/truth.csv", "path,label\na.mp4,Happy\n")
    put("found.csv", f"path,label\n{path.format(here=tmp_path)},Happy\n")
    assert len(match(read_predictions("found.csv"), read_truth("clips/truth.csv"))) == 1


def test_a_truth_counts_as_written_where_the_answers_have_it_so(put):
    put("lists/truth.csv", "path,label\n01-02,Happy\n")
    put("found.csv", "path,label\n01-02,Happy\n")
    assert len(match(read_predictions("found.csv"), read_truth("lists/truth.csv"))) == 1


@pytest.mark.parametrize(("by", "path"), [("name", "x/a.mp4"), ("stem", "x/a.avi")])
def test_names_or_stems_are_compared_when_asked(put, by, path):
    put("found.csv", f"path,label\n{path},Happy\n")
    put("truth.csv", "path,label\ny/a.mp4,Happy\n")
    assert len(match(read_predictions("found.csv"), read_truth("truth.csv"), by=by)) == 1


def test_two_parts_of_one_clip_are_two(put):
    put("found.csv", "path,label,start,end\na,Sad,1,2\na,Happy,0,1\n")
    put("truth.csv", "path,label,start,end\na,Happy,0,1.00001\na,Sad,1,2\n")
    assert (
        evaluate_labels(match(read_predictions("found.csv"), read_truth("truth.csv")))["all"][
            "accuracy"
        ]
        == 1
    )


def test_a_missing_clip_is_an_error_that_names_it(put):
    put("found.csv", "path,label\na,Happy\n")
    put("truth.csv", "path,label\na,Happy\nb,Sad\n")
    with pytest.raises(ManifestError, match=r"^truth.csv:3: b has no prediction"):
        match(read_predictions("found.csv"), read_truth("truth.csv"))


def test_a_missing_clip_is_wrong_when_asked(put):
    put("found.csv", "path,label\na,Happy\n")
    put("truth.csv", "path,label\na,Happy\nb,Sad\n")
    got = evaluate_labels(
        match(read_predictions("found.csv"), read_truth("truth.csv"), missing="wrong")
    )
    assert (got["missing"], got["with_face"]["n"], got["all"]["accuracy"]) == (1, 1, 0.5)


def test_a_surplus_clip_is_an_error_that_names_it(put):
    put("found.csv", "path,label\na,Happy\nb,Sad\n")
    put("truth.csv", "path,label\na,Happy\n")
    with pytest.raises(ManifestError, match=r"^found.csv:3: b is not in the truth \(truth.csv\)"):
        match(read_predictions("found.csv"), read_truth("truth.csv"), missing="wrong")


def test_only_the_clips_of_a_split_count(put):
    put("found.csv", "path,label\na,Happy\nb,Sad\n")
    put("truth.csv", "path,label,split\na,Happy,train\nb,Sad,val\n")
    truth = read_truth("truth.csv")
    assert [
        p.truth.clip.path for p in match(read_predictions("found.csv"), truth, split="val")
    ] == ["b"]
    with pytest.raises(InputError, match=r"no clip of the split 'test'; there is train, val"):
        match(read_predictions("found.csv"), truth, split="test")


def test_folders_tell_the_truth(put):
    put("found.csv", "path,label\nx/Happy/a,Happy\nx/Sad/b,Happy\n")
    found = read_predictions("found.csv")
    assert evaluate_labels(match(found, truth_in_folders(found)))["all"]["accuracy"] == 0.5


def test_a_feature_file_tells_the_truth(tmp_path):
    from videmo.write.npz import FeatureFile

    with FeatureFile(tmp_path / "f.npz", names=["x"], meta={}) as file:
        file.add("a", "no_face", "", None, None, label="Happy", split="val", subject="1")
    (truth,) = read_truth(str(tmp_path / "f.npz"))
    assert truth.clip == Clip("a", label="Happy", split="val", subject="1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found.csv: holds no row"),
        ("path,label\n", "found.csv: holds no row"),
        ("clip,label\na,Happy\n", "found.csv:2: no column is called 'path'; there is clip, label"),
        ("path,emotion\na,Sad\n", "found.csv:2: no column is called 'label'"),
        ("path,path,label\na,a,Sad\n", "found.csv:1: two columns are called 'path'"),
        ("path,label\n,Sad\n", "found.csv:2: has no 'path'"),
        ("path,label\na,Sad\n\na,Sad\n", "found.csv:4: a is named again, line 2 has it too"),
        ("path,label\na,\n", "found.csv:2: a is ok, yet has no 'label'"),
        ("path,label\na,b,c\n", "found.csv:2: has 3 cells under 2 columns"),
        ('path,label\n"a,b\n', "found.csv:2: is no CSV"),
        ("path,status,label\na,no_face,Sad\n", "found.csv:2: a is no_face, yet has the label"),
        ("path,status,label\na,fine,Sad\n", "found.csv:2: status is 'fine', expected ok"),
        ("path,label,p_sad,p_happy\na,Sad,nan,0.5\n", "found.csv:2: there is 'nan' where a number"),
        ("path,label,p_sad,p_happy\na,Sad,,1\n", "found.csv:2: there is '' where a number"),
        ("path,label,p_sad,p_happy\na,Sad,0.7,0.5\n", "found.csv:2: its probabilities sum to 1.2"),
        ("path,label,p_sad,p_happy\na,Sad,1.2,-0.2\n", "found.csv:2: the probability of 'Sad' is"),
        ("path,label,p_sad,p_happy\na,Sad,0.4,0.6\n", "found.csv:2: label is 'Sad', but 'Happy'"),
        ("path,label,start\na,Sad,soon\n", "found.csv:2: start is 'soon' where a number"),
        ('{"path": "a", "label": "Sad"}\n{"path"\n', "found.csv:2: is no JSON"),
        ('{"path": "a", "label": "Sad"}\n[]\n', "found.csv:2: is no JSON object"),
        ('[{"path": "a"}]', "found.csv:1: no column is called 'label'; there is path"),
        ("a\0b", "found.csv: holds a NUL"),
    ],
)
def test_wrong_data_is_one_line_that_names_file_and_row(put, text, said):
    put("found.csv", text)
    with pytest.raises(InputError) as caught:
        found = read_predictions("found.csv")
        match(found, truth_of([Clip("a", label="Sad")], "truth"))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(put, tmp_path):
    for name, said in ((str(tmp_path), "is a directory"), ("none.csv", "no such file")):
        with pytest.raises(InputError, match=said):
            read_predictions(name)


def test_probabilities_can_be_passed_over(put):
    put("found.csv", "path,label,p_sad,p_happy\na,Sad,0.7,0.5\n")
    (found,) = read_predictions("found.csv", scores=False)
    assert found.scores == {}


def pairs_of(found, truth):
    """Pair labels without a file for each test."""
    rows = [Row("found", n, {"path": str(n), "label": label}) for n, label in enumerate(found, 1)]
    clips = [Clip(str(n), label=label) for n, label in enumerate(truth, 1)]
    return match(predictions_in(rows), truth_of(clips, "truth"))


def test_an_unknown_label_is_an_error_that_names_the_row():
    with pytest.raises(ManifestError, match=r"^found:2: label 'happy' is not among Happy, Sad; "):
        evaluate_labels(pairs_of(["Happy", "happy"], ["Happy", "Sad"]))
    with pytest.raises(ManifestError, match=r"^truth:1: label 'Happy' is not among Sad"):
        evaluate_labels(pairs_of(["Sad"], ["Happy"]), EvaluationOptions(labels=("Sad",)))


def test_a_truth_that_the_model_cannot_answer_is_an_error(put):
    put("found.json", json.dumps([record("a")]))
    pairs = match(read_predictions("found.json"), truth_of([Clip("a", label="Contempt")], "truth"))
    with pytest.raises(
        ManifestError, match=r"^truth:1: label 'Contempt' is not among Angry, Happy"
    ):
        evaluate_labels(pairs)


def test_a_clip_without_a_true_label_is_an_error():
    with pytest.raises(ManifestError, match=r"^truth:1: 1 has no true label"):
        evaluate_labels(pairs_of(["Sad"], [None]))


def test_labels_of_other_names_are_matched_by_meaning_when_asked():
    pairs = pairs_of(["happiness", "sadness", "joy"], ["Happy", "Sad", "Angry"])
    got = evaluate_labels(pairs, EvaluationOptions(by_meaning=True))
    assert got["all"]["accuracy"] == round(2 / 3, 4)
    assert got["labels"][:2] == ["Angry", "Disgust"]  # of the whole published set


def test_seven_labels_are_read_as_three_from_their_probabilities(put):
    put("found.json", json.dumps([record("a", scores=(0.3, 0.4, 0.3))]))  # Angry + Sad is more
    truth = truth_of([Clip("a", label="Negative")], "truth")
    got = evaluate_labels(
        match(read_predictions("found.json"), truth), EvaluationOptions(by_meaning=True)
    )
    assert got["labels"] == ["Positive", "Neutral", "Negative"]
    assert got["all"]["accuracy"] == 1
    assert got["with_face"]["ece"] == pytest.approx(0.4)


def test_a_label_without_a_meaning_is_an_error_that_names_the_row():
    with pytest.raises(ManifestError, match=r"^found:1: no emotion is called 'tired'"):
        evaluate_labels(pairs_of(["tired"], ["Happy"]), EvaluationOptions(by_meaning=True))
    with pytest.raises(ManifestError, match=r"^found:1: label 'surprise' means none of Positive"):
        evaluate_labels(pairs_of(["surprise"], ["Positive"]), EvaluationOptions(by_meaning=True))


def test_nothing_answered_is_an_error(put):
    put("found.json", json.dumps([record("a", "no_face")]))
    pairs = match(read_predictions("found.json"), truth_of([Clip("a", label="Sad")], "truth"))
    with pytest.raises(InputError, match="not one of 1 clips has an answer"):
        evaluate_labels(pairs)


def test_subjects_are_drawn_where_every_clip_has_one(put):
    put("truth.csv", "path,label,actor\n1,a,x\n2,b,x\n3,a,y\n")
    put("found.csv", "path,label\n1,a\n2,a\n3,a\n")
    truth = read_truth("truth.csv", ColumnNames(subject="actor"))
    got = evaluate_labels(match(read_predictions("found.csv"), truth))
    assert (got["bootstrap"]["units"], got["subjects"]) == ("subjects", 2)
    assert got["all"]["intervals"]["accuracy"] == [0.5, 1]  # x is half right, y is right


def test_a_subject_on_both_sides_is_an_error_that_names_it(put):
    put("truth.csv", "path,label,subject\na,Sad,anna\n")
    put("train.csv", "path,label,subject\nc,Sad,bert\nb,Sad,anna\n")
    pairs = match(read_predictions("truth.csv"), read_truth("truth.csv"))
    with pytest.raises(ManifestError) as caught:
        refuse_leaks(pairs, read_training("train.csv"))
    assert str(caught.value).startswith(
        "truth.csv:2: the subject 'anna' is in the training data too (train.csv:3)"
    )


def test_a_clip_on_both_sides_is_an_error_that_names_it(put):
    put("truth.csv", "path,label\nclips/a,Sad\n")
    put("clips/train.csv", "path,label\na,Sad\n")
    pairs = match(read_predictions("truth.csv"), read_truth("truth.csv"))
    with pytest.raises(ManifestError, match=r"the clip clips/a is in the training data too"):
        refuse_leaks(pairs, read_training("clips/train.csv"))


def test_clips_of_one_name_in_two_folders_are_no_leak(put):
    put("val/truth.csv", "path,label,subject\na,Sad,anna\n")
    put("train/train.csv", "path,label,subject\na,Sad,bert\n")
    put("found.csv", "path,label\nval/a,Sad\n")
    pairs = match(read_predictions("found.csv"), read_truth("val/truth.csv"))
    assert refuse_leaks(pairs, read_training("train/train.csv")) == {"clips": 1, "subjects": 1}


def test_only_the_training_split_of_a_list_was_trained_on(put):
    put("all.csv", "path,label,split,subject\na,Sad,val,anna\nb,Sad,train,bert\n")
    (trained,) = read_training("all.csv")
    assert trained.clip.subject == "bert"


def test_the_subjects_of_a_head_are_compared(tmp_path):
    from videmo import store

    def head(name, trained):
        card = {"kind": "head", "name": name, "spec": {}, "trained": trained}
        return str(store.save(tmp_path / name, card, {"weight": np.zeros(1)}).folder)

    truth = truth_of([Clip("1", label="Sad", subject="anna")], "truth")
    pairs = match([p.found for p in pairs_of(["Sad"], ["Sad"])], truth)
    with pytest.raises(ManifestError, match="the subject 'anna' is in the training data too"):
        refuse_leaks(pairs, read_training(head("one", {"subjects": ["anna"]})))
    with pytest.raises(InputError, match="its card names no subjects and no clips"):
        read_training(head("two", {}))


def test_numbers_are_judged_over_the_clips_that_have_one(put, rng):
    truth = rng.normal(0, 1, 40)
    found = truth + rng.normal(0, 0.3, 40)
    put("truth.csv", "path,valence\n" + "".join(f"{n},{t}\n" for n, t in enumerate([*truth, 0])))
    rows = "".join(f"{n},ok,{f}\n" for n, f in enumerate(found))
    put("found.csv", f"path,status,guess\n{rows}40,no_face,\n")
    columns = ColumnNames(found="guess", truth="valence")
    pairs = match(read_predictions("found.csv", columns), read_truth("truth.csv", columns))
    got = evaluate_numbers(pairs)
    assert (got["clips"], got["no_face"], got["with_face"]["n"]) == (41, 1, 40)
    assert got["with_face"]["mae"] == pytest.approx(
        metrics.mean_absolute_error(truth, found), abs=1e-4
    )
    low, high = got["with_face"]["intervals"]["ccc"]
    assert low < got["with_face"]["ccc"] < high


def test_a_word_where_a_number_is_expected_names_the_row():
    with pytest.raises(ManifestError, match=r"^found:2: there is 'much' where a number is"):
        evaluate_numbers(pairs_of(["1", "much"], ["1", "2"]))


def test_the_official_figure_is_over_all_clips_and_comes_first(three):
    got = with_protocol(evaluate_labels(three), protocol_of("afew"))
    assert list(got)[:2] == ["protocol", "official"]
    assert got["official"]["accuracy"]["value"] == got["all"]["accuracy"]
    assert got["official"]["accuracy"]["with_face"] == 1


def test_the_published_predictions_on_ravdess_have_their_published_accuracy(shared):
    folder = shared / "reference" / "ravdess_au"
    file = folder / "reference_bilstm_val_predictions.csv"
    if not file.is_file():
        pytest.skip(f"{file.name} is not in ../shared/reference/ravdess_au")
    columns = ColumnNames(path="clip", found="pred", truth="label", subject="actor")
    found, truth = read_predictions(str(file), columns), read_truth(str(file), columns)
    got = evaluate_labels(match(found, truth))["all"]
    assert (got["n"], got["accuracy"]) == (1440, 0.6236)
    labels = [t.clip.label for t in truth], [f.label for f in found]
    assert got["uar"] == pytest.approx(metrics.balanced_accuracy_score(*labels), abs=1e-4)
