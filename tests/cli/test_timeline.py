"""videmo timeline: rows of persons in time, for every input, whatever stops the run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from videmo.people.names import file_names
from videmo.runs.inputs import Clip
from videmo.write.schema import json_schema

FAST = ("--fps", "4", "--head", "lite0_faces", "-q")


@pytest.fixture
def clips(tmp_path: Path, demo: Path) -> Path:
    """A folder with a clip of persons, one that is none, and room for results."""
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a.mp4").symlink_to(demo)
    (folder / "b.mp4").write_text("no video")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_input_has_a_row_and_windows_pool_to_what_classify_says(
    videmo_command: Any, clips: Path
) -> None:
    side_by_side = ("--window", "1", "--step", "1")
    ran = videmo_command("timeline", clips, *FAST, *side_by_side, "--faces", "all")
    assert ran.code == 1
    validator = jsonschema.Draft202012Validator(json_schema("timeline"))
    for record in ran.records:
        validator.validate(record)
    *found, broken = ran.records
    assert broken["status"] == "error" and broken["person"] is None
    assert {row["person"] for row in found} == {1, 2} == {*range(1, found[0]["persons"] + 1)}
    whole = videmo_command("classify", clips, *FAST, "--faces", "all").records[0]
    faces = sum(row["faces"] for row in found)
    assert faces == whole["faces"]
    for label, share in whole["scores"].items():
        pooled = sum(row["scores"][label] * row["faces"] for row in found) / faces
        assert pooled == pytest.approx(share, abs=2e-6), "both are rounded to 1e-6"


def test_jobs_shards_and_a_run_that_went_on_make_the_same_file(
    videmo_command: Any, clips: Path, tmp_path: Path
) -> None:
    (clips / "c.mp4").symlink_to(clips / "a.mp4")
    given = ("timeline", clips, *FAST)
    whole, again = tmp_path / "whole.csv", tmp_path / "again.csv"
    assert videmo_command(*given, "-j", "2", "-o", whole).code == 1
    one = videmo_command("timeline", clips / "a.mp4", clips / "b.mp4", *FAST, "-o", again)
    assert one.code == 1
    assert videmo_command(*given, "-o", again, "--resume").code == 1
    assert again.read_bytes() == whole.read_bytes()
    parts = [tmp_path / f"part-{k}.csv" for k in (1, 2)]
    for k, part in enumerate(parts, 1):
        videmo_command(*given, "--shard", f"{k}/2", "-o", part)
    merged = tmp_path / "merged.csv"
    ran = videmo_command("merge", *parts, "-o", merged, "--expect", clips)
    assert merged.read_bytes() == whole.read_bytes(), ran.err
    other = videmo_command(*given, "--by", "segment", "-o", again, "--resume")
    assert other.code == 1 and "window 1/0.5 -> segment" in other.err


def test_a_folder_gets_a_file_for_each_clip_and_an_index(
    videmo_command: Any, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "subtitles"
    ran = videmo_command("timeline", clips, *FAST[:-1], "--out-dir", out, "-f", "srt")
    assert ran.code == 1 and "b.mp4: nobody to tell of" in ran.err
    assert (out / "a.srt").read_text().startswith("1\n00:00:00,000 --> ")
    assert (out / "b.srt").read_text() == ""
    assert {row["status"] for row in rows(out / "timeline.csv")} == {"ok", "error"}
    again = videmo_command("timeline", clips, *FAST, "-o", f"{out}/", "-f", "srt")
    assert again.code == 1 and "is there already" in again.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["-o", "x.srt"], "give --out-dir DIR -f srt"),
        (["-f", "eaf", "--out-dir", "d", "--by", "window", "--step", "0.5"], "nothing overlaps"),
        (["-f", "fex", "--by", "segment"], "fex has a row a frame"),
        (["--out-dir", "d"], "--out-dir wants --format"),
        (["--out-dir", "d/e/f/", "-o", "x.csv"], "two places"),
        (["--head", "vgaf3"], "reads whole clips"),
        (["--window", "1", "--step", "2"], "leaves moments out"),
        (["-o", "missing/x.csv"], "its folder is not there"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_any_work(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, given: list[str], said: str
) -> None:
    from videmo.cli import main

    monkeypatch.chdir(clips)
    with pytest.raises(SystemExit) as stopped:
        main(["timeline", "a.mp4", "b.mp4", *given])
    err = capsys.readouterr().err
    assert stopped.value.code in (1, 2) and said in err
    assert sorted(path.name for path in clips.iterdir()) == ["a.mp4", "b.mp4"]


def test_files_of_clips_of_one_name_are_told_apart() -> None:
    clips = [Clip("x/a.mp4"), Clip("y/a.mov"), Clip("z/a.mov"), Clip("a.mp4", 60, 75.5), Clip("-")]
    assert [*file_names(clips, ".srt").values()] == [
        "a.srt", "a.mov.srt", "a.mov.2.srt", "a.60-75.5.srt", "-.srt",
    ]  # fmt: skip
    assert file_names([Clip("timeline.mp4")], ".csv", taken=("timeline.csv",)) == {
        Clip("timeline.mp4"): "timeline.mp4.csv"
    }
    assert json.dumps([*file_names([Clip("s3://b/c.mp4?v=1")], ".vtt").values()]) == '["c.vtt"]'


def test_classify_tells_a_row_a_person_and_abstains(videmo_command: Any, clips: Path) -> None:
    ran = videmo_command("classify", clips, *FAST, "--per", "person", "--abstain", "0.9")
    first, second, broken = ran.records
    assert (first["person"], first["label"], first["start"]) == (1, "happiness", 0)
    assert (second["person"], second["label"]) == (2, None) and second["scores"]
    assert broken["status"] == "error"


def test_rises_are_told_above_a_baseline(videmo_command: Any, demo: Path) -> None:
    given = ("timeline", demo, *FAST, "--by", "person", "--baseline", "5-6")
    first, second = videmo_command(*given).records
    assert first["by"] == "person, baseline 5-6" and {*first["rises"]} == {*first["scores"]}
    assert abs(first["rises"]["happiness"]) < 1 and second["rise"] is None


def test_faces_that_are_left_out_are_counted_in_every_row(
    videmo_command: Any, demo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    given = ("--by", "person", "--min-quality", "side=170", "-o", out)
    assert videmo_command("timeline", demo, *FAST, *given).code == 0
    (told,) = rows(out)  # the smaller of the two persons is left out
    assert int(told["left_out"]) > 0 and float(told["side"]) >= 170
