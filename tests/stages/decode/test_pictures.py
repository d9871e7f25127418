"""Pictures: several in one file with their times, and what damage makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
from PIL import Image

from videmo.errors import VideoError
from videmo.stages.decode import Sampling, open_video

SHOWN = [100, 40, 0, 250, 100]  # ms


def animate(path: Path, kind: str | None = None, count: int = 5, **more: Any) -> Path:
    first, *others = [Image.fromarray(clips.draw(n)) for n in range(count)]
    if path.suffix == ".webp" or kind == "WEBP":
        more = {"lossless": True, **more}
    first.save(path, kind, save_all=True, append_images=others, duration=SHOWN[:count], **more)
    return path


def read(path: Path, **sampling: Any) -> tuple[list[int], list[float], Any]:
    with open_video(path) as video:
        frames = [*video.read(Sampling(**sampling))]
    shown = [clips.number(picture) for batch in frames for picture in batch.pixels]
    return shown, [t for batch in frames for t in batch.time.tolist()], video


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.apng", "A.PNG"])
def test_all_pictures_of_a_file_are_read_with_their_times(tmp_path: Path, name: str) -> None:
    shown, times, video = read(animate(tmp_path / name, "PNG" if name.endswith("apng") else None))
    assert shown == [0, 1, 2, 3, 4]
    assert times == pytest.approx([0.0, 0.1, 0.14, 0.24, 0.49])  # one without a time: 0.1 s
    assert video.info.frames == 5 and video.info.duration == pytest.approx(0.59)
    assert video.warnings == []


def test_they_are_sampled_by_time(tmp_path: Path) -> None:
    clip = animate(tmp_path / "a.webp")
    assert read(clip, fps=5)[0] == [0, 3, 4]
    assert read(clip, every=2)[0] == [0, 2, 4]
    assert read(clip, start=0.12, end=0.3)[0] == [2, 3]
    assert read(clip, max_side=64)[2].info.width == 128


def test_a_webp_is_known_by_its_bytes(tmp_path: Path) -> None:
    assert read(animate(tmp_path / "a.mp4", "WEBP"))[0] == [0, 1, 2, 3, 4]


def test_a_picture_that_stands_for_the_animation_is_not_part_of_it(tmp_path: Path) -> None:
    first = Image.fromarray(clips.draw(9))
    others = [Image.fromarray(clips.draw(n)) for n in range(3)]
    first.save(
        tmp_path / "a.png", save_all=True, append_images=others, duration=100, default_image=True
    )
    assert read(tmp_path / "a.png")[0] == [0, 1, 2]


def test_one_picture_is_a_still_also_where_a_thumbnail_lies_beside_it(tmp_path: Path) -> None:
    Image.fromarray(clips.draw(3)).save(tmp_path / "a.webp", lossless=True)
    first, second = (Image.fromarray(clips.draw(n)) for n in (5, 6))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    for name, number in (("a.webp", 3), ("a.jpg", 5)):
        shown, _, video = read(tmp_path / name)
        assert (shown, video.info.duration, video.warnings) == ([number], 0.04, [])


def test_a_folder_takes_the_first_of_an_animation_and_says_so(tmp_path: Path) -> None:
    animate(tmp_path / "1.webp")
    Image.fromarray(clips.draw(7)).save(tmp_path / "2.png")
    shown, _, video = read(tmp_path)
    assert shown == [0, 7]
    assert video.warnings == ["1.webp: holds 5 pictures; the first is taken"]


def test_pictures_behind_damage_are_missed_and_counted(tmp_path: Path) -> None:
    content = animate(tmp_path / "whole.png").read_bytes()
    third = [at for at in range(len(content)) if content[at : at + 4] == b"fdAT"][2]
    (tmp_path / "a.png").write_bytes(content[: third + 30])
    shown, _, video = read(tmp_path / "a.png")
    assert shown == [0, 1, 2]
    assert video.warnings == ["gives 3 of 5 pictures, up to 0.24 s; the next is damaged"]


def test_real_animations_are_read_whole(shared: Path) -> None:
    for name, count, last in (("anim.webp", 19, 1.9), ("anim_apng.png", 8, 0.7)):
        with open_video(shared / "clips/reported" / name) as video:
            times = np.concatenate([frames.time for frames in video.read(Sampling())])
        assert len(times) == count and times[-1] == pytest.approx(last)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # the command line keeps them from stderr
def test_a_photograph_with_damaged_exif_is_an_error_of_its_own(shared: Path) -> None:
    with pytest.raises(VideoError, match="damaged"):
        open_video(shared / "clips/reported/damaged_exif.jpg")
