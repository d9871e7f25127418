"""Errors speak Python, and the command line says the same in its own words."""

from __future__ import annotations

import pytest

from videmo.cli.wording import as_options, error_text, reworded
from videmo.errors import NoFaceError, VideoError


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("try less than min_face=24 or score=0.5", "try less than --min-face 24 or --score 0.5"),
        ("change start=, end=, fps= or every=", "change --start, --end, --fps or --every"),
        ("megapixels=60 reads them, which", "--max-megapixels 60 reads them, which"),
        ("or pass them over: scores=False", "or pass them over: --no-scores"),
        ("what they mean: by_meaning=True", "what they mean: --by-meaning"),
        ("compare names: match_by=name", "compare names: --match name"),
        ("more frames (every=1)", "more frames (--every 1)"),
        ("scores=3, my_fps=2, a/fps=3, x.every=2", "scores=3, my_fps=2, a/fps=3, x.every=2"),
        ("score 0.5 and fps 3", "score 0.5 and fps 3"),
    ],
)
def test_options_are_written_as_the_command_line_has_them(python: str, command: str) -> None:
    assert as_options(python) == command


def test_the_name_of_a_file_stays_what_it_is() -> None:
    error = VideoError("fps=3 every=2.mp4", "cannot be opened; use decoder=pyav")
    assert error_text(error) == "fps=3 every=2.mp4: cannot be opened; use --decoder pyav"


def test_no_face_says_smaller_than_what() -> None:
    error = NoFaceError("a.mp4", 3, 32, 0.9)
    assert (
        str(error) == "a.mp4: no face in 3 sampled frames; try less than min_face=32 or score=0.9"
    )
    assert error_text(error).endswith("; try less than --min-face 32 or --score 0.9")


def test_a_record_is_reworded_and_nothing_else_of_it() -> None:
    record = {"path": "fps=3", "error": None, "warnings": ["a: use decoder=pyav"], "x": 1}
    assert reworded(record) == {**record, "warnings": ["a: use --decoder pyav"]}
    failed = record | {"error": {"type": "VideoError", "message": "use precision=fp32"}}
    assert reworded(failed)["error"] == {"type": "VideoError", "message": "use --precision fp32"}
