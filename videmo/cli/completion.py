"""completion: what a shell runs so that the tab key knows commands, options and models."""

from __future__ import annotations

import click

from videmo.cli.grouped import Command

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = """\b
Examples:
  eval "$(videmo completion bash)"                            now, and in ~/.bashrc
  eval "$(videmo completion zsh)"                             now, and in ~/.zshrc
  videmo completion fish > ~/.config/fish/completions/videmo.fish
"""


@click.command(cls=Command, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes the tab key complete videmo in a shell.

    SHELL is bash (4.4 or later), zsh or fish. Nothing is installed or changed: what is printed is
    for the shell to run.
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(root.command, {}, "videmo", "_VIDEMO_COMPLETE").source())
