"""--shard and merge as a shell sees them: shards put together are the one run, byte for byte."""

from __future__ import annotations

import json
import os

import pytest
from clips import make

FAST = ("--every", "25", "-q")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips without a face in three folders, one that is damaged, and a list with parts of one."""
    root = tmp_path_factory.mktemp("shards")
    for n, name in enumerate(["a.mp4", "b/x.mp4", 'b/"q", z.mp4', "b-1.mp4"]):
        (root / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        make(root / "clips" / name, 10 + n)
    (root / "clips" / "bad.mp4").write_text("no video")
    rows = ["b/x.mp4,0.2,", "a.mp4,,", "bad.mp4,,", "b/x.mp4,,0.2", "b-1.mp4,,"]
    (root / "clips" / "list.csv").write_text("path,start,end\n" + "\n".join(rows))
    return root


@pytest.fixture(scope="module")
def parts(videmo_command, folder):
    """Two shards of the folder, each said by another scheduler, and the one run."""
    said = [{"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_MAX": "7",
             "SLURM_ARRAY_TASK_COUNT": "2"}, {"RANK": "1", "WORLD_SIZE": "2"}]  # fmt: skip
    runs = [
        videmo_command("classify", folder / "clips", "--shard", "auto", "--out", f"{n}.ndjson",
                       *FAST[:2], cwd=folder, env={**clean(), **env})
        for n, env in enumerate(said)
    ]  # fmt: skip
    runs.append(videmo_command("classify", folder / "clips", "--out", "whole.ndjson", *FAST,
                               cwd=folder))  # fmt: skip
    assert {run.code for run in runs} == {0, 1}, "the shard with the damaged clip says so"
    return runs


def clean():
    names = ("SLURM", "SGE", "RANK", "WORLD", "OMPI", "PBS", "JOB_COMPLETION", "VIDEMO_SHARDS")
    return {k: v for k, v in os.environ.items() if not k.startswith(names)}


def test_each_shard_says_how_many_clips_it_has(parts):
    lines = [
        next(line for line in run.err.splitlines() if line.startswith("videmo: shard"))
        for run in parts[:2]
    ]
    found = [int(line.split(": ")[2].split()[0]) for line in lines]
    assert lines[0].startswith("videmo: shard 1 of 2 (SLURM_ARRAY_TASK_ID 5): ")
    assert lines[1].startswith("videmo: shard 2 of 2 (RANK 1): ")
    assert sum(found) == 5 and min(found) > 0
    assert all(line.endswith(" of 5 clips") for line in lines)


def test_ndjson_of_shards_is_that_of_one_run(videmo_command, folder, parts):
    ran = videmo_command("merge", "1.ndjson", "0.ndjson", "--expect", "clips", cwd=folder)
    assert ran.code == 0
    assert ran.out.encode(errors="surrogateescape") == (folder / "whole.ndjson").read_bytes()
    assert ran.err.endswith("videmo: 5 clips from 2 files: 4 no_face, 1 error\n")


def test_csv_of_a_manifest_with_parts_of_clips_is_that_of_one_run(videmo_command, folder):
    listed = ("--manifest", "clips/list.csv", *FAST)
    videmo_command("classify", *listed, "--out", "whole.csv", cwd=folder)
    for k in range(1, 5):  # so many that some have no part of a clip
        videmo_command("classify", *listed, "--shard", f"{k}/4", "--out", f"{k}.csv", cwd=folder)
    headers = {(folder / f"{k}.csv").read_text().splitlines()[0][-9:] for k in range(1, 5)}
    assert len(headers) > 1, "a shard without parts of clips has no columns start and end"
    names = [f"{k}.csv" for k in range(1, 5)]
    ran = videmo_command(
        "merge", *names, "--out", "all.csv", "--expect", "clips/list.csv", cwd=folder
    )
    assert (ran.code, ran.out) == (0, "")
    assert (folder / "all.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def test_a_shard_that_is_missing_fails_and_writes_nothing(videmo_command, folder, parts):
    arguments = ("merge", "0.ndjson", "--out", "half.ndjson", "--expect", "clips")
    ran = videmo_command(*arguments, cwd=folder)
    assert (ran.code, ran.out) == (1, "")
    assert "of 5 expected clips are; run their shards again" in ran.err
    assert not (folder / "half.ndjson").exists()
    ran = videmo_command(*arguments, "--partial", cwd=folder)
    assert ran.code == 1 and " missing" in ran.err
    assert (folder / "half.ndjson").read_bytes() == (folder / "0.ndjson").read_bytes()


def test_an_empty_shard_is_no_error(videmo_command, folder):
    shares = [videmo_command("classify", "clips/a.mp4", "--shard", f"{k}/2", *FAST[:2], cwd=folder)
              for k in (1, 2)]  # fmt: skip
    empty = next(ran for ran in shares if not ran.out)
    assert empty.code == 0
    assert "0 of 1 clips; the output has no records" in empty.err
    assert [len(ran.records) for ran in shares if ran.out] == [1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["merge"], 2, "Usage"),
        (["merge", "no.csv"], 2, "no.csv: cannot be read"),
        (["merge", "cut.ndjson"], 1, "cut.ndjson:2: the last record is cut off"),
        (["merge", "two.ndjson", "ok.ndjson"], 1, "ok.ndjson:1: recipe is c3, in two.ndjson:1 d4"),
        (["merge", "ok.ndjson", "--expect", "a.csv", "--expect", "b.csv"], 2, "two manifests"),
        (["merge", "ok.ndjson", "--expect", "no/*.mp4"], 3, "no clip"),
        (["classify", "a.mp4", "--shard", "3/2"], 2, "no shard 3/2"),
        (["classify", "a.mp4", "--shard", "auto"], 2, "none of SLURM_ARRAY_TASK_ID"),
    ],
)
def test_exit_codes_tell_what_went_wrong(videmo_command, tmp_path, arguments, code, says):
    made = {"provenance": {"recipe": "c3"}, "label": None}
    line = json.dumps({"path": "a.mp4", "status": "ok", **made}) + "\n"
    (tmp_path / "ok.ndjson").write_text(line)
    (tmp_path / "cut.ndjson").write_text(line + line[:40])
    (tmp_path / "two.ndjson").write_text(line.replace("c3", "d4"))
    ran = videmo_command(*arguments, cwd=tmp_path, env=clean())
    assert ran.code == code
    assert says in ran.err + ran.out
    assert "Traceback" not in ran.err
