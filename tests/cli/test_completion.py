"""The tab key: what a shell asks for, and what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from videmo.cli import videmo
from videmo.cli.completion import SHELLS

BASH = """
{source}
COMP_WORDS=({words}) COMP_CWORD={at}
_videmo_completion "$PWD/videmo"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def script(shell: str) -> str:
    return CliRunner().invoke(videmo, ["completion", shell]).output


def completed(*words: str) -> list[str]:
    """Return what is offered for the last of these words."""
    complete = ShellComplete(videmo, {}, "videmo", "_VIDEMO_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def test_commands_options_choices_and_models_are_known() -> None:
    assert {"classify", "compare"} <= {*completed("c")}
    assert "--frames-of" in completed("classify", "--fr") and "-o" not in completed(
        "classify", "--"
    )
    assert completed("classify", "--faces", "l") == ["largest"]
    assert {"afew7", "vgaf3"} <= {*completed("classify", "--head", "")}
    assert completed("models", "sh") == ["show"]
    assert completed("models", "verify", "af") == ["afew7", "af"]
    assert "enet_b0_8_best_afew" in completed("models", "pull", "enet")
    assert "lite0_faces" in completed("export", "l")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell_asks_videmo(shell: str) -> None:
    said = script(shell)
    assert "_VIDEMO_COMPLETE" in said and f"{shell}_complete" in said
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=said, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_bash_completes_a_command(tmp_path: Path) -> None:
    import sys

    command = tmp_path / "videmo"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m videmo "$@"\n')
    command.chmod(0o755)
    text = BASH.format(source=script("bash"), words="videmo extr", at=1)
    paths = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.getenv("PYTHONPATH"))))
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.stdout.split() == ["extract-features"], done.stderr
