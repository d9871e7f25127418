"""The scripts in examples/ do what their first lines say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_scripts_are_short():
    for script in EXAMPLES.glob("*.py"):
        if not script.name.startswith("make_"):
            assert len(script.read_text().splitlines()) < 40, script.name


def test_the_page_of_every_name_is_what_the_docstrings_say():
    again = "make it again: python examples/make_api.py > examples/api.md"
    assert (EXAMPLES / "api.md").read_text("utf-8") == run("make_api.py"), again


def test_classify_clip_prints_every_label(demo):
    out = run("classify_clip.py", demo)
    assert "of 200 frames" in out
    assert len(out.splitlines()) == 8


def test_timeline_has_a_line_for_each_person_in_each_second(demo):
    lines = [line.split() for line in run("timeline.py", demo).splitlines()]
    told = {(float(time), who): label for time, _, _, who, label in lines if who != "-"}
    assert [second for second, who in told if who == "1"] == [0, 1, 2, 5, 6, 7]
    assert [second for second, who in told if who == "2"] == [3, 4, 5, 6, 7]
    assert {told[second, "1"] for second in (0, 1, 2)} == {"Happy"}


def test_timeline_tells_valence_and_arousal_where_the_network_does(demo, tmp_path):
    toys.network(tmp_path / "faces", "emotion", "valence_arousal")
    lines = run("timeline.py", demo, tmp_path / "faces", "overlap").splitlines()
    assert len(lines) >= 8
    assert all(re.search(r"  valence [+-]\d\.\d\d, arousal [+-]\d\.\d\d$", line) for line in lines)


def test_own_labels_learns_from_an_archive(tmp_path, rng):
    rows = np.concatenate([rng.normal(i, 0.1, (20, 8)) for i in range(2)])
    np.savez(
        tmp_path / "feats.npz",
        status=np.array(["ok"] * 40),
        features=rows.astype(np.float32),
        label=np.repeat(["calm", "tense"], 20),
        subject=np.tile([f"s{i}" for i in range(10)], 4),
    )
    assert "accuracy 1.000" in run("own_labels.py", tmp_path / "feats.npz")


def test_the_demo_can_be_made_again(tmp_path, demo):
    pytest.importorskip("matplotlib", reason="the photographs come with matplotlib, scikit-image")
    pytest.importorskip("skimage", reason="the photographs come with matplotlib, scikit-image")
    from videmo.stages.decode import Sampling, open_video

    run("make_demo.py", tmp_path / "demo.mp4")
    ours, again = (open_video(p) for p in (demo, tmp_path / "demo.mp4"))
    with ours, again:
        pairs = zip(ours.read(Sampling(every=50)), again.read(Sampling(every=50)), strict=True)
        for one, other in pairs:
            apart = np.abs(one.pixels.astype(int) - other.pixels.astype(int)).mean()
            assert apart < 2  # grey levels; encoders of different versions differ a little
