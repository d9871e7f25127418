"""attributes and identify as a shell sees them, with a network whose answers are easy to know."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videmo import store
from videmo.cli import main, videmo
from videmo.people.persons import TrackCollector, make_pipeline
from videmo.stages.heads import softmax

SIDE, CELLS = 32, 8
WHOLE = ("--detector", "whole")  # the picture is the face: quick
ETHNICITIES = (
    "white", "black", "east asian", "southeast asian", "indian", "middle eastern",
    "latino hispanic",
)  # fmt: skip
OUTPUTS = {
    "emotion": ("neutral", "happiness"),
    "age": tuple(map(str, range(100))),
    "gender": ("female", "male"),
    "ethnicity": ETHNICITIES,
    "identity": tuple(map(str, range(128))),
}


def graph(path: Path, rng: np.random.Generator) -> None:
    """Write a network: the means of 8 x 8 cells about their mean, and random sums of these.

    So two faces are alike (identity) where their pictures are, and whatever is asked has an
    answer that varies from face to face.
    """
    from onnx import TensorProto, helper, numpy_helper

    dim, node = 3 * CELLS**2, helper.make_node
    nodes = [
        node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        node("AveragePool", ["planes"], ["cells"], kernel_shape=[SIDE // CELLS] * 2,
             strides=[SIDE // CELLS] * 2),
        node("Flatten", ["cells"], ["flat"]),
        node("ReduceMean", ["flat"], ["mean"], axes=[1], keepdims=1),
        node("Sub", ["flat", "mean"], ["features"]),
    ]  # fmt: skip
    weights = []
    for name, labels in OUTPUTS.items():
        matrix = (rng.normal(size=(dim, len(labels))) / 200).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"{name}.weight"))
        nodes.append(node("MatMul", ["features", f"{name}.weight"], [name]))
    value = helper.make_tensor_value_info
    widths = {"features": dim, **{name: len(labels) for name, labels in OUTPUTS.items()}}
    results = [value(name, TensorProto.FLOAT, ["M", wide]) for name, wide in widths.items()]
    pixels = value("pixels", TensorProto.UINT8, ["M", SIDE, SIDE, 3])
    whole = helper.make_graph(nodes, "toy", [pixels], results, weights)
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(whole, opset_imports=opset, ir_version=8)
    path.write_bytes(model.SerializeToString())


def model(folder: Path, outputs: dict[str, Any], measured: dict[str, Any]) -> Path:
    """Write a model folder without a torch network, which the graph alone makes usable."""
    spec = {
        "architecture": "none", "input_size": SIDE, "mean": [0, 0, 0], "std": [1, 1, 1],
        "dim": 3 * CELLS**2, "outputs": outputs, "changes": [],
    }  # fmt: skip
    card = {"kind": "backbone", "name": folder.name, "spec": spec, "measured": measured}
    cut = {"size": spec["input_size"], "shape": "square", "scale": 0.95, "colour": "grey"}
    card["recipe"] = {"cropping": cut}
    store.save(folder, card, {"none": np.zeros(1)})
    graph(folder / "graph.onnx", np.random.default_rng(0))
    store.write_card(folder, card)
    return folder


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """A backbone with the five outputs and a measured threshold."""
    measured = {"identity": {"threshold": 0.7}}
    return model(tmp_path_factory.mktemp("models") / "toy", OUTPUTS, measured)


@pytest.fixture(scope="module")
def both(tmp_path_factory, demo) -> Path:
    """A picture of the demo's two faces, side by side."""
    from PIL import Image

    from videmo.stages.decode import Sampling, open_video

    with open_video(demo) as video:
        (frames,) = video.read(Sampling(every=1000, start=6, end=6.04, fps=25))
    path = tmp_path_factory.mktemp("pictures") / "both.png"
    Image.fromarray(frames.pixels[0]).save(path)
    return path


@pytest.fixture
def run(capsys):
    """Run `videmo ...` in this process and return its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_each_person_of_a_clip_is_one_record_with_what_the_network_says(run, demo, toy):
    code, out, _ = run("attributes", demo, "--start", "4", "--end", "6", "--backbone", toy)
    watch, pipeline = TrackCollector(), make_pipeline(("age",), backbone=toy)
    faces = list(watch(pipeline.features(demo, start=4, end=6)))
    track = np.concatenate([f.faces.track for f in faces])
    age = softmax(np.concatenate([f.outputs["age"] for f in faces]))
    found = records(out)
    assert code == 0
    assert [r["track"] for r in found] == sorted(set(track.tolist()))
    assert len(found) == 3, "one face, and from 5 s on two at other places"
    for record in found:
        here = age[track == record["track"]]
        assert record["face_frames"] == len(here)
        assert record["age"] == pytest.approx(here.mean(0) @ np.arange(100), abs=0.051)  # 1 decimal
        low, high = record["age_interval"]
        assert 0 <= low <= high <= 99
        assert record["start"] <= record["best_time"] <= record["end"]
        assert sum(record["ethnicity_scores"].values()) == pytest.approx(1, abs=1e-5)
        assert record["gender"] in OUTPUTS["gender"]
        assert record["frames"] == 10, "5 a second"
        assert "label" not in record and "scores" not in record


def test_each_face_of_a_picture_is_one_record_with_its_box(run, both, toy):
    code, out, _ = run("attributes", both, "--backbone", toy, "--min-frames", "9")
    left, right = sorted(records(out), key=lambda record: record["box"][0])
    assert code == 0
    assert 0 <= left["box"][0] < left["box"][2] < right["box"][0] < right["box"][2] <= 480
    assert "start" not in left and left["duration"] is None


def test_only_what_is_asked_for_is_told(run, both, toy):
    _, out, _ = run("attributes", both, "--backbone", toy, "--only", "gender, age", *WHOLE)
    assert out
    for record in records(out):
        assert {"age", "age_interval", "gender", "gender_probability"} <= set(record)
        assert not [key for key in record if key.startswith(("ethnicity", "identity", "emotion"))]


def test_what_nobody_can_be_asked_for_is_refused(run, both):
    code, out, err = run("attributes", both, "--only", "age,weight")
    assert (code, out) == (2, "")
    assert "'weight' is none of age, gender, ethnicity" in err


def test_the_published_rules_are_options(run, both, toy):
    published = ("--age-rule", "top2", "--age-offset", "1", "--male-from", "1")
    plain, other = (
        records(run("attributes", both, "--backbone", toy, *WHOLE, *more)[1])
        for more in ((), published)
    )
    assert [r["age"] for r in plain] != [r["age"] for r in other]
    assert {r["gender"] for r in other} == {"female"}


def test_a_picture_without_a_face_and_a_file_that_is_none_are_one_record_each(run, tmp_path, toy):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "wall.png")
    (tmp_path / "empty.mp4").touch()
    code, out, err = run(
        "attributes", tmp_path / "wall.png", tmp_path / "empty.mp4", "--backbone", toy
    )
    wall, empty = records(out)
    assert code == 1
    assert (wall["status"], empty["status"]) == ("no_face", "error")
    assert "empty file" in empty["error"]["message"]
    assert len(err.splitlines()) == 2


def test_a_backbone_that_does_not_know_ages_is_one_clear_error(run, both, tmp_path):
    old = model(tmp_path / "old", {"emotion": ["neutral", "happiness"]}, {})
    code, out, err = run("attributes", both, "--backbone", old, "--only", "age,gender")
    assert (code, out) == (4, "")
    assert err == (
        "videmo: error: backbone old has no output age, gender; it has emotion; "
        "choose another one\n"
    )


def test_columns_are_one_for_each_thing_told(run, both, toy):
    _, out, _ = run("attributes", both, "--backbone", toy, "--format", "csv")
    first, second = csv.DictReader(io.StringIO(out))
    assert len(first["age"].split(".")[1]) == 1
    assert sum(float(first[f"p_{name}"]) for name in ETHNICITIES) == pytest.approx(1, abs=1e-5)
    assert float(first["box_x0"]) != float(second["box_x0"])
    assert first["start"] == ""
    assert not {"label", "score", "p_happiness"} & set(first)


def test_columns_between_tabs_are_the_same(run, both, toy):
    tables = []
    for name, delimiter in (("csv", ","), ("tsv", "\t")):
        _, out, _ = run("attributes", both, "--backbone", toy, *WHOLE, "--format", name)
        tables.append(list(csv.reader(io.StringIO(out), delimiter=delimiter)))
    assert tables[0] == tables[1]


def test_a_table_shows_a_line_for_each_person(run, both, toy):
    command = ("attributes", both, "--backbone", toy, "--only", "age,gender", "--format", "table")
    head, _, *lines = run(*command)[1].splitlines()
    assert head.split() == ["clip", "age", "gender", "with", "face"]
    assert len(lines) == 2
    for line in lines:
        assert re.search(r"both\.png #\d +\d+ \(\d+-\d+\) +(fe)?male \d+ % +1/1$", line)


def test_what_is_wrong_stands_in_the_table(run, tmp_path, toy):
    (tmp_path / "empty.mp4").touch()
    command = ("attributes", tmp_path / "empty.mp4", "--backbone", toy, *WHOLE, "--format", "table")
    assert re.search(r"empty\.mp4 +error +empty file", run(*command)[1])


def test_an_output_file_appears_whole(run, both, toy, tmp_path):
    out = tmp_path / "persons.json"
    code, shown, _ = run("attributes", both, "--backbone", toy, *WHOLE, "--out", out)
    assert (code, shown) == (0, "")
    assert len(json.loads(out.read_text())) == 1
    assert list(tmp_path.iterdir()) == [out]


def test_a_picture_is_the_same_person_as_itself(run, both, toy, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(both.read_bytes())
    code, out, _ = run("identify", both, copy, "--backbone", toy)
    same = [r for r in records(out) if r["track"] == r["other_track"]]
    others = [r for r in records(out) if r["track"] != r["other_track"]]
    assert (code, len(same), len(others)) == (0, 2, 2)
    assert all(r["same"] and r["similarity"] == pytest.approx(1, abs=1e-5) for r in same)
    assert all(not r["same"] and r["similarity"] < 0.7 for r in others)
    assert {r["threshold"] for r in same} == {0.7}, "from the card"


def test_a_pair_has_columns_and_a_table_as_well(run, both, toy, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(both.read_bytes())
    _, out, _ = run("identify", both, copy, "--backbone", toy, *WHOLE, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["other_path"], row["same"], row["other_track"]) == (str(copy), "true", "0")
    _, out, _ = run("identify", both, copy, "--backbone", toy, *WHOLE, "--format", "table")
    assert out.splitlines()[2].split()[-1] == "yes"


def test_the_persons_of_some_clips_are_found_again_and_kept_apart(run, demo, both, toy, tmp_path):
    parts = tmp_path / "parts.csv"
    parts.write_text(f"path,start,end\n{demo},0,1\n{demo},3,4\n{demo},5,6\n{both},,\n")
    command = ("identify", "--group", "--manifest", parts, "--fps", "2", "--backbone", toy)
    code, out, _ = run(*command)
    one, other, *two, left, right = records(out)
    assert (code, one["person"], other["person"]) == (0, 0, 1)
    assert [r["person"] for r in sorted(two, key=lambda r: r["box"][0])] == [0, 1]
    assert {left["person"], right["person"]} == {0, 1}
    assert run(*command)[1] == out, "the same bytes again"


def test_two_of_one_frame_stay_two_at_any_threshold(run, both, toy):
    _, out, _ = run("identify", "--group", both, "--backbone", toy, "--threshold", "-1")
    assert [r["person"] for r in records(out)] == [0, 1]


def test_without_a_measured_threshold_it_must_be_given(run, both, demo, tmp_path):
    bare = model(tmp_path / "bare", {"identity": OUTPUTS["identity"]}, {})
    code, out, err = run("identify", both, demo, "--backbone", bare)
    assert (code, out) == (2, "")
    assert "backbone bare has no measured threshold" in err and "--threshold" in err
    code, out, _ = run(
        "identify", both, demo, "--backbone", bare, "--threshold", "0.5", "--end", "0.4", *WHOLE
    )
    assert (code, {r["threshold"] for r in records(out)}) == (0, {0.5})


def test_one_input_cannot_be_compared(run, both):
    code, _, err = run("identify", both)
    assert code == 2
    assert "add --group" in err


def test_an_input_that_fails_leaves_its_record_in_place_of_the_pairs(run, both, toy, tmp_path):
    (tmp_path / "empty.mp4").touch()
    code, out, _ = run("identify", both, tmp_path / "empty.mp4", "--backbone", toy, *WHOLE)
    (record,) = records(out)
    assert code == 1
    assert (record["status"], record["path"]) == ("error", str(tmp_path / "empty.mp4"))


@pytest.mark.parametrize("name", ["attributes", "identify"])
def test_help_says_that_faces_are_biometric_data_and_ends_in_an_example(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert "biometric data" in " ".join(out.split())
    assert f"videmo {name}" in out.split("Example")[1]
    assert name in videmo.commands


def test_attributes_run_without_torch(both, toy):
    code = (
        "import sys; from videmo.cli import main\n"
        "try: main(['attributes', *sys.argv[1:]])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'timm', 'sklearn', 'onnx') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, both, "--backbone", toy, *WHOLE]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.stdout.decode().splitlines()[-1] == "[]", done.stderr


def test_identify_compares_all_of_its_inputs(videmo_command, demo):
    ran = videmo_command("identify", demo, demo, "--shard", "1/2")
    assert ran.code == 2 and "--shard would part those who are to be compared" in ran.err
