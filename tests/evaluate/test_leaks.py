"""A head is not judged on what it learned from without a word."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from videmo import store
from videmo.cli import main
from videmo.data import Descriptor
from videmo.evaluate import leaks
from videmo.write.npz import FeatureFile

FAST = ("--kind", "svm", "--strength", "1", "--try", "balanced=false", "--folds", "3")
LABELS = ("calm", "glad")
Evaluate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> store.Model:
    """A head of 24 clips of 6 people, in the folder `mine`, and features without a face beside."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    meta = {"options": store.load("afew7").recipe.to_dict()}
    with FeatureFile("feats.npz", names=["x", "y"], meta=meta) as file:
        for i in range(26):
            row = np.array([i % 2, 1], np.float32) + rng.normal(0, 0.6, 2).astype(np.float32)
            facts = {"label": LABELS[i % 2], "subject": f"s{i // 2 % 6}"}
            found = Descriptor(row, 1, 1, 1) if i < 24 else None
            file.add(f"clips/{i}.mp4", "ok" if found else "no_face", descriptor=found, **facts)
    with pytest.raises(SystemExit) as ended:
        main(["train", "head", "feats.npz", "--out", "mine", "--predictions", "oof.csv", *FAST])
    assert not ended.value.code
    return store.load("./mine")


@pytest.fixture
def evaluate(trained: store.Model, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *arguments])
        code = ended.value.code
        return int(code or 0), *capsys.readouterr()

    return run


def predictions(clips: list[tuple[str, str]], head: store.Model | None, more: str = "") -> None:
    """Write what a head is said to have answered, and the truth beside it."""
    made = f"{head.name},{head.sha256}" if head else ","
    rows = [f"{path},ok,calm,{made}" for path, _ in clips]
    Path("found.csv").write_text("path,status,label,head,head_sha256\n" + "\n".join(rows) + "\n")
    rows = [f"{path},calm,{subject}" for path, subject in clips]
    Path("truth.csv").write_text("path,label,subject\n" + "\n".join(rows) + "\n")


GIVEN = ("--predictions", "found.csv", "--truth", "truth.csv")
NEW = [("clips/new0.mp4", "t0"), ("clips/new1.mp4", "t1")]


def test_a_card_keeps_digests_of_clips_and_people(trained: store.Model) -> None:
    seen = trained.card["trained"]["seen"]
    assert len(seen["clips"]) == 24 and len(seen["subjects"]) == 6
    assert leaks.clip_digest("/elsewhere/clips/3.mp4") in seen["clips"]
    assert leaks.clip_digest("/elsewhere/other/3.mp4") not in seen["clips"]
    assert "3.mp4" not in json.dumps(seen)


@pytest.mark.parametrize("met", [("clips/3.mp4", "t9"), ("clips/new2.mp4", "s1")])
def test_a_clip_or_person_of_the_training_is_refused_unless_it_is_allowed(
    trained: store.Model, evaluate: Evaluate, met: tuple[str, str]
) -> None:
    predictions([*NEW, met], trained)
    code, out, err = evaluate(*GIVEN)
    assert (code, out) == (2, "")
    assert "clip that mine learned from" in err and "1 of 3 here" in err and met[0] in err
    code, out, err = evaluate(*GIVEN, "--seen", "allow")
    assert code == 0 and json.loads(out)["seen"][0]["met"] == 1
    assert "mine learned from 1 of 3 clips" in err


def test_what_the_head_has_not_met_is_judged(trained: store.Model, evaluate: Evaluate) -> None:
    predictions(NEW, trained)
    code, out, err = evaluate(*GIVEN)
    assert (code, err) == (0, "")
    assert json.loads(out)["seen"] == [{"head": "mine", "clips": 24, "subjects": 6, "met": 0}]


def test_a_head_is_found_by_its_sum_wherever_it_is(
    trained: store.Model, evaluate: Evaluate, cache: Path, tmp_path: Path
) -> None:
    predictions([("clips/3.mp4", "t9")], trained)
    (tmp_path / "mine").rename(tmp_path / "moved")
    code, _, err = evaluate(*GIVEN)
    assert code == 0 and "is not here, so nobody knows" in err
    assert evaluate(*GIVEN, "--head", "./moved")[0] == 2
    (cache / "models").mkdir(parents=True)
    (tmp_path / "moved").rename(cache / "models" / "another_name")
    assert evaluate(*GIVEN)[0] == 2


def test_a_folder_of_its_name_is_not_the_head(
    trained: store.Model, evaluate: Evaluate, tmp_path: Path
) -> None:
    predictions(NEW, trained)
    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    card["spec"]["labels"] = ["other", "labels"]
    (tmp_path / "mine" / "card.json").write_text(json.dumps(card))
    assert "is not here, so nobody knows" in evaluate(*GIVEN)[2]


def test_a_card_that_tells_nothing_is_said(evaluate: Evaluate) -> None:
    predictions(NEW, store.load("lite0_faces"))
    code, _, err = evaluate(*GIVEN)
    assert code == 0 and "the card of lite0_faces does not tell from which clips" in err


@pytest.mark.parametrize("head", ["afew7", "vgaf3"])
def test_a_head_made_of_pictures_has_met_no_clip(evaluate: Evaluate, head: str) -> None:
    predictions(NEW, store.load(head))
    code, out, err = evaluate(*GIVEN, "--format", "json")
    assert code == 0 and "does not tell" not in err
    assert json.loads(out)["seen"] == [{"head": head, "clips": 0, "subjects": 0, "met": 0}]


def test_answers_that_name_no_head_are_judged(evaluate: Evaluate) -> None:
    predictions([("clips/3.mp4", "t9")], None)
    assert evaluate(*GIVEN)[::2] == (0, "")
    assert evaluate(*GIVEN, "--head", "./mine")[0] == 2


def test_what_was_predicted_in_a_clips_own_fold_is_kept(
    trained: store.Model, evaluate: Evaluate
) -> None:
    with open("oof.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows][:2] == ["clips/0.mp4", "clips/1.mp4"]
    assert {row["fold"] for row in rows[:24]} == {"1", "2", "3"} and rows[24]["status"] == "no_face"
    people: dict[str, set[str]] = {}
    for row in rows[:24]:
        people.setdefault(row["subject"], set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in people.values())  # nobody is in two
    code, out, err = evaluate("--predictions", "oof.csv", "--truth-column", "truth")
    found: dict[str, Any] = json.loads(out)
    facts = trained.card["measured"]["cross_validation"]
    assert (code, err) == (0, "")
    for name, side in (("with_face", facts), ("all", facts["all"])):
        assert found[name]["accuracy"] == side["accuracy"] and found[name]["n"] == side["n"]
        low, high = found[name]["intervals"]["accuracy"]
        assert side["interval"][0] <= low and side["interval"][1] >= high
        assert side["uar_interval"] == found[name]["intervals"]["uar"]
    assert facts["subjects"] == 6


def test_the_measured_is_a_table_for_people(
    trained: store.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "head", "feats.npz", "--out", "again", "--format", "table", *FAST])
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("again: svm on 24 clips of 6 subjects; chosen")
    assert lines[2].split() == ["measured", "on", "clips", "accuracy", "95", "%", "interval", "UAR",
                                "ECE"]  # fmt: skip
    assert "cross validation, all clips" in out and lines[-1].endswith("--head ./again")


def test_predictions_are_a_csv(trained: store.Model, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "head", "feats.npz", "--out", "b", "--predictions", "oof.json", *FAST])
    assert ended.value.code == 1 and "end its name in .csv" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "head", "feats.npz", "--out", "b", "--predictions", "oof.csv", *FAST])
    assert "oof.csv: is there already" in capsys.readouterr().err
