"""What README shows is what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import videmo
from videmo.cli import videmo as group

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands_in(text: str) -> list[list[str]]:
    """Return each `videmo ...` of the console blocks, split as a shell would."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    parts = [part.split(">")[0].strip() for line in lines for part in line.split("|")]
    return [shlex.split(part) for part in parts if part.startswith("videmo ")]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the words after `videmo` name, and its arguments."""
    command, arguments = group, words[1:]
    while isinstance(command, click.Group):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command, arguments


def all_commands(of: click.Group) -> list[click.Command]:
    """Return the commands of a group and of the groups in it."""
    nested = [all_commands(c) if isinstance(c, click.Group) else [c] for c in of.commands.values()]
    return [command for some in nested for command in some]


def test_every_command_is_in_the_readme():
    shown = {command_of(words)[0] for words in commands_in(README)}
    assert shown >= {*all_commands(group)}


@pytest.mark.parametrize("words", commands_in(README), ids=" ".join)
def test_a_command_in_the_readme_is_understood(words):
    command, arguments = command_of(words)
    try:
        command.make_context(command.name, arguments, **group.context_settings)
    except click.exceptions.Exit as end:  # --help
        assert end.exit_code == 0


def test_the_readme_shows_the_real_answer(videmo_command, demo):
    block = README.split("$ videmo classify examples/demo.mp4\n")[1].split("```")[0]
    ran = videmo_command("classify", "examples/demo.mp4", "--format", "table", cwd=ROOT)
    assert ran.code == 0
    shown, real = (text.splitlines()[2].split() for text in (block, ran.out))
    assert shown[:2] == real[:2]  # the path and the label; probabilities may differ in a digit
    assert shown[-1] == real[-1]  # frames with a face


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
