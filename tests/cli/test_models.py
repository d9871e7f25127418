"""`videmo models`: rows on stdout, words on stderr, codes that tell the truth."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pages import BODY, PAGE, Site

from videmo import store
from videmo.cli import videmo as group
from videmo.cli.models_text import DownloadJson, DownloadLines
from videmo.store.zoo import ZOO

pytestmark = pytest.mark.usefixtures("cache")
SHA256 = hashlib.sha256(BODY).hexdigest()
NAME = "enet_b0_8_best_afew"
FILE = f"{NAME}.pt"


@pytest.fixture
def models(videmo_command: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: str | Path) -> Any:
        return videmo_command("models", *arguments)

    return run


def here(*arguments: str | Path) -> Any:
    """Run a command in this process: quicker, where no exit code is asked for."""
    return CliRunner().invoke(group, ["models", *map(str, arguments)], catch_exceptions=False)


def test_the_list_is_rows_in_a_pipe(models: Callable[..., Any]) -> None:
    ran = models("list")
    assert (ran.code, ran.err) == (0, "")
    rows = {row["name"]: row for row in ran.records}
    assert rows.keys() > {"afew7", "vgaf3", "mtcnn", "retinaface-mobilenet", "centerface", *ZOO}
    b2 = rows["enet_b2_8"]
    assert (b2["state"], b2["dim"], b2["input_size"]) == ("published", 1408, 260)
    assert b2["outputs"]["emotion"][0] == "Anger" and b2["colour"] == "rgb"
    assert {"code", "weights", "data"} == b2["license"].keys()
    assert b2["published"]["figures"][0]["n"] == 4000


def test_the_list_is_a_table_for_people() -> None:
    lines = here("list", "--format", "table").output.splitlines()
    assert lines[0].split() == ["name", "where", "kind", "answers"]
    (row,) = [line for line in lines if line.startswith("enet_b0_8_va_mtl ")]
    assert row.split(maxsplit=5)[1:5] == ["to", "be", "pulled", "backbone"]
    assert row.endswith("emotion 8, valence_arousal 2")
    assert max(map(len, lines)) <= 100
    assert len(lines) == 1 + len(json.loads(here("list", "--format", "json").output))


def test_a_list_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = here("list", "--format", "table").output.splitlines()
    assert max(map(len, lines)) <= 80 and len({*lines}) == len(lines)


def test_the_recipe_of_a_head_is_shown() -> None:
    said = " ".join(here("show", "afew7").output.split())
    assert "recipe fingerprint " in said and "min face 32" in said and "faces largest" in said


def test_a_published_network_is_shown_with_all_that_is_known() -> None:
    said = " ".join(here("show", "enet_b0_8_va_mtl").output.split())
    for fact in (
        "to fetch it: videmo models pull enet_b0_8_va_mtl",
        "tf_efficientnet_b0.ns_jft_in1k",
        "emotion: Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise",
        "valence_arousal: valence, arousal",
        "224 x 224 px, rgb, of 0..1 less 0.485 0.456 0.406, over 0.229 0.224 0.225",
        "code: Apache-2.0",
        "AffectNet validation, 8 classes: accuracy 0.6193 (n 4,000); faces as annotated",
        "https://github.com/sb-ai-lab/EmotiEffLib/blob/main/",
        "git_blob b7223bd1ab09",
    ):
        assert fact in said


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("afew7", "test: n 420, accuracy 0.8071, interval [0.7667, 0.842]"),
        ("lite0_faces", "gender: female, male"),
        ("retinaface-mobilenet", "recall"),
        ("retinaface-resnet50", "not measured"),
        ("age_gender_tf2_224_deep-03-0.13-0.97", "age: 1, 2, 3, ..., 100"),
    ],
)
def test_others_are_shown_as_well(name: str, fact: str) -> None:
    assert fact in " ".join(here("show", name).output.split())


@pytest.mark.parametrize(
    "name", [*ZOO, "afew7", "lite0_faces", "vgaf3", "mtcnn", "retinaface-mobilenet"]
)
def test_all_is_shown_in_lines_that_fit(name: str) -> None:
    ran = here("show", name)
    assert ran.exit_code == 0
    words = [line for line in ran.output.splitlines() if " " in line[15:].strip()]
    assert max(map(len, words)) <= 100


def test_json_has_the_whole_card() -> None:
    said = json.loads(here("show", "afew7", "--format", "json").output)
    assert said["card"]["recipe"]["backbone"] == "lite0_faces"
    assert said["outputs"]["clip"][0] == "Angry"


def test_a_pull_prints_where_it_is(models: Callable[..., Any], site: Site, cache: Path) -> None:
    site.put(f"zoo/{FILE}")
    ran = models("pull", NAME, "--no-import", "--sha256", SHA256, "--url", site.url("zoo/"))
    assert (ran.code, ran.out, ran.err) == (0, f"{cache / 'files' / FILE}\n", "")
    assert (cache / "files" / FILE).read_bytes() == BODY


def test_a_wrong_file_is_refused_and_nothing_stays(
    models: Callable[..., Any], site: Site, cache: Path
) -> None:
    ran = models("pull", NAME, "--url", site.put("a"))
    assert ran.code == 4 and ran.out == ""
    assert ran.err.startswith("videmo: error: ") and ran.err.count("\n") == 1
    assert "expected SHA-256 47c1423f3e6f" in ran.err
    assert list((cache / "files").iterdir()) == []


def test_a_page_is_named_a_page(models: Callable[..., Any], site: Site) -> None:
    ran = models("pull", NAME, "--url", site.put("a", PAGE))
    assert ran.code == 4 and "is an HTML page, not a file" in ran.err


def test_offline_says_what_to_fetch_and_where_to_put_it(
    models: Callable[..., Any], tmp_path: Path
) -> None:
    ran = models("pull", NAME, "--offline", "--cache-dir", tmp_path / "mine")
    assert ran.code == 4 and ran.err.count("\n") == 1
    assert "--offline is given" in ran.err and "VIDEMO_OFFLINE" not in ran.err
    for fact in (FILE, ZOO[NAME].urls[0], ZOO[NAME].sha256, str(tmp_path / "mine" / "files")):
        assert fact in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pull", "enet_b2_9"], 4, "did you mean enet_b2_8"),
        (["pull", "../x"], 2, "no plain name"),
        (["pull", NAME, "--url", "ftp://example.org/a"], 2, "no URL to fetch from"),
        (["pull", NAME, "--sha256", "12"], 2, "no SHA-256"),
        (["pull", NAME, "retinaface-resnet50", "--sha256", SHA256], 2, "several names, one file"),
        (["path", "enet_b2_8"], 4, "videmo models pull enet_b2_8"),
        (["remove", "afew7"], 2, "part of the package"),
        (["remove", "enet_b2_8"], 4, "nothing to remove"),
        (["show", "nobody"], 4, "videmo models list has"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    arguments: list[str], code: int, said: str, models: Callable[..., Any]
) -> None:
    ran = models(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err and "Traceback" not in ran.err


def test_verify_reads_all_and_tells_the_truth(
    models: Callable[..., Any], site: Site, cache: Path
) -> None:
    models("pull", NAME, "--no-import", "--sha256", SHA256, "--url", site.put("a"))
    ran = models("verify")
    assert ran.code == 0
    assert {row["name"] for row in ran.records} == {"afew7", "lite0_faces", "vgaf3", NAME}
    (cache / "files" / FILE).write_bytes(BODY[1:])
    ran = models("verify", "--format", "table")
    assert ran.code == 1
    assert [line.split()[:2] for line in ran.out.splitlines()][-1] == ["corrupt", NAME]
    assert models("verify", "afew7").code == 0
    assert models("remove", NAME).code == 0
    assert models("verify").code == 0


def test_the_folder_of_a_model_is_printed(models: Callable[..., Any]) -> None:
    ran = models("path", "afew7")
    assert ran.code == 0 and (Path(ran.out.strip()) / "card.json").is_file()


def test_a_head_that_is_published_only_names_the_step(
    videmo_command: Callable[..., Any], demo: Path
) -> None:
    ran = videmo_command("classify", demo, "--head", "enet_b2_8")
    assert ran.code == 4
    assert ran.err == (
        "videmo: error: enet_b2_8: is published, not installed; videmo models pull enet_b2_8\n"
    )


def test_a_model_in_another_cache_is_found(
    videmo_command: Callable[..., Any], demo: Path, tmp_path: Path
) -> None:
    shutil.copytree(store.EMBEDDED / "afew7", tmp_path / "mine" / "models" / "own")
    clip = (demo, "--end", "0.2", "--head", "own")
    ran = videmo_command("classify", *clip, "--cache-dir", tmp_path / "mine")
    assert ran.code == 0 and ran.records[0]["label"] == "Happy"
    assert videmo_command("classify", *clip).code == 4


@pytest.mark.slow
def test_a_published_network_is_pulled_installed_and_sound(
    models: Callable[..., Any], site: Site, cache: Path, tmp_path: Path
) -> None:
    published = pytest.importorskip("published")
    net = published.network("tf_efficientnet_b0", 8)
    body = published.save_module(net, tmp_path / FILE, "0.6").read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    ran = models("pull", NAME, "--sha256", digest, "--url", site.put("a", body))
    assert (ran.code, ran.out) == (0, f"{cache / 'models' / NAME}\n"), ran.err
    assert models("verify", NAME).code == 0
    assert models("path", NAME).out == ran.out


def test_lines_come_when_it_is_time(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = DownloadLines("net.pt", clock=lambda: now)
    for now in (1.0, 31.0, 40.0, 62.0):
        lines(int(now * 1e6), 80_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "videmo: net.pt: 31.0 of 80.0 MB", "videmo: net.pt: 62.0 of 80.0 MB",
    ]  # fmt: skip


def test_json_lines_end_with_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    lines = DownloadJson("net.pt", clock=lambda: 0.0)
    lines(10, None)
    lines.close()
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert said == [{"progress": {"name": "net.pt", "bytes": 10, "of": None}}]
