"""The door: help that is found, options by the names that people bring along, near misses."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import toys
from click.testing import CliRunner, Result

from videmo import store
from videmo.cli import videmo
from videmo.cli.grouped import FIRST, SECTIONS


def run(*words: str, **more: Any) -> Result:
    return CliRunner().invoke(videmo, list(words), prog_name="videmo", **more)


def leaves(
    group: click.Group = videmo, path: str = "videmo"
) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.commands[name]
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(leaves())


@pytest.mark.parametrize("path", COMMANDS)
def test_the_examples_of_a_command_are_commands(path: str) -> None:
    examples = (COMMANDS[path].epilog or "").replace("\\\n", " ")
    own = re.findall(rf"\b{path}\b[^|>\n]*", examples)
    assert own, f"{path} has no example"
    for example in own:
        words = shlex.split(example.replace(')"', ""))[path.count(" ") + 1 :]
        command = COMMANDS[path]
        settings = videmo.context_settings | {"resilient_parsing": True}
        context = click.Context(command, info_name=path, **settings)
        command.make_parser(context).parse_args(words)  # raises NoSuchOption


@pytest.mark.parametrize("path", COMMANDS)
@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal_and_has_every_option_once(path: str, width: int) -> None:
    said = run(*path.split()[1:], "-h", terminal_width=width).output
    prose = [line for line in said.splitlines() if "videmo " not in line and "Usage" not in line]
    assert max(map(len, prose)) <= width
    sections = re.split(r"^\w[\w ]+:$", said, maxsplit=1, flags=re.M)[1]
    shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", sections, re.M)
    options = [one for one in COMMANDS[path].params if isinstance(one, click.Option)]
    wanted = [name_of(one) for one in options if not one.hidden]
    assert sorted(shown) == sorted([*wanted, "--help"])


def name_of(option: click.Option) -> str:
    """Return the first long name of an option."""
    return next(name for name in option.opts if name.startswith("--"))


@pytest.mark.parametrize("path", COMMANDS)
def test_what_a_command_does_fits_the_line_of_a_list(path: str) -> None:
    *group, _ = path.split()
    said = run(*group[1:], "-h", terminal_width=80).output
    assert "..." not in said.partition("Commands:")[2].partition("Example")[0]


def test_the_options_that_most_people_need_come_first() -> None:
    said = run("classify", "-h", terminal_width=80).output
    sections = re.findall(r"^(\w[\w ]+):$", said, re.M)
    assert sections[0] == FIRST and sections == [s for s in SECTIONS if s in sections]
    assert "Options" not in sections, "every option of classify has its section"
    first = said.partition(f"{FIRST}:")[2].partition("Inputs:")[0]
    assert len(re.findall(r"^  -", first, re.M)) == 10


def test_every_default_is_shown() -> None:
    said = run("attributes", "-h").output
    for default in ("afew7", "auto", "0.8", "mean", "51"):
        assert f"default: {default}" in " ".join(said.split())


def test_the_defaults_of_the_head_are_what_its_recipe_says() -> None:
    recipe = store.load("afew7").recipe
    said = " ".join(run("classify", "-h").output.split()).replace("e- m", "e-m")  # a line's end
    told = {
        "detector": recipe.detection.detector, "detect-every": recipe.following.every,
        "score": recipe.detection.score, "min-face": recipe.detection.min_face,
        "faces": recipe.detection.faces,
    }  # fmt: skip
    for option, value in told.items():
        assert re.search(rf"--{option} (?:(?! --\w).)*: {value} for afew7[.;]", said), option
    assert (recipe.sampling.fps, recipe.sampling.every, recipe.sampling.max_side) == (None, 1, None)


@pytest.mark.parametrize("path", COMMANDS)
def test_an_output_is_minus_o_everywhere(path: str) -> None:
    for option in COMMANDS[path].params:
        if option.name == "out":
            assert {"-o", "--output", "--out"} <= {*option.opts}
        if option.name == "format_":
            assert {"-f", "--format"} <= {*option.opts}


@pytest.mark.parametrize("path", COMMANDS)
def test_an_input_that_may_not_be_read_is_not_wrong_use_and_can_be_traced(path: str) -> None:
    for one in COMMANDS[path].params:  # click would end the run of all other clips
        assert not (isinstance(one, click.Argument) and getattr(one.type, "readable", False))
    if path not in ("videmo schema", "videmo completion"):  # which read nothing
        assert any(one.name == "debug" for one in COMMANDS[path].params)


def test_a_clip_in_the_place_of_a_command_is_classified(tmp_path: Path) -> None:
    said = run(str(tmp_path / "gone.mp4"), "-q").output
    assert '"path"' in said and "no such file" in said
    (tmp_path / "folder").mkdir()
    assert "no clip in" in str(run(str(tmp_path / "folder")).exception)


def test_help_is_a_word_as_well() -> None:
    assert run("help", "merge").output == run("merge", "--help").output
    assert run("help").output == run("-h").output


def test_a_near_miss_says_what_it_missed() -> None:
    assert "did you mean classify?" in run("clasify", "x").output
    assert "did you mean list?" in run("models", "lst").output
    assert "--format" in run("classify", "--fromat", "csv", "x").output
    said = run("--every", "5", "a b.mp4").output
    assert "videmo classify --every 5 'a b.mp4'" in said


def test_a_part_that_both_the_manifest_and_the_command_line_name_is_refused(tmp_path: Path) -> None:
    toys.clip(tmp_path / "a.gif", [(9, 9, 9)] * 3)
    (tmp_path / "m.csv").write_text("path,start,end\na.gif,0:00,0:01\n")
    said = run("classify", "--manifest", str(tmp_path / "m.csv"), "--end", "0:02").output
    assert "m.csv says which part of" in said and "leave out one" in said


def test_names_with_underscores_are_those_with_dashes() -> None:
    said = run("classify", "x.mp4", "--min_face", "48", "--clip_timeout", "0").output
    assert "Invalid value for '--clip-timeout'" in said
    assert run("extract_features", "-h").output == run("extract-features", "-h").output
    assert "--format" in run("classify", "--fro_mat", "csv", "x").output


@pytest.mark.parametrize(
    ("foreign", "here"),
    [
        ("--model", "here it is --head"), ("--json", "here it is --format json"),
        ("--output_format", "here it is --format"), ("--force", "here it is --overwrite"),
        ("--recursive", "folders are searched"), ("--config", "videmo --config FILE"),
    ],
)  # fmt: skip
def test_an_option_of_other_tools_says_what_it_is_here(foreign: str, here: str) -> None:
    assert here in " ".join(run("classify", foreign, "x").output.split())


@pytest.mark.parametrize("command", ["timeline", "annotate", "attributes", "extract-features"])
def test_a_command_that_needs_every_frame_says_so(command: str) -> None:
    said = " ".join(run(command, "--budget", "fast", "x").output.split())
    assert f"{command} needs every frame" in said


def test_persons_are_told_apart_by_every_frame() -> None:
    said = run("classify", "x.mp4", "--per", "person", "--budget", "fast").output
    assert "every frame is looked at" in " ".join(said.split())


def test_an_option_that_a_command_lacks_is_not_promised() -> None:
    assert "--jobs" not in run("doctor", "--workers", "3").output


def test_a_dry_run_lists_the_clips_and_looks_at_none(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,start,end\nb.mp4,,\na.mp4,1:00,1:30\n")
    done = run("classify", "--manifest", str(tmp_path / "m.csv"), "--dry-run", "-o", "never.csv")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{tmp_path / 'b.mp4'}", f"{tmp_path / 'a.mp4'}  from 60 s  to 90 s"
    ]  # fmt: skip
    assert not Path("never.csv").exists()


@pytest.mark.parametrize("time", ["1:75", "soon", "-1"])
def test_what_is_no_time_says_how_one_is_written(time: str) -> None:
    said = " ".join(run("classify", "x.mp4", "--start", time).output.split())
    assert repr(time) in said and "1:30 or 00:01:30.5" in said


def test_a_section_that_is_not_known_cannot_hide_an_option() -> None:
    for command in COMMANDS.values():
        assert {getattr(one, "section", "Options") for one in command.params} <= {*SECTIONS}


def test_a_file_whose_name_begins_with_a_dash_is_told_how_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x y.mp4").touch()
    for words in (["-x y.mp4"], ["classify", "-x y.mp4"]):
        said = " ".join(run(*words).output.split())
        assert "write './-x y.mp4', or put -- before it" in said
    assert "No such option" in run("classify", "-x z.mp4").output
    for words in (["./-x y.mp4", "--dry-run"], ["classify", "--dry-run", "--", "-x y.mp4"]):
        assert run(*words).stdout.strip() in words
    assert "-x y.mp4: empty file" in run("--", "-x y.mp4").output


@pytest.mark.parametrize(
    ("asked", "before", "coloured"),
    [
        ("always", {}, True), ("always", {"NO_COLOR": "1"}, True), ("auto", {}, False),
        ("never", {"FORCE_COLOR": "1"}, False), ("auto", {"FORCE_COLOR": "1"}, True),
    ],
)  # fmt: skip
def test_colour_is_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, before: dict[str, str],
    coloured: bool,
) -> None:  # fmt: skip
    toys.network(tmp_path / "red", "emotion")
    toys.clip(tmp_path / "a.gif", [(200, 40, 40)])
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.setenv(name, before.get(name, ""))  # which is undone, whatever is asked for
        if name not in before:
            monkeypatch.delenv(name)
    given = ("--head", str(tmp_path / "red"), "--format", "table", "--color", asked)
    said = run("classify", str(tmp_path / "a.gif"), *given).stdout
    assert ("\x1b[" in said) is coloured


@pytest.mark.filterwarnings("ignore:.*make_default_short_help:DeprecationWarning")  # click-man's
def test_every_command_has_a_man_page_by_the_line_of_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("click_man")
    guide = Path(__file__).parents[2] / "examples" / "install.md"
    (line,) = re.findall(r'^\$ python -c "(.*write_man_pages.*)"$', guide.read_text("utf-8"), re.M)
    monkeypatch.setenv("HOME", str(tmp_path))
    (pages := tmp_path / ".local/share/man/man1").mkdir(parents=True)
    exec(line, {})
    made = {path.stem.replace("-", " ") for path in pages.iterdir()}
    assert {path.replace("-", " ") for path in COMMANDS} <= made
    said = (pages / "videmo-classify.1").read_text("utf-8").replace("\\-", "-")
    assert "--fail-fast" in said and "PATHS are video files" in said
    if groff := shutil.which("groff"):
        done = subprocess.run([groff, "-man", "-Tutf8", "-ww", "-z", *map(str, pages.iterdir())],
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0 and "error" not in done.stderr
