"""`videmo annotate` as a shell sees it."""

from __future__ import annotations

import shutil

import pytest

from videmo.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, demo):
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo, "clip.mp4")

    def annotate(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["annotate", *arguments])
        return ended.value.code, *capsys.readouterr()

    return annotate


def test_a_part_of_the_demo_is_drawn_and_progress_tells_the_time_left(run, tmp_path):
    code, out, err = run("clip.mp4", "-o", "-x y.mp4", "--end", "0.2", "--progress", "json",
                         "--blur", "--persons", "1")  # fmt: skip
    assert (code, out) == (0, "")
    assert (tmp_path / "-x y.mp4").stat().st_size > 1000
    assert all(line.startswith("{") for line in err.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("clip.mp4",), 2, "Missing option '-o'"),
        (("clip.mp4", "-o", "clip.mp4", "--overwrite"), 1, "is read as clip.mp4"),
        (("clip.mp4", "-o", "out.avi"), 2, "no output format is called '.avi'"),
        (("clip.mp4", "-o", "none/out.mp4"), 1, "its folder is not there"),
        (("clip.mp4", "-o", "-"), 2, "no suffix says the format"),
        (("clip.mp4", "-o", "o.mp4", "--persons", "0"), 2, "'0' is no list of persons"),
        (("none.mp4", "-o", "o.mp4"), 1, "none.mp4"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_nothing_is_written(run, tmp_path, arguments,
                                                                      code, said):  # fmt: skip
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_small_faces_are_hidden_too_and_not_marked(run, tmp_path, shared, monkeypatch):
    """The classroom has four people, of whom two are too small for the head's own limits."""
    from videmo.show import annotate as room

    hidden, marked = [], []
    monkeypatch.setattr(room, "veil", lambda pixels, boxes: hidden.append(len([*boxes])))
    monkeypatch.setattr(room.Overlay, "draw", lambda self, pixels, marks, caption: (
        marked.append(len(marks)) or pixels))  # fmt: skip
    clip = shared / "clips" / "faces" / "classroom.mp4"
    assert run(str(clip), "-o", "o.mp4", "--blur", "--end", "1", "-q")[0] == 0
    assert min(hidden) >= 4 and 1 <= max(marked) <= 2
