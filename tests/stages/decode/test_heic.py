"""Photographs as phones write them: in tiles, turned, under any name."""

from __future__ import annotations

import sys
from pathlib import Path

import clips
import numpy as np
import pytest
from PIL import Image

from videmo.errors import VideoError
from videmo.stages.decode import Sampling, hdr, open_video
from videmo.stages.decode.heic import _standard

heif = pytest.importorskip("pillow_heif", reason="pillow-heif writes the photographs")

HEIGHT, WIDTH, TILE = 192, 256, 64  # px


def photograph(
    path: Path, number: int, *, tile: int | None = TILE, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> Path:
    """Write the picture of a number as HEIC, in tiles of so many px or whole."""
    picture = heif.from_pillow(Image.fromarray(clips.draw(number, *size)))
    with path.open("wb") as file:  # whatever its suffix
        picture.save(file, quality=90, **({"tile_size": tile} if tile else {}))
    return path


def shown(path: Path) -> np.ndarray:
    with open_video(path) as video:
        (frames,) = video.read(Sampling())
        assert frames.pixels.shape[1:] == (video.info.height, video.info.width, 3)
        return frames.pixels[0]


@pytest.mark.parametrize("tile", [TILE, None])
@pytest.mark.parametrize("name", ["face.heic", "face.HIF", "face.jpg", "face"])
def test_a_heic_is_read_whole_whatever_its_name(
    tmp_path: Path, name: str, tile: int | None
) -> None:
    picture = shown(photograph(tmp_path / name, 1234, tile=tile))
    assert clips.number(picture) == 1234
    expected = clips.draw(1234, HEIGHT, WIDTH).astype(int)
    assert np.abs(picture - expected).mean() < 4  # a coder of half the colours; black is 0


def test_two_tiles_are_one_picture(tmp_path: Path) -> None:
    path = photograph(tmp_path / "face.heic", 77, tile=128, size=(96, 256))
    assert clips.number(shown(path)) == 77


def test_a_photograph_in_tiles_is_turned_upright(tmp_path: Path) -> None:
    lying, exif = Image.fromarray(np.rot90(clips.draw(5, HEIGHT, WIDTH))), Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise
    heif.from_pillow(lying).save(tmp_path / "a.heic", exif=exif.tobytes(), tile_size=TILE)
    assert clips.number(shown(tmp_path / "a.heic")) == 5


def test_a_folder_of_photographs_is_a_clip(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        photograph(tmp_path / f"IMG_{number}.HEIC", number)
    with open_video(tmp_path) as video:
        (frames,) = video.read(Sampling())
    assert [clips.number(picture) for picture in frames.pixels] == [1, 2, 10]
    assert not video.warnings


def test_what_reads_tiles_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph(tmp_path / "1.heic", 1)
    photograph(tmp_path / "2.heic", 2, tile=None)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(VideoError, match=r"in tiles; .*\[heic\]"):
        open_video(tmp_path / "1.heic")
    with open_video(tmp_path) as video:  # its own row, or picture, and nothing else
        (frames,) = video.read(Sampling())
    assert clips.number(frames.pixels[0]) == 2
    assert "1.heic" in video.warnings[0] and "[heic]" in video.warnings[0]


@pytest.mark.parametrize("part", [0.02, 0.5, 0.97])
def test_a_photograph_that_was_cut_off_is_an_error(tmp_path: Path, part: float) -> None:
    whole = photograph(tmp_path / "whole.heic", 9).read_bytes()
    (tmp_path / "cut.heic").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(VideoError):
        open_video(tmp_path / "cut.heic")


def test_a_photograph_has_as_many_pixels_as_any_picture_may(tmp_path: Path) -> None:
    path = photograph(tmp_path / "large.heic", 3)
    with pytest.raises(VideoError, match="frames of 256 x 192 px"):
        open_video(path, pixels=HEIGHT * WIDTH - 1)
    path.write_bytes(path.read_bytes() + bytes(4 * HEIGHT * WIDTH))
    with pytest.raises(VideoError, match="too large for a photograph"):
        open_video(path, pixels=HEIGHT * WIDTH)


def test_a_photograph_of_high_dynamic_range_is_shown_as_a_video_of_it_is() -> None:
    deep = np.full((2, 2, 3), 30_000, np.uint16)
    pixels, notes = _standard(deep, {"nclx_profile": {"transfer_characteristics": hdr.PQ}})
    assert (pixels == hdr.to_standard(deep, hdr.PQ)).all() and "(PQ)" in notes[0]
    plain, nothing = _standard(deep, {"nclx_profile": None})
    assert (plain == 30_000 >> 8).all() and not nothing
