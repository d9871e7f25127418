"""The command line as a shell sees it: stdout, stderr and the exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

import videmo
from videmo.cli import videmo as commands
from videmo.pipeline import load_features
from videmo.write.escape import unescaped

FAST = ("--every", "25")


@pytest.fixture
def folder(tmp_path, demo):
    """Five inputs: good, no face, empty, a git-LFS pointer, text."""
    from PIL import Image

    shutil.copy(demo, tmp_path / "good.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "pointer.mp4").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    )
    (tmp_path / "text.avi").write_text("not a video\n" * 50)
    Image.new("RGB", (64, 64)).save(tmp_path / "wall.gif")
    return tmp_path


def test_one_record_for_every_input(videmo_command, folder):
    ran = videmo_command("classify", folder, folder / "missing.mp4", *FAST)
    assert ran.code == 1
    assert {os.path.basename(r["path"]): r["status"] for r in ran.records} == {
        "empty.mp4": "error",
        "good.mp4": "ok",
        "missing.mp4": "error",
        "pointer.mp4": "error",
        "text.avi": "error",
        "wall.gif": "no_face",
    }
    *told, last = [line for line in ran.err.splitlines() if not line.startswith("videmo: note")]
    assert last == "videmo: 6 clips: 1 ok, 1 without a face, 4 failed (4 VideoError)"
    assert len(told) == 5, "one line on stderr for each input without an answer"
    assert "git lfs pull" in ran.err
    assert "Traceback" not in ran.err


def test_quiet_is_silent_on_stderr(videmo_command, folder):
    ran = videmo_command("classify", "-q", folder, *FAST)
    assert (ran.code, ran.err) == (1, "")


def test_csv_has_a_header_and_a_row_for_each(videmo_command, folder):
    ran = videmo_command("classify", folder, "--format", "csv", *FAST)
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert len(rows) == 5
    good = next(r for r in rows if r["status"] == "ok")
    assert good["label"] in videmo.load().labels
    assert sum(float(good[k]) for k in good if k.startswith("p_")) == pytest.approx(1, abs=1e-5)


def test_out_appears_whole_and_its_suffix_chooses(videmo_command, demo, tmp_path):
    out = tmp_path / "a.json"
    ran = videmo_command("classify", demo, "--end", "1", "--out", out, *FAST)
    assert (ran.code, ran.out) == (0, "")
    assert json.loads(out.read_text())[0]["status"] == "ok"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.json.receipt"]


def test_top_keeps_the_most_probable(videmo_command, demo):
    (record,) = videmo_command("classify", demo, "--top", "2", *FAST).records
    assert len(record["scores"]) == 2
    assert record["label"] == next(iter(record["scores"]))


def test_extract_features_writes_plain_arrays(videmo_command, folder, tmp_path):
    out = tmp_path / "out" / "feats.npz"
    out.parent.mkdir()
    ran = videmo_command("extract-features", folder, "--out", out, "--frames", "-q", *FAST)
    assert (ran.code, ran.out) == (1, "")
    with np.load(out, allow_pickle=False) as found:
        status = found["status"].tolist()
        good = status.index("ok")
        assert sorted(status) == ["error", "error", "error", "no_face", "ok"]
        assert np.linalg.norm(found["features"][good]) == pytest.approx(1, rel=1e-5)
        assert np.isnan(found["features"][np.arange(5) != good]).all()
        faces = np.diff(found["frame_offsets"])
        assert faces.tolist() == found["faces"].tolist()
        assert len(found["frame_features"]) == len(found["frame_box"]) == faces.sum()
        meta = json.loads(str(found["meta"]))
    learned = load_features("afew7", sampling={"every": 25})
    assert meta["recipe"] == learned.recipe.fingerprint()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["classify", "--no-such-option"], 2, "No such option"),
        (["classify", "x.mp4", "--fps", "2", "--every", "2"], 2, "give one"),
        (["classify", "x.mp4", "--start", "2", "--end", "1"], 2, "not before"),
        (["classify", "x.mp4", "--detector", "nope"], 2, "there is mtcnn"),
        (["classify", "no/such/*.mp4"], 3, "no clip"),
        (["classify", "x.mp4", "--head", "afew"], 4, "did you mean afew7"),
        (["classify", "x.mp4", "--out", "no/such/folder/a.csv"], 1, "no/such/folder"),
        (["extract-features", "x.mp4"], 2, "--out"),
    ],
)
def test_exit_codes_tell_what_went_wrong(videmo_command, arguments, code, says):
    ran = videmo_command(*arguments)
    assert ran.code == code
    assert says in ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err


def test_a_list_on_stdin_and_names_of_any_bytes(videmo_command, demo, tmp_path):
    odd = os.fsencode(tmp_path) + b"/new\nline \xff \xe2\x82\xac'.mp4"
    shutil.copy(demo, odd)
    ran = videmo_command(
        "classify", "--files0-from", "-", "--end", "0.2", stdin=odd + b"\0" + b"missing.mp4\0"
    )
    assert [r["status"] for r in ran.records] == ["ok", "error"]
    assert os.fsencode(unescaped(ran.records[0]["path"])) == odd


def test_a_manifest_names_parts_of_clips(videmo_command, demo, tmp_path):
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"path,start,end\n{demo},0,0.2\n{demo},3,3.2\n")
    ran = videmo_command("classify", "--manifest", manifest)
    assert [(r["start"], r["frames"]) for r in ran.records] == [(0, 5), (3, 5)]


def long_run(demo: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a run of 500 parts, which ends long after its first record was read."""
    manifest = folder / "list.csv"
    rows = "".join(f"{demo},0,{i / 100 + 1}\n" for i in range(500))
    manifest.write_text("path,start,end\n" + rows)
    command = [sys.executable, "-m", "videmo", "classify", "--manifest", str(manifest)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def test_a_closed_pipe_is_silent(demo, tmp_path):
    with long_run(demo, tmp_path) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.read(1) == b"{"
        running.stdout.close()  # as `head -c 1` does
        assert running.stderr.read() == b""
    assert running.returncode == 141


def test_an_interrupt_leaves_whole_records_and_says_130(demo, tmp_path):
    running = long_run(demo, tmp_path)
    assert running.stdout is not None
    first = running.stdout.readline()
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    rest, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"interrupted" in err
    assert b"Traceback" not in err
    for line in (first + rest).splitlines():
        assert json.loads(line)["status"] == "ok"


def test_classify_runs_without_torch(demo):
    code = (
        "import sys; from videmo.cli import main\n"
        "try: main(['classify', sys.argv[1], '--end', '0.2'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'timm', 'sklearn', 'retinaface') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, demo], capture_output=True, timeout=120)
    assert done.stdout.decode().splitlines()[-1] == "[]"


def test_every_command_has_help_that_ends_in_an_example(videmo_command):
    for command in (["classify"], ["extract-features"]):
        ran = videmo_command(*command, "--help")
        assert ran.code == 0
        assert "videmo " + command[0] in ran.out.split("Example")[1]
        assert "--help" not in ran.out.split("Example")[1], "the example stands last"


def test_the_version_is_one_line(videmo_command):
    assert videmo_command("--version").out == f"videmo {videmo.__version__}\n"


@pytest.mark.parametrize(
    ("command", "option"),
    [("classify", "--start"), ("classify", "--end"), ("classify", "--fps"), ("classify", "--score"),
     ("classify", "--clip-timeout"), ("extract-features", "--start"),
     ("attributes", "--age-offset"), ("attributes", "--age-level"), ("attributes", "--male-from"),
     ("identify", "--threshold")],
)  # fmt: skip
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_every_number_is_finite(command: str, option: str, value: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a"):
        commands.main([command, "a.mp4", f"{option}={value}"], standalone_mode=False)


def test_no_option_takes_numbers_in_another_way() -> None:
    def options(command: click.Command) -> Iterator[click.Parameter]:
        yield from command.params
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    for option in options(commands):
        assert not isinstance(option.type, (click.FloatRange, type(click.FLOAT))), option.name
