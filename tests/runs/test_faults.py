"""Broken clips, files that vanish, odd names and crowds: each input keeps its own true record."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import faults
import interrupted
import numpy as np
import pytest
from crowd import Crowd, crowd
from faults import RUNS, Mutant, Ran, Verdict, judge, mutants

from videmo.errors import VideoError
from videmo.pipeline import Pipeline, load
from videmo.runs.batch import classify
from videmo.runs.inputs import find_clips
from videmo.runs.journal import SUFFIX
from videmo.stages.decode import Sampling, open_video
from videmo.write.escape import unescaped
from videmo.write.npz import load_features


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return faults.good(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load("afew7", detection={"detector": "whole"}).prepare()


def found(made: list[Mutant], run: str) -> Verdict:
    """Return the verdict over mutants that one run of the command has read."""
    decoder, every = RUNS[run]
    paths = [mutant.path for mutant in made]
    ran = faults.classify(paths, "--decoder", decoder, "--every", str(every))
    return judge(made, ran, faults.counted(paths, decoder, every))


def test_the_good_clips_are_good(good: list[Path]) -> None:
    assert len(good) >= 6  # kinds; the others' encoders are not in every build of FFmpeg
    for path in good:
        with open_video(path) as video:
            assert sum(map(len, video.read(Sampling()))) == faults.FRAMES, path.name


@pytest.mark.parametrize(("run", "seed"), [("auto", 0), ("decord", 1), ("auto, sparse", 2)])
def test_a_broken_clip_costs_its_own_record_and_no_record_lies(
    tmp_path: Path, good: list[Path], run: str, seed: int
) -> None:
    verdict = found(mutants(tmp_path, good, 20, seed), run)
    assert verdict.faults == verdict.died == verdict.unforeseen == []
    assert set(verdict.statuses) == {"ok", "error"}  # or this test proves nothing


@pytest.mark.slow  # a minute or two
@pytest.mark.parametrize("run", RUNS)
def test_five_hundred_broken_clips(tmp_path: Path, good: list[Path], run: str) -> None:
    verdict = found(mutants(tmp_path, good, 500, 3), run)
    assert verdict.tried == 500 and verdict.faults == []


@pytest.fixture(scope="module")
def tried(
    tmp_path_factory: pytest.TempPathFactory, good: list[Path]
) -> tuple[list[Mutant], Ran, list[int | None]]:
    """Return one clip as it is, one that is no clip, and what a run said of them."""
    folder = tmp_path_factory.mktemp("tried")
    (folder / "whole.mp4").write_bytes(good[0].read_bytes())
    (folder / "empty.mp4").touch()
    made = [Mutant(folder / "whole.mp4", good[0], "nothing"),
            Mutant(folder / "empty.mp4", good[0], "empty")]  # fmt: skip
    ran = faults.classify([mutant.path for mutant in made], jobs=0)
    return made, ran, [faults.FRAMES, 0]


LIES: dict[str, tuple[int, dict[str, Any]]] = {  # what the judge says, of which changed record
    "has 20 frames, another reading 19": (0, {}),
    "is an answer without a frame": (0, {"frames": 0, "face_frames": 0}),
    "does not agree with itself": (0, {"face_frames": 21}),
    "has the scores": (0, {"scores": {"Happy": 0.4, "Sad": 0.4}, "label": "Sad"}),
    "has a label that is not the most probable": (0, {"scores": {"Happy": 0.6, "Sad": 0.4},
                                                      "label": "Sad"}),
    "is called": (0, {"path": "another.mp4"}),
    "is an answer without": (1, {"status": "no_face", "error": None}),
    "is an error with an answer": (1, {"label": "Happy"}),
    "says nothing": (1, {"error": {"type": "VideoError", "message": " "}}),
    "took too long": (1, {"error": {"type": "ClipTimeout", "message": "late"}}),
}  # fmt: skip


@pytest.mark.parametrize("said", LIES)
def test_the_judge_sees_a_lie(tried: Any, said: str) -> None:
    made, ran, counts = tried
    number, changed = LIES[said]
    records = [record | changed if i == number else record for i, record in enumerate(ran.records)]
    if not changed:
        counts = [19, 0]
    assert judge(made, ran, tried[2]).faults == []
    assert any(said in fault for fault in judge(made, replace(ran, records=records), counts).faults)


def test_the_judge_sees_what_the_whole_run_does(tried: Any) -> None:
    made, ran, counts = tried
    assert judge(made, replace(ran, code=0), counts).lies == ["exit code 0, which the records "
                                                             "do not say"]  # fmt: skip
    assert judge(made, replace(ran, code=-11), counts).crashes
    assert judge(made, replace(ran, err="Traceback (most recent call last):"), counts).crashes
    assert judge(made, replace(ran, code=None), counts).hangs
    assert judge(made, replace(ran, records=ran.records[:1]), counts).missing
    copy = replace(made[0], path=made[1].path.with_name("copy.mp4"), how="one byte")
    copy.path.write_bytes(made[0].path.read_bytes())
    records = [ran.records[0], ran.records[0] | {"path": str(copy.path), "duration": 9.0}]
    lies = judge([made[0], copy], replace(ran, code=0, records=records), [20, 20]).lies
    assert lies == ["copy.mp4: has the bytes of another clip, and not its record"]


@pytest.mark.parametrize(
    ("decoder", "most"),
    [
        ("auto", 40_000),  # bytes of a file: those that take no time
        ("decord", 40_000),
        pytest.param("auto", None, marks=pytest.mark.slow),
        pytest.param("decord", None, marks=pytest.mark.slow),
    ],
)
def test_odd_files_are_read_or_told(shared: Path, decoder: str, most: int | None) -> None:
    files = sorted(path for path in (shared / "clips/odd").rglob("*") if path.is_file())
    files = [path for path in files if most is None or path.stat().st_size <= most]
    made = [Mutant(path, path, "as it is") for path in files]
    ran = faults.classify(files, "--decoder", decoder, "--every", "3")
    verdict = judge(made, ran, faults.counted(files, decoder, 3))
    assert verdict.faults == verdict.died == verdict.unforeseen == []
    assert len(files) > 30 and set(verdict.statuses) == {"ok", "error"}


def test_a_clip_that_vanishes_before_it_is_read_is_told(
    tmp_path: Path, good: list[Path], pipeline: Pipeline
) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(good[0], tmp_path / name)
    records = classify(find_clips([tmp_path]), pipeline)
    first = next(records)
    (tmp_path / "b.mp4").unlink()
    (tmp_path / "c.mp4").unlink()
    (tmp_path / "c.mp4").mkdir()
    second, third = records
    assert first["status"] == "ok"
    assert second["error"]["message"] == "no such file; check the path"
    assert "folder" in third["error"]["message"]


def _truncate(path: Path) -> None:
    os.truncate(path, 1000)


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("decoder", ["pyav", "decord", "auto"])
@pytest.mark.parametrize("harm", [Path.unlink, _truncate, _replace_by_folder])
def test_a_clip_that_is_harmed_while_it_is_read_is_read_or_told(
    tmp_path: Path, good: list[Path], decoder: str, harm: Callable[[Path], None]
) -> None:
    for source in good:
        path = tmp_path / f"{harm.__name__} {source.name}"
        shutil.copy(source, path)
        with suppress(VideoError), open_video(path, decoder, batch_bytes=1) as video:
            frames = video.read(Sampling())
            assert next(frames).index.tolist() == [0]
            harm(path)
            rest = [int(batch.index[0]) for batch in frames]
            assert rest == sorted(set(rest))


@contextmanager
def _nobody() -> Iterator[None]:
    """Act as a user without rights, where we have more."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_clip_that_may_not_be_read_is_told(
    tmp_path: Path, good: list[Path], pipeline: Pipeline
) -> None:
    shutil.copy(good[0], tmp_path / "mine.mp4")
    clips = find_clips([tmp_path])
    (tmp_path / "mine.mp4").chmod(0)
    next(classify(find_clips([good[0]]), pipeline))  # everything is imported
    with _nobody():
        (record,) = classify(clips, pipeline)
    assert record["error"]["message"].startswith("permission denied")


NAMES = [b"line\nend", b"quote\"s'", b"tab\t", b"not utf-8 \xff", "smile 🙂".encode(), b"x" * 251,
         b"-j 3", b" a ", b"100%s", b"{0}", b"a,b;c", b"\\n", b"<b>", b"[red]"]  # fmt: skip


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory: pytest.TempPathFactory, good: list[Path]) -> Path:
    folder = tmp_path_factory.mktemp("names")
    for name in NAMES:
        try:
            shutil.copy(good[0], os.path.join(os.fsencode(folder), name + b".mp4"))
        except OSError:
            pytest.skip("this disk has no such names")
    return folder


def test_any_name_is_found_again_in_any_output(
    videmo_command: Any, oddly_named: Path, tmp_path: Path
) -> None:
    wanted = sorted(os.path.join(os.fsencode(oddly_named), name + b".mp4") for name in NAMES)
    given = [oddly_named, "--detector", "whole", "--every", "9", "-j", "2", "--out"]
    assert videmo_command("classify", *given, tmp_path / "out.csv").code == 0
    assert videmo_command("extract-features", *given, tmp_path / "out.npz").code == 0
    with open(tmp_path / "out.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = [os.fsencode(unescaped(row["path"])) for row in csv.DictReader(file)]
    table = load_features(tmp_path / "out.npz")
    assert sorted(rows) == sorted(map(os.fsencode, table.path.tolist())) == wanted
    again = videmo_command("classify", *given, tmp_path / "out.csv", "--resume")
    assert again.code == 0 and "is complete" in again.err


def test_one_name_in_two_folders_is_two_clips(
    videmo_command: Any, good: list[Path], tmp_path: Path
) -> None:
    sources = {"train": good[0], "test": faults.tiny(tmp_path / "tiny.mp4")}
    for folder, source in sources.items():
        (tmp_path / folder).mkdir()
        shutil.copy(source, tmp_path / folder / "dia0_utt0.mp4")
    given = ["train", "test", "--detector", "whole", "--frames", "--out", "both.npz", "-j", "2"]
    assert videmo_command("extract-features", *given, cwd=tmp_path).code == 0
    table = load_features(tmp_path / "both.npz")
    assert table.path.tolist() == ["train/dia0_utt0.mp4", "test/dia0_utt0.mp4"]
    assert table.frames.tolist() == [faults.FRAMES, 3]
    assert table.frame_offsets is not None and table.frame_offsets.tolist() == [0, 20, 23]
    assert not np.array_equal(table.features[0], table.features[1])


def test_a_clip_that_vanishes_once_it_was_read_keeps_its_record(
    good: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    for number in range(60):
        shutil.copy(good[0], tmp_path / "clips" / f"{number:02}.mp4")
    out = tmp_path / "out.csv"
    run = subprocess.Popen(
        [sys.executable, "-m", "videmo", "classify", str(tmp_path / "clips"), "--detector", "whole",
         "--out", str(out)],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    journal, until = Path(f"{out}{SUFFIX}"), time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b'"vector"') < 2:
        assert run.poll() is None and time.monotonic() < until, "it ended too early"
        time.sleep(0.005)
    (tmp_path / "clips" / "00.mp4").unlink()
    (tmp_path / "clips" / "01.mp4").write_bytes(b"another")
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    with out.open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["ok"] * 60


def _sound(made: Crowd, count: int) -> None:
    assert made.ordered and all(made.equal)
    assert made.whole.done == made.again.done == count
    series = made.whole.memory
    assert made.whole.peak < 300  # MB, of the parent
    assert max(series) - series[0] < 10 + count / 500  # MB; the paths themselves are kept


def test_three_hundred_clips_keep_their_order_and_are_resumed(tmp_path: Path) -> None:
    _sound(crowd(tmp_path, 300, stopped=False), 300)


@pytest.mark.slow  # minutes
def test_ten_thousand_clips_are_stopped_and_resumed(tmp_path: Path) -> None:
    made = crowd(tmp_path, 10_000)
    _sound(made, 10_000)
    assert [seen.code for seen in made.stops] == [130, -9, 0]
    assert made.again.seconds < 5  # s; 1.4 where nothing else runs


@pytest.mark.slow  # minutes
def test_interrupted_runs_end_with_the_bytes_of_one_left_alone(tmp_path: Path) -> None:
    for name in ("kills", "writers", "renamed"):
        (tmp_path / name).mkdir()
    tried = [
        *interrupted.kills(tmp_path / "kills", 8, 0),
        interrupted.writers(tmp_path / "writers", 3, 0),
        interrupted.renamed(tmp_path / "renamed", 2, 40),
    ]
    assert [each.count for each in tried] == [4, 4, 3, 2]
    assert [wrong for each in tried for wrong in each.wrong] == []


def test_a_part_without_frames_is_no_clip_without_a_face(
    videmo_command: Any, good: list[Path]
) -> None:
    ran = videmo_command("classify", good[0], "--start", "100", "--detector", "whole")
    assert ran.code == 1
    said = "has no frame where it is looked at (its picture is from 0.00 s to 4.00 s); change"
    assert ran.records[0]["error"]["message"].startswith(said)
