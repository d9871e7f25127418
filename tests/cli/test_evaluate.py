"""`videmo evaluate` as a shell sees it."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from videmo.cli import main
from videmo.data import Prediction
from videmo.errors import VideoError
from videmo.labels import LABELS
from videmo.pipeline import Answer
from videmo.show.confusion import draw_confusion

TRUTH = "path,label\na.mp4,Happy\nb.mp4,Sad\nc.mp4,Sad\n"
FOUND = "path,status,label\na.mp4,ok,Happy\nb.mp4,ok,Happy\nc.mp4,no_face,\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `videmo evaluate` in a folder with two files, and return its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "found.csv").write_text(FOUND)

    def evaluate(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *arguments])
        return ended.value.code, *capsys.readouterr()

    return evaluate


GIVEN = ("--predictions", "found.csv", "--truth", "truth.csv")


def test_json_goes_into_a_pipe(run):
    code, out, err = run(*GIVEN)
    got = json.loads(out)
    assert (code, err) == (0, "")
    assert got["with_face"]["accuracy"] == 0.5
    assert got["all"]["accuracy"] == 0.3333
    assert (got["predictions"], got["truth"]) == ("found.csv", "truth.csv")


def test_the_table_shows_both_denominators(run):
    code, out, _ = run(*GIVEN, "--format", "table")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == ("found.csv against truth.csv: 3 clips, 2 with an answer, 1 without a face")
    assert lines[2].split()[:4] == ["with", "a", "face", "2"]
    assert "accuracy (WAR)" in lines[3] and "0.5000" in lines[3] and "0.3333" in lines[3]
    assert any(line.split() == ["Sad", "1", "0", "1"] for line in lines)  # confusion, no answer


def test_markdown_has_the_same_figures(run):
    _, out, _ = run(*GIVEN, "--format", "markdown")
    assert "|  | with a face 2 | 95 % | all 3 | 95 % |\n| --- | ---: |" in out
    assert "| accuracy (WAR) | 0.5000 |" in out
    assert "| Sad | 1 | 0 | 1 |" in out


def test_a_cell_with_a_bar_does_not_break_the_markdown(run, tmp_path):
    (tmp_path / "odd.csv").write_text("path,label,true\na,x|y,x|y\n")
    arguments = ("--predictions", "odd.csv", "--truth-column", "true", "--format", "markdown")
    assert "| x\\|y | 1 |" in run(*arguments)[1]


@pytest.mark.parametrize(("name", "begins"), [("o.json", "{"), ("o.md", "found"), ("o.txt", "fo")])
def test_out_appears_and_its_suffix_chooses(run, tmp_path, name, begins):
    code, out, _ = run(*GIVEN, "--out", name)
    assert (code, out) == (0, "")
    assert (tmp_path / name).read_text().startswith(begins)


def test_nothing_is_written_where_the_data_are_wrong(run, tmp_path):
    (tmp_path / "found.csv").write_text("path,label\na.mp4,Happy\n")
    code, out, err = run(*GIVEN, "--out", "o.json", "--confusion", "o.png")
    assert (code, out) == (2, "")
    assert err.startswith("videmo: error: truth.csv:3: b.mp4 has no prediction")
    assert err.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"found.csv", "truth.csv"}


def test_the_predictions_come_from_standard_input(videmo_command, tmp_path):
    (tmp_path / "truth.csv").write_text(TRUTH)
    ran = videmo_command(
        "evaluate", "--predictions", "-", "--truth", "truth.csv", stdin=FOUND.encode(), cwd=tmp_path
    )
    assert json.loads(ran.out)["all"]["n"] == 3


def test_truth_and_answers_may_share_a_file(run, tmp_path):
    (tmp_path / "both.csv").write_text("clip,label,pred\na,x,x\nb,y,x\n")
    code, out, _ = run(
        "--predictions", "both.csv", "--path-column", "clip", "--pred-column", "pred",
        "--truth-column", "label",
    )  # fmt: skip
    assert (code, json.loads(out)["all"]["accuracy"]) == (0, 0.5)


def test_numbers_have_figures_of_their_own(run, tmp_path):
    (tmp_path / "both.csv").write_text("path,x,y\na,1,1\nb,2,3\nc,3,2\n")
    arguments = ("--predictions", "both.csv", "--pred-column", "x", "--truth-column", "y")
    code, out, _ = run(*arguments, "--kind", "numbers")
    assert (code, json.loads(out)["with_face"]["mae"]) == (0, round(2 / 3, 4))
    assert "CCC" in run(*arguments, "--kind", "numbers", "--format", "table")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--predictions", "found.csv"), "no truth; give --truth"),
        (("--truth", "truth.csv"), "nothing to judge; give --predictions"),
        ((*GIVEN, "--folders"), "two truths"),
        (("--root", "x"), "--root needs --dataset or --protocol"),
        (("--predictions", "found.csv", "--truth-column", "label"), "the answers are no truth"),
        ((*GIVEN, "--kind", "numbers", "--protocol", "afew"), "numbers has no --protocol"),
        ((*GIVEN, "--protocol", "afw"), "no protocol is called 'afw'; there is afew"),
        ((*GIVEN, "--out", "o.xls"), "no output format is called '.xls'"),
    ],
)
def test_options_that_do_not_fit_are_refused(run, arguments, said):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_a_subject_that_was_trained_on_ends_the_run(run, tmp_path):
    (tmp_path / "truth.csv").write_text(
        "path,label,actor\na.mp4,Happy,7\nb.mp4,Sad,8\nc.mp4,Sad,8\n"
    )
    (tmp_path / "train.csv").write_text("path,label,actor\nz.mp4,Sad,8\n")
    code, out, err = run(*GIVEN, "--train", "train.csv", "--subject-column", "actor")
    assert (code, out) == (2, "")
    assert "truth.csv:3: the subject '8' is in the training data too (train.csv:2)" in err


def test_a_training_list_without_subjects_is_noted(run, tmp_path):
    (tmp_path / "train.csv").write_text("path,label\nz.mp4,Sad\n")
    code, out, err = run(*GIVEN, "--train", "train.csv")
    assert (code, json.loads(out)["training"]) == (0, {"clips": 1, "subjects": None})
    assert "no subjects on one side" in err


def test_a_protocol_is_printed_first_and_says_what_is_not_comparable(run):
    code, out, err = run(*GIVEN, "--protocol", "afew", "--format", "table")
    assert code == 0
    assert "afew, official: all clips, val" in out.splitlines()[2]
    assert "afew has 383 clips, here are 3: not comparable" in err


def test_the_matrix_is_a_png(run, tmp_path):
    pytest.importorskip("matplotlib")
    code, _, err = run(*GIVEN, "--confusion", "matrix.png")
    assert (code, err) == (0, "")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF-")]
)
def test_the_same_matrix_gives_the_same_bytes(tmp_path, suffix, begins):
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{n}.{suffix}" for n in (1, 2, 3)]
    for file in files[:2]:
        draw_confusion(file, [[3, 1], [0, 0]], ["$a$", "b"], no_answer=[0, 2])
    draw_confusion(files[2], [[3, 1], [0, 0]], ["$a$", "b"])
    same, again, other = (file.read_bytes() for file in files)
    assert same == again != other and same.startswith(begins)


def test_the_words_of_a_vector_picture_stay_words(tmp_path):
    pytest.importorskip("matplotlib")
    draw_confusion(tmp_path / "m.svg", [[3, 1], [0, 2]], ["<i>$a$", "b"])
    assert "&lt;i&gt;$a$" in (tmp_path / "m.svg").read_text()


def test_without_matplotlib_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run(*GIVEN, "--confusion", "matrix.png")
    assert (code, out) == (4, "")
    assert "pip install " in err and err.endswith("[plots]'\n")


@dataclass
class Pipeline:
    """Answers Happy to everything but one clip, which is broken."""

    labels: tuple[str, ...] = LABELS["afew7"]
    extra_keys: tuple[str, ...] = ()
    head_model: None = None
    provenance: dict[str, str | None] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def answer(self, path, *, start=None, end=None):
        self.seen.append(path)
        if "broken" in path:
            raise VideoError(path, "is broken")
        descriptor = SimpleNamespace(seen=2, frames=2, faces=2, coverage=1.0)
        scores = np.array([0.05, 0.05, 0.05, 0.7, 0.05, 0.05, 0.05], np.float32)
        prediction = Prediction(self.labels, scores, descriptor)
        info = SimpleNamespace(path=path, duration=1.0, decoder="none")
        return Answer(info, descriptor, prediction, ())


@pytest.fixture
def afew(monkeypatch, tmp_path):
    """A data set of three clips, one of them for training, and a pipeline for it."""
    for name in ("Train_AFEW/Happy/1.avi", "Val_AFEW/Happy/2.avi", "Val_AFEW/Sad/broken.avi"):
        (tmp_path / "AFEW" / name).parent.mkdir(parents=True)
        (tmp_path / "AFEW" / name).write_bytes(bytes(16))
    pipeline = Pipeline()
    module = importlib.import_module("videmo.cli.evaluate")  # of which the command has the name
    monkeypatch.setattr(module, "pipeline_of", lambda options: pipeline)
    return pipeline


def test_a_data_set_is_classified_and_judged_by_its_protocol(run, afew, tmp_path):
    code, out, err = run("--protocol", "afew", "--root", "AFEW", "--records", "kept.ndjson")
    got = json.loads(out)
    assert code == 1  # one clip could not be read
    assert got["official"]["accuracy"]["value"] == 0.5
    assert got["with_face"]["accuracy"] == 1
    assert [p.split("/")[1] for p in afew.seen] == ["Val_AFEW", "Val_AFEW"]
    assert "broken.avi: is broken" in err
    code, out, _ = run("--protocol", "afew", "--root", "AFEW", "--predictions", "kept.ndjson")
    assert (code, json.loads(out)["all"]) == (0, got["all"])


def test_debug_shows_where_the_failure_of_a_clip_comes_from(run, afew, monkeypatch):
    whole = afew.answer

    def answer(path, **span):
        if "broken" in path:
            raise ZeroDivisionError("of nothing")
        return whole(path, **span)

    monkeypatch.setattr(afew, "answer", answer)
    asked = ("--protocol", "afew", "--root", "AFEW")
    assert "Traceback" not in run(*asked)[2]
    err = run(*asked, "--debug")[2]
    assert "Traceback" in err and "in answer" in err and "ZeroDivisionError: of nothing" in err


def test_a_head_of_other_labels_is_refused_before_it_runs(run, afew):
    afew.labels = LABELS["vgaf3"]
    code, _, err = run("--protocol", "afew", "--root", "AFEW", "--head", "vgaf3")
    assert (code, afew.seen) == (2, [])
    assert "vgaf3: answers Positive, Neutral, Negative, the data set has Angry" in err


def test_the_published_predictions_print_their_accuracy(run, shared):
    file = shared / "reference" / "ravdess_au" / "reference_bilstm_val_predictions.csv"
    if not file.is_file():
        pytest.skip(f"{file.name} is not in ../shared/reference/ravdess_au")
    code, out, _ = run(
        "--predictions", str(file), "--path-column", "clip", "--pred-column", "pred",
        "--truth-column", "label", "--format", "table",
    )  # fmt: skip
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.startswith("accuracy"))
    assert line.split().count("0.6236") == 2  # with a face, and of all
