"""Commands are listed without being imported, and imported when they are called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
from click.testing import CliRunner

from videmo.cli import COMMANDS, videmo
from videmo.cli.lazy import LazyCommands


def test_help_lists_every_command_in_a_line() -> None:
    said = CliRunner().invoke(videmo, ["--help"]).output
    lines = [
        line.split()
        for line in said.split("What clips show:\n")[1].splitlines()
        if line[:4] == "  " + line[2:4]
    ]
    assert {line[0] for line in lines if line} >= set(COMMANDS)
    assert all(brief in said for _, brief in COMMANDS.values())
    assert "More:" not in said, "every command is of a kind that GROUPS names"


def test_every_command_is_where_the_table_says() -> None:
    assert all(isinstance(videmo.commands[name], click.Command) for name in COMMANDS)
    assert [videmo.commands[name].name for name in COMMANDS] == [*COMMANDS]


def test_a_command_does_not_wait_for_the_others() -> None:
    code = (
        "import sys; from videmo.cli import videmo; videmo.commands['schema']\n"
        "loaded = {'videmo.cli.train_head', 'videmo.cli.classify', 'http.client',\n"
        "          'importlib.metadata', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_clip_does_not_wait_for_what_many_need(demo: Path) -> None:
    code = (
        "import sys; from videmo.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "others = {'multiprocessing', 'pebble', 'socket', 'concurrent.futures', 'ray', 'torch',\n"
        "          'sklearn', 'pandas', 'matplotlib', 'jinja2', 'videmo.runs.journal'}\n"
        "sys.exit(str(others & set(sys.modules)) if others & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", code, "classify", "-q", "--end", "0.1", str(demo)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_may_be_added_and_removed() -> None:
    some = LazyCommands({"videmo": "videmo.cli:videmo"})
    some["more"] = click.Command("more")
    assert [*some] == ["videmo", "more"] and some["more"].name == "more"
    del some["videmo"]
    assert [*some] == ["more"] and len(some) == 1
