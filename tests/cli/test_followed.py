"""Followed faces do not depend on who else is at work, nor on how clips are shared out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PARTS = ((0, 1), (2.5, 3.5), (5, 6), (6.52, 7.3))  # of the demo; a cut at 3 s, two faces from 5 s


def test_jobs_and_shards_say_the_same_of_followed_faces(
    videmo_command: Any, demo: Path, tmp_path: Path
) -> None:
    rows = [f"{demo},{start},{end}" for start, end in PARTS]
    (tmp_path / "parts.csv").write_text("\n".join(["path,start,end", *rows]) + "\n")

    def run(name: str, *more: str) -> bytes:
        out = tmp_path / name
        ran = videmo_command(
            "extract-features", "--manifest", tmp_path / "parts.csv", "--head", "vgaf3", "--frames",
            "--fps", "12", "--out", out, *more,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        return out.read_bytes()

    whole = run("whole.npz")
    assert run("two.npz", "-j", "2", "--threads", "1") == whole
    run("part1.npz", "--shard", "1/2")
    run("part2.npz", "--shard", "2/2")
    parts = [tmp_path / "part1.npz", tmp_path / "part2.npz"]
    assert videmo_command("merge", *parts, "--out", tmp_path / "merged.npz").code == 0
    assert (tmp_path / "merged.npz").read_bytes() == whole
