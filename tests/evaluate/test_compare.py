"""Two runs over the same clips: who is who, how far they agree, and which is right more often."""

from __future__ import annotations

import json

import numpy as np
import pytest

from videmo.errors import InputError, ManifestError
from videmo.evaluate import EvaluationOptions
from videmo.evaluate.compare import compare_runs, pair_runs
from videmo.evaluate.metrics import cohen_kappa, mcnemar_test
from videmo.evaluate.pairs import predictions_in, truth_in
from videmo.evaluate.rows import Row
from videmo.show.comparison import FORMATS

FEW = EvaluationOptions(draws=200)


def rows_of(file, *rows):
    names = ("path", "label", "status", "subject", "start", "person")
    return [
        Row(
            file,
            n,
            {k: v for k, v in zip(names, row, strict=False) if v is not None or k == "label"},
        )
        for n, row in enumerate(rows, 1)
    ]


def run(file, *rows):
    return predictions_in(rows_of(file, *rows))


def compared(a, b, truth=(), **options):
    clips = pair_runs(run("a", *a), run("b", *b), truth_in(rows_of("t", *truth)) if truth else [])
    return compare_runs(clips, EvaluationOptions(draws=200, **options))


def test_a_clip_that_changed_is_named_with_both_answers():
    got = compared([("x", "Sad"), ("y", "Happy")], [("y", "Happy"), ("x", "Angry")])
    assert [(f["path"], f["a"]["label"], f["b"]["label"]) for f in got["flips"]] == [
        ("x", "Sad", "Angry")
    ]
    assert got["changes"] == [{"a": "Sad", "b": "Angry", "clips": 1}]
    assert (got["agreement"]["n"], got["agreement"]["same"]) == (2, 1)


def test_clips_of_one_run_only_and_other_statuses_are_counted_and_flip():
    got = compared(
        [("x", "Sad"), ("y", "Sad", "ok"), ("z", "Sad")],
        [("x", "Sad", "ok"), ("y", None, "error"), ("w", "Sad", "ok")],
    )
    assert (got["clips"], got["both"], got["only_a"], got["only_b"]) == (4, 2, 1, 1)
    counts = {"ok": 1, "abstained": 0, "no_face": 0, "error": 1, "missing": 1}
    assert got["statuses"]["ok"] == counts
    assert [f["path"] for f in got["flips"]] == ["y", "z", "w"]


def test_parts_and_persons_of_a_clip_are_clips_of_their_own():
    a = [("x", "Sad", "ok", None, 0.0, 1), ("x", "Happy", "ok", None, 0.0, 2)]
    b = [("x", "Sad", "ok", None, 0.0, 2), ("x", "Sad", "ok", None, 0.0, 1)]
    got = compared(a, b)
    assert (got["both"], [f["person"] for f in got["flips"]]) == (2, [2])


def test_a_clip_that_is_there_twice_is_refused():
    with pytest.raises(ManifestError, match="x is named again, line 1 has it too"):
        compared([("x", "Sad"), ("x", "Sad")], [("x", "Sad")])


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([("x", "Sad")], [("y", "Sad")], "no clip in common"),
        ([("x", "Happy")], [("x", "joy")], "no label in common; by_meaning=True"),
        ([("x", None, "error")], [("x", "Sad", "ok")], "not one of 1 clips has an answer in both"),
    ],
)
def test_what_cannot_be_compared_says_so(a, b, said):
    with pytest.raises(InputError, match=said):
        compared(a, b)


def test_labels_of_other_sets_are_compared_by_what_they_mean():
    got = compared([("x", "Happy"), ("y", "Sad")], [("x", "joy"), ("y", "anger")], by_meaning=True)
    assert (got["agreement"]["same"], len(got["flips"])) == (1, 1)


def test_a_truth_of_other_labels_is_refused():
    with pytest.raises(ManifestError, match="label 'clips' is not among Sad"):
        compared([("x", "Sad")], [("x", "Sad")], [("x", "clips")])


def test_a_truth_tells_which_run_is_right_more_often_over_both_denominators():
    a = [("1", "Sad", "ok"), ("2", "Sad", "ok"), ("3", None, "no_face")]
    b = [("1", "Sad", "ok"), ("2", "Happy", "ok"), ("3", "Happy", "ok")]
    got = compared(a, b, [("1", "Sad"), ("2", "Happy"), ("3", "Happy")])["truth"]
    assert (got["with_face"]["n"], got["with_face"]["difference"]["accuracy"]) == (2, 0.5)
    assert (got["all"]["n"], got["all"]["difference"]["accuracy"]) == (3, 0.6667)
    assert got["all"]["mcnemar"] == {"only_a": 0, "only_b": 2, "p": 0.5, "method": "exact"}


def test_a_clip_without_a_true_label_is_counted_and_left_out():
    got = compared([("1", "Sad"), ("2", "Sad")], [("1", "Sad"), ("2", "Sad")], [("1", "Sad")])
    assert (got["truth"]["unknown"], got["truth"]["all"]["n"]) == (1, 1)


def test_clips_of_a_subject_are_drawn_together():
    """Ten clips of each person are alike, so ten persons are all that is known."""
    truth = [(f"{p}-{n}", "Sad", None, f"p{p}") for p in range(10) for n in range(10)]
    a = [(path, "Sad" if path < "5" else "Happy") for path, *_ in truth]
    b = [(path, "Sad") for path, *_ in truth]
    told = compared(a, b, truth)
    alone = compared(a, b, [(path, label) for path, label, *_ in truth])
    widths = [np.ptp(of["truth"]["all"]["intervals"]["accuracy"]) for of in (told, alone)]
    assert (told["subjects"], told["bootstrap"]["units"]) == (10, "subjects")
    assert widths[0] > 2.5 * widths[1]  # of 10 units, not 100: the root of 10 wider


def test_kappa_is_that_of_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    for _ in range(20):
        a, b = rng.integers(0, 4, (2, 50))
        b = np.where(rng.random(50) < 0.5, a, b)
        table = np.zeros((4, 4))
        np.add.at(table, (a, b), 1)
        assert cohen_kappa(table) == pytest.approx(metrics.cohen_kappa_score(a, b), abs=1e-12)


def test_kappa_of_two_who_always_say_one_label_is_not_defined():
    assert np.isnan(cohen_kappa(np.diag([5.0, 0.0])))
    got = compared([("x", "Sad"), ("y", "Sad")], [("x", "Sad"), ("y", "Sad")])
    assert got["agreement"]["kappa"] is None
    assert all(form(FULL | got) for form in FORMATS.values())


FULL = {"a": "a.csv", "b": "b.csv"}


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 5), (6, 6), (86, 150), (400, 600)])
def test_few_clips_are_tested_by_the_binomial_distribution(only_a, only_b):
    stats = pytest.importorskip("scipy.stats")
    n = only_a + only_b
    right = stats.binomtest(only_a, n, 0.5).pvalue if n else 1.0
    assert mcnemar_test(only_a, only_b)["p"] == pytest.approx(right, rel=1e-3)


def test_many_clips_are_tested_by_chi_squared():
    stats = pytest.importorskip("scipy.stats")
    got = mcnemar_test(700, 800)
    assert got["method"] == "chi2"
    assert got["p"] == pytest.approx(stats.chi2.sf((100 - 1) ** 2 / 1500, 1), rel=1e-3)


def test_what_made_the_runs_is_told_where_it_differs():
    a, b = ({"path": "x", "label": "Sad", "head": "afew7", "recipe": r} for r in ("1f", "2e"))
    clips = pair_runs(predictions_in([Row("a", 1, a)]), predictions_in([Row("b", 1, b)]))
    assert compare_runs(clips, FEW)["made_by"] == {"recipe": {"a": ["1f"], "b": ["2e"]}}


def test_every_format_names_the_flips_and_escapes_what_it_must():
    got = FULL | compared([("a&b|_c", "Sad"), ("y", "Sad")], [("a&b|_c", "Happy"), ("y", "Sad")])
    assert "a&b|_c  Sad  " in FORMATS["table"](got)
    assert r"| a&b\|_c | Sad |" in FORMATS["markdown"](got)
    assert r"a\&b\textbar{}\_c & Sad &" in FORMATS["latex"](got)
    assert json.loads(FORMATS["json"](got))["flips"][0]["path"] == "a&b|_c"


def test_a_page_shows_the_first_flips_and_says_that_there_are_more():
    a, b = ([(f"{n:02}", label) for n in range(30)] + [("z", "Sad")] for label in ("Sad", "Happy"))
    text = FORMATS["table"](FULL | compared(a, b))
    assert "20 of 30 flips; JSON has all" in text
    assert "\n19  " in text and "\n20  " not in text
