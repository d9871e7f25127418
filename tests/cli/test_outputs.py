"""Nothing that is read is written over, whatever the flags; nothing else is, unasked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import toys

from videmo.cli import videmo
from videmo.cli.outputs import OutputPath
from videmo.errors import OutputError

RED, GREEN = (200, 40, 40), (40, 200, 40)
Command = Callable[..., int]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in a folder with clips, lists, answers and a small network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEMO_CONFIG", "")
    for name, colour in {"a": RED, "b": GREEN}.items():
        toys.clip(tmp_path / f"{name}.gif", [colour] * 3)
    toys.clip(tmp_path / "pictures", [RED] * 2)
    toys.network(tmp_path / "net", "emotion")
    Path("list.csv").write_text("path,label,split\na.gif,Anger,train\nb.gif,Happiness,train\n")
    Path("own.csv").write_text("quiet = true")
    Path("names").write_bytes(b"a.gif\0b.gif\0")
    Path("set/train/Anger").mkdir(parents=True)
    os.link("a.gif", "set/train/Anger/a.gif")
    os.symlink("list.csv", "link.csv")
    os.link("a.gif", "hard.gif")

    def run(*given: str) -> int:
        try:
            videmo.main(list(given), standalone_mode=False)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    assert run("classify", "a.gif", "b.gif", "--head", "./net", "--out", "pred.csv") == 0
    return run


NET = ("--head", "./net")
OVER = {  # an output that is read, and the command that would write it
    "a clip": ("a.gif", "classify", "a.gif", *NET, "--format", "csv", "--out", "a.gif"),
    "a clip by another name": (
        "hard.gif", "classify", "a.gif", *NET, "--format", "csv", "--out", "hard.gif"),
    "a clip of a folder": (
        "a.gif", "classify", ".", *NET, "--ext", "gif", "--format", "csv", "--out", "./a.gif"),
    "a picture of a clip": (
        "pictures/0000.png", "classify", "pictures", *NET, "--ext", "png", "--format", "csv",
        "--out", "pictures/0000.png"),
    "a manifest": ("list.csv", "classify", "--manifest", "list.csv", *NET, "--out", "list.csv"),
    "a link to a manifest": (
        "list.csv", "classify", "--manifest", "list.csv", *NET, "--out", "link.csv"),
    "a list": (
        "names", "classify", "--files0-from", "names", *NET, "--format", "csv", "--out", "names"),
    "a card": (
        "net/card.json", "classify", "a.gif", *NET, "--format", "json", "--out", "net/card.json"),
    "a network": (
        "net/graph.onnx", "classify", "a.gif", *NET, "--format", "csv", "--out", "net/graph.onnx"),
    "features over a manifest": (
        "list.csv", "extract-features", "--manifest", "list.csv", *NET, "--out", "list.csv"),
    "a clip of attributes": (
        "a.gif", "attributes", "a.gif", "--only", "age", "--format", "csv", "--out", "a.gif"),
    "a clip of identify": ("b.gif", "identify", "a.gif", "b.gif", "--format", "csv", "--out",
                           "b.gif"),
    "the file of defaults": (
        "own.csv", "--config", "own.csv", "classify", "a.gif", *NET, "--out", "own.csv"),
    "answers": ("pred.csv", "evaluate", "--predictions", "pred.csv", "--truth", "list.csv",
                "--format", "json", "--out", "pred.csv"),
    "truth": ("list.csv", "evaluate", "--predictions", "pred.csv", "--truth", "list.csv",
              "--format", "json", "--out", "list.csv"),
    "a matrix over the truth": (
        "list.csv", "evaluate", "--predictions", "pred.csv", "--truth", "list.csv",
        "--confusion", "list.csv"),
    "a part": ("pred.csv", "merge", "pred.csv", "--out", "./pred.csv"),
    "a list of expected clips": (
        "list.csv", "merge", "pred.csv", "--expect", "list.csv", "--out", "list.csv"),
    "the list of a data set": ("list.csv", "dataset", "manifest", "list.csv", "--out", "list.csv"),
    "features of a training": (
        "list.csv", "train", "head", "list.csv", "--features", "list.csv", "--out", "new"),
}  # fmt: skip


@pytest.mark.parametrize("what", OVER)
def test_what_is_read_is_not_written_over(command: Command, what: str) -> None:
    place, *given = OVER[what]
    before = Path(place).read_bytes()
    with pytest.raises(OutputError, match=r"is read as|is a file of a model"):
        command(*given, "--overwrite")
    assert Path(place).read_bytes() == before
    assert not [name for name in os.listdir() if name.endswith(".journal")]


UNASKED = {
    "classify": ("classify", "a.gif", *NET),
    "attributes": ("attributes", "a.gif", "--only", "age"),
    "identify": ("identify", "--group", "a.gif", "b.gif"),
    "merge": ("merge", "pred.csv"),
    "evaluate": ("evaluate", "--predictions", "pred.csv", "--truth", "list.csv"),
    "dataset": ("dataset", "folders", "set"),
}


@pytest.mark.parametrize("what", UNASKED)
def test_what_is_there_is_replaced_only_with_overwrite(command: Command, what: str) -> None:
    out = Path("there.json" if what == "evaluate" else "there.csv")
    out.write_text("mine")
    with pytest.raises(OutputError, match="is there already; give --overwrite"):
        command(*UNASKED[what], "--out", str(out))
    assert out.read_text() == "mine"
    command(*UNASKED[what], "--out", str(out), "--overwrite")
    assert out.read_text() != "mine"


def leaves(group: click.Group, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its whole name."""
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from leaves(one, *path, name)
        else:
            yield " ".join((*path, name)), one


@pytest.mark.parametrize("name", COMMANDS := dict(leaves(videmo)))
def test_every_command_that_writes_files_asks_before_it_replaces(name: str) -> None:
    one = COMMANDS[name]
    names = {str(parameter.name) for parameter in one.params}
    writes = [p for p in one.params if isinstance(p.type, OutputPath)]
    written = names & {"out", "confusion", "records", "features"}
    if name == "train backbone":  # a run that is there goes on; a model is never replaced
        return
    assert {str(p.name) for p in writes} >= written
    assert not writes or "overwrite" in names
