"""Defaults from a file that was asked for, and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from videmo.cli import videmo
from videmo.cli.config import config_file, defaults_for, read_config
from videmo.cli.options.recipe import changes_of
from videmo.errors import InputError

TEXT = """
quiet = true
[classify]
every = 5
jobs = "auto"
head = "vgaf3"
ext = ["dat", "bin"]
[train.head]
kind = "svm"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    monkeypatch.setenv("VIDEMO_CONFIG", str(path))
    return path


def parse(*words: str) -> click.Context:
    """Return the context of a call that is not carried out."""
    root = click.Context(videmo, info_name="videmo", **videmo.context_settings)
    group: click.Group = videmo
    for n, word in enumerate(words):
        command = group.commands[word]
        if not isinstance(command, click.Group):
            return command.make_context(word, list(words[n + 1 :]), root)
        root, group = click.Context(command, root, word), command
    raise AssertionError(words)


@pytest.mark.usefixtures("file")
def test_a_file_gives_defaults_and_the_command_line_wins() -> None:
    options = parse("classify", "a.mp4").params
    assert (options["every"], options["head"], options["quiet"]) == (5, "vgaf3", True)
    assert options["ext"] == ("dat", "bin") and options["jobs"] >= 1
    assert parse("classify", "--head", "afew7", "a.mp4").params["head"] == "afew7"
    assert parse("train", "head", "a.npz", "-o", "x").params["kind"] == "svm"
    assert parse("doctor").params == {"format_": "text", "debug": False}, "it has no such options"


@pytest.mark.usefixtures("file")
def test_fps_on_the_command_line_takes_the_place_of_every_in_the_file() -> None:
    context = parse("classify", "--fps", "3", "a.mp4")
    with context:
        assert changes_of(context.params) == {"sampling": {"fps": 3.0}}


def test_a_variable_is_a_default_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEMO_CLASSIFY_MIN_FACE", "48")
    assert parse("classify", "a.mp4").params["min_face"] == 48
    monkeypatch.setenv("VIDEMO_CLASSIFY_MIN_FACE", "small")
    with pytest.raises(click.BadParameter):
        parse("classify", "a.mp4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[classify]\nevry = 5\n",
            r"mine.toml: \[classify\] evry is no option; did you mean every",
        ),
        ("[classify]\nout = 'x.csv'\n", "out is for a command line alone"),
        ("overwrite = true\n", "overwrite is for a command line alone"),
        ("[classify\n", "mine.toml: is no TOML"),
        (b"\xff", "mine.toml: cannot be read"),
    ],
)
def test_what_a_file_cannot_say_names_the_file(file: Path, text: str | bytes, said: str) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said):
        defaults_for(videmo.commands["classify"], ["classify"])


def test_a_value_that_cannot_be_names_the_file(videmo_command, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[classify]\nfps = 'often'\n")
    ran = videmo_command("--config", tmp_path / "c.toml", "classify", "a.mp4")
    assert ran.code == 2 and "'often'" in ran.err and f"(in {tmp_path / 'c.toml'})" in ran.err


def test_pyproject_has_them_below_tool(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.videmo.classify]\nfps = 5\n[project]\nx = 1\n")
    assert read_config(tmp_path / "pyproject.toml") == {"classify": {"fps": 5}}


def test_what_lies_in_the_current_folder_or_beside_clips_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEMO_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.chdir(tmp_path)
    for name in ("videmo.toml", "pyproject.toml"):
        Path(name).write_text("[tool.videmo]\nquiet = true\n[classify]\nhead = './planted'\n")
    assert config_file() is None and parse("classify", "a.mp4").params["head"] == "afew7"


def test_a_persons_own_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEMO_CONFIG")
    monkeypatch.setattr("videmo.files.config_dir", lambda: tmp_path)
    (tmp_path / "videmo.toml").write_text("[classify]\nfps = 2\n")
    assert parse("classify", "a.mp4").params["fps"] == 2
    monkeypatch.setenv("VIDEMO_CONFIG", "")
    assert config_file() is None, "an empty variable wants none"
