"""videmo doctor: what it tells, what it keeps to itself, and what it calls wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videmo import doctor, store
from videmo.files import extras
from videmo.stages.decode import Sampling, open_video
from videmo.stages.detect import DETECTORS
from videmo.stages.detect.retinaface import FILE

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a home of which nobody need know."""
    monkeypatch.setenv("HOME", str(tmp_path / "ada.lovelace"))
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path / "ada.lovelace" / "cache"))
    return tmp_path / "ada.lovelace" / "cache"


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, doctor.CheckResult]]:
    """Return what doctor finds in this process, without asking torch."""
    monkeypatch.setattr(doctor, "_start_torch", lambda: None)
    return lambda: {finding.name: finding for finding in doctor.run_checks()}


@pytest.fixture(scope="module")
def whole(
    videmo_command: Command, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Any]]:
    """The command's text and its JSON, where all is well."""
    home = tmp_path_factory.mktemp("home") / "ada.lovelace"
    told = {"HOME": str(home), "VIDEMO_CACHE": str(home / "cache"), "MY_TOKEN": "s3cret"}
    env = {**os.environ, **told, "HF_HUB_OFFLINE": "1", "FORCE_COLOR": "1"}
    text = videmo_command("doctor", env=env)
    yield text, videmo_command("doctor", "--format", "json", env=env)


def test_a_whole_installation_passes(whole: tuple[Any, Any]) -> None:
    text, facts = whole[0], json.loads(whole[1].out)
    assert text.code == whole[1].code == 0, text.out + text.err
    assert text.err == ""
    assert facts["ok"] is True and facts["wrong"] == []
    assert facts["facts"]["self-test"].startswith("passed: Happy")


def test_lines_are_aligned_and_plain(whole: tuple[Any, Any]) -> None:
    lines = whole[0].out.splitlines()
    assert all(line[29] == " " != line[30] for line in lines), lines
    assert "\x1b" not in whole[0].out


def test_json_tells_what_the_lines_tell(whole: tuple[Any, Any]) -> None:
    lines = [line[:29].strip() for line in whole[0].out.splitlines()]
    assert lines == [*json.loads(whole[1].out)["facts"]]


def test_libraries_models_detectors_and_decoders_are_named(whole: tuple[Any, Any]) -> None:
    facts = json.loads(whole[1].out)["facts"]
    names = {"videmo", "python", "platform", "numpy", "openvino", "torch", "cpus", "memory",
             "torch devices", "codecs", "cache", "environment"}  # fmt: skip
    models = {f"model {name}" for name in ("afew7", "vgaf3", "lite0_faces")}
    assert facts.keys() >= names | models | {f"detector {name}" for name in DETECTORS}
    assert facts["decoder pyav"] == "read 25 of 25 frames"
    assert "h264" in facts["codecs"]
    assert facts["torch devices"].endswith("cpu")
    assert all(facts[model].endswith("verified") for model in models)


def test_nothing_personal_is_told(whole: tuple[Any, Any]) -> None:
    for ran in whole:
        assert "ada.lovelace" not in ran.out + ran.err
        assert "s3cret" not in ran.out
    facts = json.loads(whole[1].out)["facts"]
    assert re.match(r"~/cache: (not there yet|\d+ files, \S+ MB); ", facts["cache"])
    told = [word for word in facts["environment"].split() if not word.startswith("OMP_")]
    assert told == ["HF_HUB_OFFLINE=1", "VIDEMO_CACHE=~/cache", "VIDEMO_CONFIG="]


def test_a_home_that_only_begins_alike_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert doctor._without_home("/home/ada/x /home/ada.b /home/adam\n/home/ada") == (
        "~/x /home/ada.b /home/adam ~"
    )


def test_a_damaged_model_is_wrong(cache: Path, videmo_command: Command) -> None:
    mine = cache / "models" / "mine"
    shutil.copytree(store.EMBEDDED / "vgaf3", mine)
    card = json.loads((mine / "card.json").read_text())
    (mine / "card.json").write_text(json.dumps({**card, "name": "mine"}))
    with (mine / store.WEIGHTS).open("ab") as file:
        file.write(b"x")
    ran = videmo_command("doctor")
    assert ran.code == 1
    (line,) = [line for line in ran.out.splitlines() if line.startswith("model mine")]
    assert "expected SHA-256" in line and line.endswith("<- wrong")
    assert "Traceback" not in ran.out + ran.err


def test_damaged_weights_of_a_detector_are_wrong(
    cache: Path, examine: Callable[[], dict[str, doctor.CheckResult]]
) -> None:
    (cache / "files").mkdir(parents=True)
    (cache / "files" / FILE.name).write_bytes(b"no network")
    found = examine()["detector retinaface-resnet50"]
    assert not found.good and "expected SHA-256" in found.value


def test_another_answer_than_the_right_one_is_wrong(
    examine: Callable[[], dict[str, doctor.CheckResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "DEMO_LABEL", "Sad")
    found = examine()["self-test"]
    assert not found.good
    assert found.value.startswith("failed: Happy ") and found.value.endswith("not Sad in 25 of 25")


def test_a_demo_that_cannot_be_read_is_told_by_those_who_read_it(
    examine: Callable[[], dict[str, doctor.CheckResult]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(doctor, "DEMO", tmp_path / "gone.mp4")
    found = examine()
    assert {name for name, finding in found.items() if not finding.good} == {"self-test"}
    assert "gone.mp4" in found["self-test"].value and "gone.mp4" in found["decoder pyav"].value


def test_what_nobody_foresaw_is_a_line_too(
    examine: Callable[[], dict[str, doctor.CheckResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[str]:
        raise RuntimeError("the disk\nis gone")

    monkeypatch.setattr(store, "names", broken)
    found = examine()["models"]
    assert (found.value, found.good) == ("RuntimeError: the disk is gone", False)


def started(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_torch_that_fails_is_told_in_its_last_words() -> None:
    said = doctor._torch_devices(started("raise ImportError('libcudart.so.12: no such file')"))
    assert said == "none: ImportError: libcudart.so.12: no such file"


def test_a_torch_that_ends_without_a_word_is_told() -> None:
    assert (
        doctor._torch_devices(started("import os; os._exit(7)")) == "none: torch ended with code 7"
    )


def test_a_torch_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TIMEOUT", 0.1)
    asked = started("import time; time.sleep(60)")
    assert "does not answer" in doctor._torch_devices(asked)
    assert asked.poll() is not None


def test_a_library_that_is_not_there_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_pip", lambda: "pip install")
    monkeypatch.setattr(extras, "_origin", dict)
    assert doctor._version("no-such-library", "plots") == "missing; pip install 'videmo[plots]'"
    assert doctor._version("no-such-library", "") == "missing; pip install no-such-library"


def test_the_demo_is_the_first_second_of_the_longer_one(demo: Path) -> None:
    def pixels(path: Path) -> np.ndarray:
        with open_video(path) as video:
            return np.concatenate([b.pixels for b in video.read(Sampling(end=1))])

    assert doctor.DEMO.stat().st_size < 60_000
    short, long = pixels(doctor.DEMO).astype(int), pixels(demo).astype(int)
    assert short.shape == long.shape == (25, 360, 480, 3)
    assert abs(short - long).mean() < 3  # of 255; two encodings of the same pictures
