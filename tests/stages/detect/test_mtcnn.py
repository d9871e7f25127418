"""MTCNN: its networks against the original's numbers, its weights, its pyramid and its crops."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videmo.data import U8, FrameBatch
from videmo.errors import CorruptModel, MissingDependency, ModelNotFound
from videmo.files.openvino import compile_network
from videmo.stages.detect import Detection, mtcnn, networks

# What the package mtcnn 1.0.0 says (TensorFlow 2 on a CPU) of random pixels
# np.random.default_rng(0).integers(0, 256, shape), for the three shapes one after the other, fed
# to stage.model as (pixels - 127.5) / 128: box, points and the probability of a face.
ORIGINAL = {
    "pnet": ((1, 13, 15, 3), [0.21486, 0.07691, -0.11848, -0.01429, 0.0043]),  # its first cell
    "rnet": ((2, 24, 24, 3), [0.13057, 0.00681, -0.04204, 0.09794, 0.00155]),  # its first crop
    "onet": (
        (2, 48, 48, 3),
        [
            *(0.10752, -0.01167, -0.13629, -0.02592),
            *(0.29852, 0.67450, 0.44329, 0.28037, 0.57775),
            *(0.30135, 0.30977, 0.51298, 0.80632, 0.83280),
            0.00112,
        ],
    ),
}
# ... and of scikit-image's astronaut: MTCNN().detect_faces(astronaut(), box_format="xyxy")
ASTRONAUT = [181.6, 63.73, 264.55, 171.08]
POINTS = [[203.54, 100.1], [245.41, 102.24], [224.22, 126.42], [201.79, 138.59], [244.39, 140.38]]


@pytest.fixture(scope="module")
def picture() -> U8:
    from skimage.data import astronaut

    return np.asarray(astronaut())


@pytest.fixture(scope="module")
def find() -> mtcnn.MTCNN:
    return mtcnn.MTCNN(threads=2)


def batch(pixels: U8) -> FrameBatch:
    return FrameBatch(pixels, np.arange(len(pixels)), np.arange(len(pixels)) / 25)


def test_the_networks_give_the_numbers_of_the_original() -> None:
    rng = np.random.default_rng(0)
    for name, (shape, expected) in ORIGINAL.items():
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        packed = networks._packed(networks.folder_of_weights(), name)
        network = networks.network_of(name, packed)
        answers = networks.Network(compile_network(network, threads=1))(pixels)
        first = answers.reshape(-1, answers.shape[-1])[0].astype(np.float64)
        first[-1] = 1 / (1 + np.exp(-first[-1]))
        assert first == pytest.approx(expected, abs=2e-5), name  # five digits, float32


def test_a_face_is_where_the_original_finds_it(picture: U8) -> None:
    faces = mtcnn.MTCNN(Detection(min_face=20), threads=1)(batch(picture[None]))
    assert len(faces) == 1
    # 5 % of the face: the original cuts and shrinks its crops in another way
    assert faces.box[0] == pytest.approx(np.array(ASTRONAUT), abs=5)
    assert faces.landmarks[0] == pytest.approx(np.array(POINTS), abs=2)
    assert faces.score[0] > 0.99


def test_points_are_eyes_nose_and_mouth_with_the_image_left_first(
    find: mtcnn.MTCNN, picture: U8
) -> None:
    (left, right, nose, mouth_left, mouth_right) = find(batch(picture[None])).landmarks[0]
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_threads_and_chunks_do_not_change_the_faces(
    picture: U8, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = batch(np.stack([np.roll(picture, 40 * k, 1) for k in range(7)]))
    expected = mtcnn.MTCNN(threads=1)(frames)
    monkeypatch.setattr(mtcnn, "CHUNK", 1)
    got = mtcnn.MTCNN(threads=3)(frames)
    assert got.row.tolist() == expected.row.tolist()
    assert got.box == pytest.approx(expected.box, abs=0.01)  # float32 sums in another order


def test_a_face_below_min_face_is_not_looked_for(picture: U8) -> None:
    assert len(mtcnn.MTCNN(Detection(min_face=60), threads=1)(batch(picture[None]))) == 1
    assert len(mtcnn.MTCNN(Detection(min_face=250), threads=1)(batch(picture[None]))) == 0


def test_max_side_raises_the_smallest_face_of_large_frames(picture: U8) -> None:
    options = Detection(min_face=60, max_side=128)  # as if the face of 100 px had 25
    assert len(mtcnn.MTCNN(options, threads=1)(batch(picture[None]))) == 0


def test_a_face_at_the_border_is_cut_by_the_frame(find: mtcnn.MTCNN, picture: U8) -> None:
    faces = find(batch(np.ascontiguousarray(picture[None, 75:, 190:])))
    assert len(faces) == 1
    assert (faces.box[0, :2] == 0).any()


def test_grey_frames_hold_no_face(find: mtcnn.MTCNN) -> None:
    assert len(find(batch(np.full((3, 120, 160, 3), 128, np.uint8)))) == 0


def test_the_pyramid_ends_where_the_cell_no_longer_fits(find: mtcnn.MTCNN) -> None:
    sizes = find._pyramid(360, 640)
    assert sizes[0] == (135, 240)
    assert all(min(size) >= mtcnn.CELL for size in sizes)
    assert min(sizes[-1]) * mtcnn.FACTOR < mtcnn.CELL + 1


def test_crops_show_black_beyond_the_frame() -> None:
    white = [np.full((1, 40, 40, 3), 255, np.uint8)]
    crops, box = mtcnn._cut(white, np.zeros(1, int), np.array([[-24.0, -24.0, 24.0, 24.0]]), 48)
    assert box.tolist() == [[-24, -24, 24, 24]]
    assert (crops[0, :24] == 0).all() and (crops[0, :, :24] == 0).all()
    assert (crops[0, 24:, 24:] == 255).all()


def test_a_crop_far_outside_is_black() -> None:
    white = [np.full((1, 40, 40, 3), 255, np.uint8)]
    crops, _ = mtcnn._cut(white, np.zeros(1, int), np.array([[-99.0, 60.0, -75.0, 84.0]]), 24)
    assert (crops == 0).all()


def test_crops_are_squares_around_the_box_at_its_place(rng: np.random.Generator) -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    halves = mtcnn._halves(ramp[None].copy())
    crops, box = mtcnn._cut(halves, np.zeros(1, int), np.array([[20.0, 60.0, 148.0, 100.0]]), 24)
    assert box.tolist() == [[20, 16, 148, 144]]
    centres = 20 + (np.arange(24) + 0.5) * 128 / 24 - 0.5  # px whose value is their own place
    assert crops[0, 12, :, 0] == pytest.approx(centres, abs=1)  # rounding, twice


def test_weights_of_another_version_are_refused(tmp_path: Path) -> None:
    for path in networks.folder_of_weights().iterdir():
        shutil.copy(path, tmp_path)
    changed = bytearray((tmp_path / "rnet.lz4").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "rnet.lz4").write_bytes(changed)
    with pytest.raises(CorruptModel, match=r"rnet\.lz4: expected rnet of mtcnn 1\.0\.0"):
        mtcnn.MTCNN(weights=tmp_path)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"pnet\.lz4"):
        mtcnn.MTCNN(weights=tmp_path)


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install mtcnn"):
        mtcnn.MTCNN()


def test_the_code_of_the_package_is_not_imported(find: mtcnn.MTCNN) -> None:
    import sys

    assert "mtcnn" not in sys.modules and "tensorflow" not in sys.modules


@pytest.mark.slow
def test_every_start_ends() -> None:
    """Two threads that meet at OpenVINO's first array once waited for ever, in 1 start of 20."""
    code = (
        "import numpy as np\n"
        "from videmo.data import FrameBatch\n"
        "from videmo.stages.detect.mtcnn import MTCNN\n"
        "frames = FrameBatch(np.zeros((8, 90, 120, 3), np.uint8), np.arange(8), np.zeros(8))\n"
        "MTCNN(threads=2)(frames)"
    )
    for _ in range(60):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
        assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the memory")
def test_frames_of_many_sizes_do_not_fill_the_memory() -> None:
    """OpenVINO kept 7 MB for each size that frames had, without an end: 270 MB for these 40."""
    code = (
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from videmo.data import FrameBatch\n"
        "from videmo.stages.detect.mtcnn import MTCNN\n"
        "rng, find = np.random.default_rng(0), MTCNN(threads=1)\n"
        "noise = rng.integers(0, 255, (600, 960, 3)).astype(np.uint8)\n"
        "for height, width in [(600, 960), *rng.integers(200, 600, (40, 2))]:\n"
        "    pixels = np.ascontiguousarray(noise[None, :height, :width])\n"
        "    find(FrameBatch(pixels, np.arange(1), np.zeros(1)))\n"
        "    print(int(Path('/proc/self/statm').read_text().split()[1]) * 4 // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    first, *_, last = map(int, done.stdout.split())
    assert last - first < 120, done.stderr
