"""doctor: what is installed, and whether it works."""

from __future__ import annotations

import sys

import click

from videmo.cli.grouped import Command
from videmo.cli.options.messages import debug_option

EXAMPLES = """\b
Examples:
  videmo doctor
  videmo doctor --format json | jq -r .facts.torch
"""


@click.command(cls=Command, epilog=EXAMPLES)
@click.option(
    "-f",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Lines of a name and a value, or one JSON object.",
)
@debug_option
def doctor(format_: str, debug: bool) -> None:
    """Tell what is installed here and whether it works, for a bug report.

    It reads every model again, classifies a clip of one second and fetches nothing. The exit code
    is 1 where a model is damaged or the answer is wrong. Of the environment it tells VIDEMO_*,
    CUDA_VISIBLE_DEVICES, HF_HUB_OFFLINE and OMP_NUM_THREADS; the home folder is told as ~.
    """
    import json

    from videmo.doctor import run_checks

    findings = []
    for finding in run_checks():
        findings.append(finding)
        if format_ == "text":
            mark = "" if finding.good else "  <- wrong"
            click.echo(f"{finding.name:<29} {finding.value}{mark}")
    wrong = [finding.name for finding in findings if not finding.good]
    if format_ == "json":
        facts = {finding.name: finding.value for finding in findings}
        click.echo(json.dumps({"ok": not wrong, "wrong": wrong, "facts": facts}, indent=2))
    sys.exit(1 if wrong else 0)
