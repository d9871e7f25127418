"""What README shows is what there is."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import videmo
from videmo.cli import videmo as group
from videmo.cli.config import defaults_for

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "examples").glob("*.md"))}
TEXTS = {"README.md": README, **GUIDES}


def commands_in(text: str) -> list[list[str]]:
    """Return each `videmo ...` of the console blocks, split as a shell would."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    parts = [part.split(">")[0].strip() for line in lines for part in line.split("|")]
    return [shlex.split(part) for part in parts if part.startswith("videmo ")]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the words after `videmo` name, and its arguments."""
    command, arguments = group, words[1:]
    if arguments[0] == "help":
        return command, ["--help"]
    if arguments[0] not in group.commands:  # videmo clip.mp4
        arguments = [group.direct, *arguments]
    while isinstance(command, click.Group):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command, arguments


def all_commands(of: click.Group) -> list[click.Command]:
    """Return the commands of a group and of the groups in it."""
    nested = [all_commands(c) if isinstance(c, click.Group) else [c] for c in of.commands.values()]
    return [command for some in nested for command in some]


ANSWERS = re.findall(r"^\$ (videmo [^\n]+)\n((?:[^$`\n][^\n]*\n)+)", README, re.MULTILINE)


@pytest.mark.parametrize(("command", "shown"), ANSWERS, ids=[words for words, _ in ANSWERS])
def test_the_answers_that_readme_shows_are_given(command: str, shown: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "-q", "-f", "table"], cwd=ROOT, text=True,
        capture_output=True, check=True,
        env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    number = re.compile(r"\d+(?:\.\d+)?")
    given, wanted = ([line.rstrip() for line in t.splitlines()] for t in (ran.stdout, shown))
    assert [number.sub("0", line).split() for line in given] == [
        number.sub("0", line).split() for line in wanted
    ]
    for line, other in zip(given, wanted, strict=True):
        found = [float(n) for n in number.findall(line)]
        # other libraries round otherwise, and a face that is neither moves by some percent
        assert found == pytest.approx([float(n) for n in number.findall(other)], abs=3), line


def test_every_command_is_in_readme_or_a_guide():
    shown = {command_of(words)[0] for text in TEXTS.values() for words in commands_in(text)}
    missing = [command.name for command in all_commands(group) if command not in shown]
    assert not missing


EVERY = {" ".join(words): words for text in TEXTS.values() for words in commands_in(text)}


@pytest.mark.parametrize("words", EVERY.values(), ids=EVERY)
def test_a_command_in_readme_or_a_guide_is_understood(words):
    command, arguments = command_of(words)
    try:
        command.make_context(command.name, arguments, **group.context_settings)
    except click.exceptions.Exit as end:  # --help
        assert end.exit_code == 0


@pytest.mark.parametrize(
    "command", ["classify examples/smile.mp4", "timeline examples/demo.mp4 --by segment"]
)
def test_the_readme_shows_the_real_answer(videmo_command, command):
    block = README.split(f"$ videmo {command}\n")[1].split("```")[0]
    ran = videmo_command(
        *command.split(), "--format", "table", cwd=ROOT, env=os.environ | {"COLUMNS": "100"}
    )
    assert ran.code == 0
    shown, real = ([line.split() for line in text.splitlines()] for text in (block, ran.out))
    assert len(shown) == len(real)
    for one, other in zip(shown[2:], real[2:], strict=True):
        assert without_digits(one) == without_digits(other)


def without_digits(words):
    """Return a row of a table without its probabilities, which may differ in a digit."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return [word for word, after in pairs if after != "%" and not {*word} & {*"█░"}]


def test_the_readme_is_short_and_leads_on():
    assert README.count("\n") <= 200
    for name in GUIDES:
        assert f"(examples/{name}" in README, f"README does not lead to {name}"


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_text_leads_to_is_there(name):
    folder = ROOT if name == "README.md" else ROOT / "examples"
    for place, mark in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", TEXTS[name]):
        assert (folder / place).exists(), f"{name}: {place}"
        if mark:
            page = (folder / (place or name)).read_text("utf-8")
            assert mark in [anchor(head) for head in re.findall(r"^#+ (.*)", page, re.M)]


def anchor(heading):
    """Return how a heading is led to on the sites that show Markdown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_settings_in_a_text_are_options(tmp_path, monkeypatch):
    blocks = [
        b for text in TEXTS.values() for b in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    ]
    assert blocks
    for n, block in enumerate(blocks):
        path = tmp_path / f"{n}.toml"
        path.write_text(block)
        monkeypatch.setenv("VIDEMO_CONFIG", str(path))
        for words in re.findall(r"^\[(.*)\]", block, re.M):
            command, _ = command_of(["videmo", *words.split(".")])
            assert defaults_for(command, words.split("."))


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_leads_out_of_the_project(name):
    assert "../" not in TEXTS[name]


@pytest.mark.parametrize("name", TEXTS)
def test_python_in_a_text_is_python_and_names_what_there_is(name):
    for block in re.findall(r"```python\n(.*?)```", TEXTS[name], re.DOTALL):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "videmo":
                assert hasattr(videmo, node.attr), node.attr
            if isinstance(node, ast.Call) and re.fullmatch(r"videmo\.\w+", ast.unparse(node.func)):
                called = inspect.signature(getattr(videmo, ast.unparse(node.func)[7:]))
                given = {word.arg: None for word in node.keywords if word.arg}
                called.bind_partial(*node.args, **given)


def test_what_ci_runs_is_what_the_readme_says():
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (
        "'.[test]'",
        "\npytest -n auto --dist loadfile\n",
        "ruff check . && ruff format --check . && mypy",
    ):
        assert command in ci
        assert command.strip() in README


def test_the_version_has_a_place_in_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{videmo.__version__}]" in changelog


def test_the_house_holds_what_the_readme_draws():
    tree = README.split("## How it is laid out")[1].split("```")[1]
    for name in re.findall(r"[├└]── (\S+)", tree):
        assert (ROOT / "videmo" / name).exists(), name
