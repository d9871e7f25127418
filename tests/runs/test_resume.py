"""An output that is whole is gone on with where it lacks clips, and refused where it is another."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import toys

from videmo.cli import exit_code, videmo
from videmo.errors import InputGone, OutputError, VidemoError
from videmo.runs.inputs import Clip
from videmo.runs.journal import SUFFIX
from videmo.runs.resume import RECEIPT
from videmo.write import load_features

RED, GREEN = (200, 40, 40), (40, 200, 40)


@dataclass
class Told:
    """What a command did in this process."""

    code: int
    err: str


Command = Callable[..., Told]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command on clips/ in a folder of the test's own, with a network that needs no time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name, colour in {"a": RED, "b": GREEN, "c": RED}.items():
        toys.clip(tmp_path / "clips" / f"{name}.gif", [colour] * 3)
    toys.network(tmp_path / "red", "emotion")

    def run(*given: str) -> Told:
        capsys.readouterr()
        try:
            videmo.main(list(given), standalone_mode=False)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Told(code, capsys.readouterr().err)

    return run


def classify(*more: str, out: str = "out.csv") -> list[str]:
    return ["classify", "clips", "--head", "./red", "--out", out, *more]


def extract(*more: str, out: str = "out.npz") -> list[str]:
    return ["extract-features", "clips", "--backbone", "./red", "--out", out, *more]


def test_a_whole_output_stays_as_it_is(command: Command) -> None:
    assert command(*classify()).code == 0
    before = os.stat("out.csv").st_mtime_ns
    again = command(*classify("--resume"))
    assert again.code == 0 and "out.csv is complete" in again.err
    assert os.stat("out.csv").st_mtime_ns == before
    assert sorted(os.listdir()) == ["clips", "out.csv", f"out.csv{RECEIPT}", "red"]


@pytest.mark.parametrize("out", ["out.csv", "out.tsv", "out.ndjson", "out.json", "out.parquet"])
def test_clips_that_were_added_are_done_and_the_bytes_are_those_of_one_run(
    command: Command, out: str
) -> None:
    if out.endswith("parquet"):
        pytest.importorskip("pyarrow")
    os.rename("clips/b.gif", "b.gif")
    assert command(*classify(out=out)).code == 0
    os.rename("b.gif", "clips/b.gif")
    more = command(*classify("--resume", out=out))
    assert more.code == 0 and "2 of 3 clips are done already" in more.err
    assert command(*classify(out=f"whole-{out}")).code == 0
    assert Path(out).read_bytes() == Path(f"whole-{out}").read_bytes()
    assert "complete" in command(*classify("--resume", out=out)).err
    assert not os.path.exists(out + SUFFIX) and not list(Path().glob(".videmo-*"))


@pytest.mark.parametrize("out", ["out.npz", "out.parquet", "out.csv", "out.tsv"])
def test_features_of_added_clips_are_added(command: Command, out: str) -> None:
    if out.endswith("parquet"):
        pytest.importorskip("pyarrow")
    os.rename("clips/b.gif", "b.gif")
    frames = () if out.endswith("sv") else ("--frames",)
    assert command(*extract(*frames, out=out)).code == 0
    os.rename("b.gif", "clips/b.gif")
    assert command(*extract(*frames, "--resume", out=out)).code == 0
    assert command(*extract(*frames, out=f"whole-{out}")).code == 0
    if not out.endswith("parquet"):
        assert Path(out).read_bytes() == Path(f"whole-{out}").read_bytes()
    if not frames:
        return
    assert load_features(out).path.tolist() == [f"clips/{name}.gif" for name in "abc"]


def test_what_failed_is_tried_again_and_a_good_row_is_not(command: Command) -> None:
    shutil.move("clips/b.gif", "b.gif")
    Path("clips/b.gif").write_bytes(b"half of it")
    assert command(*classify()).code == 1
    shutil.move("b.gif", "clips/b.gif")
    again = command(*classify("--resume"))
    assert again.code == 0 and "2 of 3 clips are done already" in again.err
    assert command(*classify(out="whole.csv")).code == 0
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_what_fails_again_keeps_its_row(command: Command) -> None:
    Path("clips/b.gif").write_bytes(b"no picture")
    assert command(*classify()).code == 1
    before = Path("out.csv").read_bytes()
    again = command(*classify("--resume"))
    assert again.code == 1 and "2 of 3 clips are done already" in again.err
    assert Path("out.csv").read_bytes() == before


def other_head() -> list[str]:
    toys.network(Path("blue"), "emotion", "valence_arousal")
    return ["--head", "./blue"]


def replaced() -> list[str]:
    toys.clip(Path("clips/b.gif"), [GREEN] * 5)
    return []


def replaced_of_the_same_age() -> list[str]:
    before = os.stat("clips/b.gif")
    toys.clip(Path("clips/b.gif"), [GREEN, RED, GREEN])
    os.utime("clips/b.gif", ns=(before.st_atime_ns, before.st_mtime_ns))
    return []


def gone() -> list[str]:
    os.unlink("clips/b.gif")
    return []


DIFFERENT: dict[str, Callable[[], list[str]]] = {
    "head red -> blue": other_head,
    "sampling.fps None -> 5": lambda: ["--fps", "5"],
    "--top None -> 1": lambda: ["--top", "1"],
    "holds clips/a.gif and 2 more, which is not asked for": lambda: ["--end", "0.1"],
    "clips/b.gif has changed since": replaced,
    "bytes); --overwrite makes all again": replaced_of_the_same_age,
    "holds clips/b.gif, which is not asked for now": gone,
    "detection.faces largest -> all": lambda: ["--faces", "all"],
}


@pytest.mark.parametrize("said", DIFFERENT)
def test_a_difference_is_named_and_refused(command: Command, said: str) -> None:
    assert command(*classify()).code == 0
    before = Path("out.csv").read_bytes()
    with pytest.raises(OutputError) as error:
        command(*classify("--resume", *DIFFERENT[said]()))
    assert said in str(error.value) and "--overwrite" in str(error.value)
    assert Path("out.csv").read_bytes() == before and not os.path.exists(f"out.csv{SUFFIX}")


FROM_ROWS = ("head red -> blue", "clips/b.gif has changed since", "holds clips/b.gif, which")


@pytest.mark.parametrize("said", [s for s in DIFFERENT if s.startswith(FROM_ROWS)])
def test_an_output_without_its_receipt_is_known_by_its_rows(command: Command, said: str) -> None:
    assert command(*classify()).code == 0
    os.unlink(f"out.csv{RECEIPT}")
    more = DIFFERENT[said]()
    later = os.stat("out.csv").st_mtime_ns + 10**9
    if os.path.exists("clips/b.gif") and not more:
        os.utime("clips/b.gif", ns=(later, later))
    with pytest.raises(OutputError) as error:
        command(*classify("--resume", *more))
    assert said in str(error.value)


def test_frames_that_are_asked_for_later_are_a_difference(command: Command) -> None:
    assert command(*extract()).code == 0
    with pytest.raises(OutputError, match="--frames False -> True"):
        command(*extract("--frames", "--resume"))
    os.unlink(f"out.npz{RECEIPT}")
    with pytest.raises(OutputError, match="--frames False -> True"):
        command(*extract("--frames", "--resume"))


def test_labels_that_were_changed_are_a_difference_of_features(command: Command) -> None:
    Path("list.csv").write_text("path,label\nclips/a.gif,Sad\n")
    given = ["extract-features", "--manifest", "list.csv", "--backbone", "./red", "--out", "f.npz"]
    assert command(*given).code == 0
    Path("list.csv").write_text("path,label\nclips/a.gif,Happy\n")
    with pytest.raises(OutputError, match=r"Sad.*->.*Happy"):
        command(*given, "--resume")


def test_an_output_of_somebody_else_is_not_gone_on_with(command: Command) -> None:
    Path("out.csv").write_text("name,mood\nme,fine\n")
    with pytest.raises(OutputError, match="cannot be gone on with"):
        command(*classify("--resume"))
    assert Path("out.csv").read_text() == "name,mood\nme,fine\n"


def test_a_table_is_not_read_back(command: Command) -> None:
    assert command(*classify(out="out.txt")).code == 0
    with pytest.raises(OutputError, match="table is to be looked at"):
        command(*classify("--resume", out="out.txt"))


def test_another_run_is_not_gone_on_with(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(command, monkeypatch, classify())
    with pytest.raises(OutputError, match=r"of another run \(sampling.fps None -> 5"):
        command(*classify("--resume", "--fps", "5"))
    with pytest.raises(OutputError, match="a run was stopped here"):
        command(*classify())
    assert command(*classify("--resume")).code == 0


def test_a_run_that_adds_can_be_stopped_and_gone_on_with(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "bc":
        os.rename(f"clips/{name}.gif", f"{name}.gif")
    assert command(*classify()).code == 0
    for name in "bc":
        os.rename(f"{name}.gif", f"clips/{name}.gif")
    before = Path("out.csv").read_bytes()
    stopped(command, monkeypatch, classify("--resume"))
    assert Path("out.csv").read_bytes() == before
    again = command(*classify("--resume"))
    assert again.code == 0 and "2 of 3 clips are done already" in again.err
    assert command(*classify(out="whole.csv")).code == 0
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_a_run_whose_folder_is_renamed_stops_and_goes_on_when_it_is_back(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videmo.runs.journal import Journal

    add = Journal.add

    def renaming(*given: object) -> None:
        add(*given)  # type: ignore[arg-type]
        os.rename("clips", "away")

    with monkeypatch.context() as patch, pytest.raises(InputGone, match="clips: is not there any"):
        patch.setattr(Journal, "add", renaming)
        command(*classify())
    assert not os.path.exists("out.csv") and os.path.exists(f"out.csv{SUFFIX}")
    os.mkdir("clips")  # as the empty folder that a disk was mounted on
    with pytest.raises(VidemoError):
        command(*classify("--resume"))
    os.rmdir("clips")
    os.rename("away", "clips")
    again = command(*classify("--resume"))
    assert again.code == 0 and "1 of 3 clips are done already" in again.err
    assert command(*classify(out="whole.csv")).code == 0
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_a_clip_that_changes_once_it_was_read_keeps_its_record(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videmo.runs.journal import Journal

    add = Journal.add

    def changing(journal: Journal, clip: Clip, *given: Any) -> None:
        add(journal, clip, *given)
        if clip.path.endswith("a.gif"):
            os.unlink(clip.path)
        elif clip.path.endswith("b.gif"):
            Path(clip.path).write_bytes(b"another")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", changing)
        assert command(*classify()).code == 0
    assert Path("out.csv").read_text().count(",ok,") == 3
    with pytest.raises(OutputError, match=r"holds clips/a.gif, which is not asked for"):
        command(*classify("--resume"))
    named = [f"clips/{name}.gif" for name in "abc"]
    with pytest.raises(OutputError, match=r"clips/b.gif has changed since"):
        command("classify", *named, "--head", "./red", "--out", "out.csv", "--resume")


@pytest.mark.parametrize("out", ["nowhere/out.csv", "clips", "link.csv"])
def test_a_place_that_cannot_be_written_is_told_before_any_work(command: Command, out: str) -> None:
    os.symlink("nowhere/out.csv", "link.csv")
    with pytest.raises(OutputError, match=r"its folder is not there|is a folder"):
        command(*classify("--format", "csv", out=out))
    assert not list(Path().glob(f"**/*{SUFFIX}"))


def test_a_receipt_of_somebody_else_stays(command: Command) -> None:
    Path(f"out.csv{RECEIPT}").write_text("two coffees")
    with pytest.raises(OutputError, match="is no receipt of videmo"):
        command(*classify())
    assert Path(f"out.csv{RECEIPT}").read_text() == "two coffees"


def test_a_folder_that_was_never_there_costs_its_clips_rows_alone(command: Command) -> None:
    given = ["classify", "clips/a.gif", "nowhere/b.gif", "--head", "./red", "--out", "out.csv"]
    assert command(*given).code == 1
    assert "no such file" in Path("out.csv").read_text()


def stopped(command: Command, monkeypatch: pytest.MonkeyPatch, given: list[str]) -> None:
    """Run a command whose second clip finds the disk full."""
    from videmo.runs.journal import Journal

    add = Journal.add
    left = [None]

    def once(*given: object) -> None:
        if not left:
            raise OutputError("the journal", "the disk is full")
        left.pop()
        add(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(VidemoError):
        patch.setattr(Journal, "add", once)
        command(*given)


def test_the_first_failure_ends_a_run_that_is_to_end_there_and_it_goes_on(command: Command) -> None:
    for name in ("b", "bb"):
        Path("clips", f"{name}.gif").write_bytes(b"no picture")
    with pytest.raises(VidemoError, match="stopped at the first clip that failed") as end:
        command(*classify("--fail-fast", out="out.ndjson"))
    assert exit_code(end.value) == 1
    assert not os.path.exists("out.ndjson") and os.path.exists("out.ndjson.journal")
    toys.clip(Path("clips/b.gif"), [GREEN] * 3)
    toys.clip(Path("clips/bb.gif"), [GREEN] * 3)
    assert command(*classify("--resume", "--fail-fast", out="out.ndjson")).code == 0
    assert command(*classify(out="whole.ndjson")).code == 0
    assert Path("out.ndjson").read_bytes() == Path("whole.ndjson").read_bytes()


def test_the_first_failure_ends_records_that_nobody_goes_on_with(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("clips/b.gif").write_bytes(b"no picture")
    given = ["classify", "clips", "--head", "./red", "--format", "ndjson", "--fail-fast"]
    with pytest.raises(SystemExit) as end:
        videmo.main(given, standalone_mode=False)
    said = capsys.readouterr()
    assert end.value.code == 1 and "stopped at the first clip that failed" in said.err
    assert [json.loads(line)["status"] for line in said.out.splitlines()] == ["ok", "error"]


def test_another_version_of_a_library_is_told_and_stops_no_run(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_version(version: str) -> None:
        monkeypatch.setattr("videmo.pipeline.clips.versions", lambda *modules: {"opencv": version})

    whole = Path("clips/b.gif").read_bytes()
    for out in ("out.ndjson", "out.csv", "out.parquet"):
        with_version("4.14")
        Path("clips/b.gif").write_bytes(b"no picture")
        with pytest.raises(VidemoError, match="--fail-fast"):
            command(*classify("--fail-fast", out=out))
        with_version("5.0")
        Path("clips/b.gif").write_bytes(whole)
        assert command(*classify("--resume", out=out)).code == 0
        toys.clip(Path(f"clips/{out}.gif"), [GREEN])
        assert command(*classify("--resume", out=out)).code == 0, "a whole output, too"
    told = [json.loads(line)["provenance"] for line in Path("out.ndjson").read_text().splitlines()]
    assert [made["libraries"] for made in told] == ["opencv 4.14", *["opencv 5.0"] * 3]
    assert "libraries" not in Path("out.csv").read_text()
    parts = [f"{name}.ndjson" for name in ("a", "b")]
    for part, version in zip(parts, ("4.14", "5.0"), strict=True):
        with_version(version)
        assert command("classify", f"clips/{part[0]}.gif", "--head", "./red", "-o", part).code == 0
    assert command("merge", *parts, "-o", "both.ndjson").code == 0
