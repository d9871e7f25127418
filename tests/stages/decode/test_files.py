"""Why a file is not there, or no video: what its name and its bytes tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from videmo.errors import VideoError
from videmo.stages.decode import open_video


def reason(path: Path | str) -> str:
    with pytest.raises(VideoError) as caught:
        open_video(path)
    return caught.value.reason


@pytest.mark.skipif(os.name == "nt", reason="names that only POSIX allows")
@pytest.mark.parametrize(
    ("there", "asked", "said"),
    [
        ("a.mp4", "a.mp4 ", "its name has spaces around it, and without there is one; take them"),
        ("s/a.mp4", "s / a.mp4", "its name has spaces around it, and without there is one; take"),
        ("b.mp4", "a.mp4 ", "its name has spaces around it; take them out of the list"),
        ("s/a.mp4", "s\\a.mp4", "backslashes, which part no folders here, and without there is"),
        ("é.mp4", os.fsdecode("é.mp4".encode("latin-1")), "may be Latin-1, and without there is"),
        ("e\u0301.mp4", "\u00e9.mp4", "its accents are composed otherwise, and without there is"),
        ("b.mp4", "a.mp4", "no such file; check the path"),
    ],
)
def test_a_missing_file_is_told_with_what_lists_get_wrong(
    tmp_path: Path, there: str, asked: str, said: str
) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    told = reason(f"{tmp_path}/{asked}")
    assert told.startswith("no such file; ") and said in told


@pytest.mark.skipif(os.name == "nt", reason="links want rights there")
def test_a_link_to_nowhere_says_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("gone/b.mp4")
    assert "a link to gone/b.mp4, which is not there" in reason(str(tmp_path / "a.mp4"))
