"""Known faces are followed; whole frames are looked at when it is time, and when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from videmo.data import F64, U8, Array, Faces, FrameBatch
from videmo.errors import InputError
from videmo.stages.boxes import iou
from videmo.stages.decode import Sampling, open_video
from videmo.stages.detect import Detection
from videmo.stages.detect.mtcnn import MTCNN
from videmo.stages.follow import Following, Looks, follow

RATE = 25  # frames/s of every scene
AUTO = Following(every="auto")
SIDE = 40.0  # px of every face

Places = Callable[[int], Sequence[tuple[float, float]]]  # frame -> upper left corners of its faces


class Scene:
    """Faces that are where `places` says; a frame's first pixel holds its number.

    hidden: frames in which a whole look finds nothing; dim: those in which no face is seen again;
    slide: those that look as the one before does; the others flicker
    """

    def __init__(
        self,
        places: Places,
        n: int,
        *,
        hidden: Sequence[int] = (),
        dim: Sequence[int] = (),
        slide: Sequence[int] = (),
    ) -> None:
        self.places, self.n, self.hidden, self.dim = places, n, set(hidden), set(dim)
        self.light = np.cumsum([i not in slide for i in range(n)]) % 2 * 5
        self.whole: list[int] = []  # the frames that were looked at as a whole
        self.shapes: list[tuple[int, ...]] = []  # ... and their height and width

    def frames(self, start: int = 0, size: int = 7, flash: int = -1) -> Iterator[FrameBatch]:
        for low in range(start, self.n, size):
            index = np.arange(low, min(low + size, self.n))
            pixels = np.zeros((len(index), 200, 300, 3), np.uint8)
            pixels += self.light[index, None, None, None].astype(np.uint8)
            pixels[index >= flash if flash >= 0 else slice(0, 0)] += 200
            pixels[:, 0, 0, 0] = index
            yield FrameBatch(pixels, index, index / RATE)

    def boxes(self, number: int) -> F64:
        corner = np.array(self.places(number), np.float64).reshape(-1, 2)
        return np.concatenate([corner, corner + SIDE], 1)

    def find(self, frames: FrameBatch) -> Faces:
        (number,) = frames.index.tolist()
        self.whole.append(number)
        self.shapes.append(frames.pixels.shape[1:3])
        box = self.boxes(number)[: 0 if number in self.hidden else None] * frames.scale
        return Faces.on(frames, np.zeros(len(box)), box, np.full(len(box), 0.99))

    def look(self, pixels: U8, box: Array) -> tuple[F64, F64, F64]:
        number = int(pixels[0, 0, 0])
        there = self.boxes(number)
        score, found = np.full(len(box), 0.1), np.array(box, np.float64)
        if len(there) and number not in self.dim:
            overlap = iou(box, there)
            seen = overlap.max(1) > 0.3
            found[seen], score[seen] = there[overlap.argmax(1)[seen]], 0.8
        return found, score, np.repeat(found[:, None, :2], 5, 1)

    def run(self, following: Following = AUTO, **how: int) -> tuple[list[Faces], Looks]:
        """Return the faces of each frame, and what was done."""
        looks, rows = Looks(), []
        for frames, faces in follow(self.frames(**how), self.find, self.look, following, looks):
            rows += [faces[faces.row == row] for row in range(len(frames))]
        return rows, looks


def still(number: int) -> list[tuple[float, float]]:
    return [(50.0, 60.0)]


def walking(number: int) -> list[tuple[float, float]]:
    return [(10.0 + 4 * number, 60.0)]


def two(number: int) -> list[tuple[float, float]]:
    return [(10.0, 60.0), (200.0, 60.0)]


def test_the_whole_is_looked_at_twice_a_second() -> None:
    scene = Scene(still, 60)
    faces, looks = scene.run()
    assert scene.whole == [0, 13, 25, 38, 50]  # the first frames from 0, 0.5, 1, 1.5 and 2 s
    assert looks.whole == 5
    assert [len(of) for of in faces] == [1] * 60


def test_a_look_that_is_due_is_as_small_as_the_smallest_known_face_allows() -> None:
    def near_and_far(number: int) -> list[tuple[float, float]]:
        return [(10.0, 60.0)] if number >= 40 else [(10.0, 60.0), (200.0, 60.0)]

    for glance, shapes in (
        (20, [(200, 300), (100, 150), (100, 150)]), (10, [(200, 300), (50, 75), (50, 75)]),
        (21, [(200, 300)] * 3), (None, [(200, 300)] * 3),
    ):  # fmt: skip
        scene = Scene(near_and_far, 26)
        faces, _ = scene.run(Following(glance=glance))
        assert scene.shapes == shapes
        assert [of.box[:, 0].tolist() for of in faces] == [[10.0, 200.0]] * 26
    scene = Scene(near_and_far, 45)
    scene.run(Following(glance=20))  # where a face is lost the whole frame is looked at, as it is
    assert scene.shapes[scene.whole.index(40)] == (200, 300)


def test_a_number_counts_frames_of_the_source() -> None:
    scene = Scene(still, 30)
    scene.run(Following(every=10))
    assert scene.whole == [0, 10, 20]


def test_a_face_is_where_it_was_seen_and_as_sure_as_there() -> None:
    faces, _ = Scene(walking, 30).run()
    assert [of.box[0, 0] for of in faces] == [10 + 4 * n for n in range(30)]
    assert faces[0].score[0] == pytest.approx(0.99) and faces[1].score[0] == pytest.approx(0.8)


def test_a_face_that_runs_is_followed_by_its_motion() -> None:
    def running(number: int) -> list[tuple[float, float]]:
        return [(10.0 + 8 * number + 0.3 * number * number, 60.0)]  # 12 px more a frame at the end

    scene = Scene(running, 12)
    faces, _ = scene.run()
    assert scene.whole == [0] and [len(of) for of in faces] == [1] * 12


def test_a_face_that_rests_is_looked_at_in_the_same_place() -> None:
    """Of O-Net's kind: what it says of a box depends on the box, by no rule."""
    scene, shown = Scene(still, 30), list[Array]()

    def look(pixels: U8, box: Array) -> tuple[F64, F64, F64]:
        shown.append(box.copy())
        found, score, points = scene.look(pixels, box)
        return found + np.round(box * 7919) % 5 - 2, score, points

    faces = [of for _, of in follow(scene.frames(size=1), scene.find, look, AUTO)]
    sides = np.array([of.box[0, 2:] - of.box[0, :2] for of in faces])
    assert np.ptp(np.concatenate(shown[:13]), 0).max() < 1.6  # px; it gives way to what is seen
    assert np.ptp(sides, 0).max() <= 4


def test_where_a_found_face_is_the_follower_says_if_it_sees_it() -> None:
    def nudged(frames: FrameBatch) -> Faces:
        faces = scene.find(frames)
        return Faces.on(frames, faces.row, faces.box + 3, faces.score)

    for dim, left in (((), 50.0), ((0, 1), 53.0)):
        scene = Scene(still, 1, dim=dim)
        ((_, faces),) = follow(scene.frames(), nudged, scene.look, AUTO)
        assert faces.box[0, 0] == left and faces.score[0] == pytest.approx(0.99)


def test_a_face_that_comes_near_is_looked_at_in_a_larger_place() -> None:
    shown = list[float]()

    def look(pixels: U8, box: Array) -> tuple[F64, F64, F64]:
        shown.append(float(box[0, 2] - box[0, 0]))
        side = 40 * 1.02 ** pixels[0, 0, 0]  # 2 % more a frame
        there = np.array([[150 - side / 2, 100 - side / 2, 150 + side / 2, 100 + side / 2]])
        return there, np.full(1, 0.9), np.full((1, 5, 2), (150.0, 100.0))

    scene = Scene(lambda number: [(130.0, 80.0)], 26)
    list(follow(scene.frames(), scene.find, look, Following(every=1000)))
    assert scene.whole == [0]
    assert 0.8 < shown[-1] / (40 * 1.02**25) < 1


def test_a_frame_without_a_face_was_looked_at_as_a_whole() -> None:
    scene = Scene(lambda number: [], 30)
    faces, looks = scene.run()
    assert looks.whole == 30 and not any(map(len, faces))


def test_where_nothing_moves_nobody_is_looked_for_again_before_it_is_time() -> None:
    scene = Scene(lambda number: [(50.0, 60.0)] if number >= 29 else [], 32, slide=range(4, 29))
    faces, looks = scene.run()
    assert scene.whole == [0, 1, 2, 3, 13, 25, 29]
    assert looks.whole == 7 and [len(of) for of in faces] == [0] * 29 + [1] * 3


def test_a_slow_change_adds_up() -> None:
    scene = Scene(lambda number: [], 12)
    scene.light = np.arange(12)  # one level a frame: by 3 it is another picture
    scene.run()
    assert scene.whole == [0, 3, 6, 9]


def test_a_face_that_is_lost_is_looked_for_at_once_in_the_whole() -> None:
    scene = Scene(two, 13, dim=[5])
    faces, _ = scene.run()
    assert scene.whole == [0, 5]
    assert [len(of) for of in faces] == [2] * 13


def test_after_a_cut_nobody_is_known() -> None:
    scene = Scene(still, 13, hidden=[6])
    faces, _ = scene.run(flash=6)
    assert scene.whole == [0, 6, 7]
    assert [len(of) for of in faces] == [1] * 6 + [0] + [1] * 6


def test_a_face_that_whole_looks_miss_goes_on_for_the_gap() -> None:
    scene = Scene(still, 60, hidden=range(1, 60))
    faces, _ = scene.run()
    assert [len(of) for of in faces] == [1] * 26 + [0] * 34  # up to 1 s after it was found


def test_two_that_become_one_are_one() -> None:
    def meeting(number: int) -> list[tuple[float, float]]:
        return [(50.0, 60.0)] if number >= 4 else [(50.0, 60.0), (90.0 - 6 * number, 60.0)]

    faces, _ = Scene(meeting, 12).run()
    assert [len(of) for of in faces][4:] == [1] * 8


def test_a_found_face_replaces_the_one_that_was_followed() -> None:
    faces, _ = Scene(two, 40).run()
    assert all(len(of) == 2 for of in faces)
    assert all((of.score == np.float32(0.99)).all() for of in (faces[13], faces[25]))


@pytest.mark.parametrize("size", [1, 3, 60])
def test_nothing_depends_on_where_batches_end(size: int) -> None:
    expected, _ = Scene(walking, 60, dim=[5, 17]).run()
    got, _ = Scene(walking, 60, dim=[5, 17]).run(size=size)
    assert [of.box.tobytes() for of in got] == [of.box.tobytes() for of in expected]
    assert [of.score.tobytes() for of in got] == [of.score.tobytes() for of in expected]


def test_nor_beyond_the_first_window_on_where_it_began() -> None:
    expected, _ = Scene(two, 80, hidden=[25], dim=[40]).run()
    got, _ = Scene(two, 80, hidden=[25], dim=[40]).run(start=8)
    first = 13 - 8  # the frame of the first whole look that both share
    assert [of.score.tobytes() for of in got[first:]] == [
        of.score.tobytes() for of in expected[13:]
    ]


def test_another_size_of_the_frame_is_a_new_beginning() -> None:
    scene = Scene(still, 6)

    def frames() -> Iterator[FrameBatch]:
        for batch in scene.frames(size=3):
            small = batch.pixels[:, :150] if batch.index[0] else batch.pixels
            yield FrameBatch(np.ascontiguousarray(small), batch.index, batch.time)

    list(follow(frames(), scene.find, scene.look, AUTO))
    assert scene.whole == [0, 3]


@pytest.mark.parametrize("every", [0, -1, "often", 1.5, True, None])
def test_what_is_no_number_of_frames_is_refused(every: object) -> None:
    with pytest.raises(InputError, match="give auto, or 1"):
        Following(every=every)  # type: ignore[arg-type]


def test_in_a_clip_no_face_is_lost_and_boxes_are_those_of_detection(demo: Path) -> None:
    find, looks = MTCNN(Detection(), threads=1), Looks()
    with open_video(demo) as video:
        batches = list(video.read(Sampling(end=2.0)))
    exact = [find(frames) for frames in batches]
    overlaps = []
    for (_, got), expected in zip(
        follow(batches, find, find.look, AUTO, looks), exact, strict=True
    ):
        assert set(got.row) >= set(expected.row)
        for row in np.unique(expected.row):
            overlaps += (
                iou(expected.box[expected.row == row], got.box[got.row == row]).max(1).tolist()
            )
    assert looks.whole <= 5
    assert np.median(overlaps) >= 0.93 and np.percentile(overlaps, 5) >= 0.85


def test_a_part_of_a_clip_has_the_faces_of_the_whole_a_second_after_it_begins(demo: Path) -> None:
    find = MTCNN(Detection(), threads=1)

    def faces_of(start: float) -> dict[int, bytes]:
        with open_video(demo) as video:
            parts = follow(video.read(Sampling(start=start, end=7.2)), find, find.look, AUTO)
            every = [faces for _, faces in parts]
        return {
            int(number): faces.box[faces.index == number].tobytes()
            for faces in every
            for number in np.unique(faces.index)
        }

    whole, part = faces_of(3.1), faces_of(5.3)
    later = [number for number in part if number >= 25 * 6.3]
    assert later and all(part[number] == whole[number] for number in later)
