"""Pictures of every kind, to be broken on purpose as clips are (`faults`)."""

from __future__ import annotations

from pathlib import Path

import clips
import faults
from PIL import Image


def good(folder: Path) -> list[Path]:
    """Write a picture of every kind that Pillow reads for videmo, and return their paths."""
    drawn = [Image.fromarray(clips.draw(n)) for n in range(4)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Canon"  # turned, and by whom
    every = {"save_all": True, "append_images": drawn[1:], "duration": 100}
    made = []
    for name, options in {
        "plain.jpg": {"quality": 90},
        "turned.jpg": {"exif": exif},
        "progressive.jpeg": {"progressive": True},
        "two.jpg": {"format": "MPO", "save_all": True, "append_images": drawn[1:2]},
        "plain.png": {},
        "turned.png": {"exif": exif},
        "moving.png": every,
        "plain.webp": {"lossless": True},
        "turned.webp": {"exif": exif},
        "moving.webp": every,
        "plain.bmp": {},
    }.items():
        drawn[0].save(folder / name, **options)  # type: ignore[arg-type]
        made.append(folder / name)
    return made


def report(folder: Path, count: int, seed: int) -> None:
    """Print a row of what broken pictures did to the command."""
    (folder / "good").mkdir()
    pictures = good(folder / "good")
    print(f"{count} mutants of {len(pictures)} pictures, seed {seed}")
    faults.print_head()
    faults.print_row("pictures", faults.mutants(folder, pictures, count, seed), "auto", 1)
