"""RetinaFace: the download, the anchors and boxes, and the package's own answer."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from videmo.data import FrameBatch
from videmo.detect import Detection, retinaface
from videmo.errors import CorruptModel, ModelError, ModelNotFound

BODY = b"weights " * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
PACKED = io.BytesIO()
with zipfile.ZipFile(PACKED, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("weights.pth", BODY)


class Answers(BaseHTTPRequestHandler):
    """Serves good.pth and packed.zip, promises too much for short.pth, and knows no other."""

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.server.asked.append(name)  # type: ignore[attr-defined]
        body = {"good.pth": BODY, "short.pth": BODY[:100], "packed.zip": PACKED.getvalue()}
        if name not in body:
            self.send_error(404)
            return
        self.send_response(200)
        declared = len(BODY) if name == "short.pth" else len(body[name])
        self.send_header("Content-Length", str(declared))
        self.end_headers()
        self.wfile.write(body[name])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEMO_OFFLINE", raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: ThreadingHTTPServer, name: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def test_a_download_is_kept_under_its_name(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    path = retinaface.fetch(url(server, "good.pth"), tmp_path / "new", SHA256[:9])
    assert path == tmp_path / "new" / "good.pth"
    assert path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == ["good.pth"]


def test_a_file_that_is_there_is_not_fetched_again(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    for _ in range(2):
        retinaface.fetch(url(server, "good.pth"), tmp_path, SHA256[:9])
    assert server.asked == ["good.pth"]  # type: ignore[attr-defined]


def test_the_hash_may_be_that_of_the_only_member_of_an_archive(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    assert retinaface.fetch(url(server, "packed.zip"), tmp_path, SHA256[:9]).is_file()


def test_a_download_with_another_hash_is_not_kept(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    with pytest.raises(CorruptModel, match=r"good\.pth: expected SHA-256 abcdef123, got"):
        retinaface.fetch(url(server, "good.pth"), tmp_path, "abcdef123")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_ends_early_is_not_kept(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    with pytest.raises((CorruptModel, ModelError), match=r"short\.pth"):
        retinaface.fetch(url(server, "short.pth"), tmp_path, SHA256[:9])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told_with_the_way_out(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"404.*fetch it yourself and put it at .*none\.pth"):
        retinaface.fetch(url(server, "none.pth"), tmp_path, SHA256[:9])
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/good.pth"
        with pytest.raises(ModelError, match="cannot be fetched"):
            retinaface.fetch(address, tmp_path, SHA256[:9], timeout=0.1)


def test_offline_asks_no_server(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEMO_OFFLINE", "1")
    with pytest.raises(ModelError, match="VIDEMO_OFFLINE is set"):
        retinaface.fetch(url(server, "good.pth"), tmp_path, SHA256[:9])
    assert server.asked == []  # type: ignore[attr-defined]


def test_anchors_are_those_of_the_package() -> None:
    prior_box = pytest.importorskip("retinaface.prior_box")
    steps, sides = zip(*retinaface.STEPS.items(), strict=True)
    theirs = prior_box.priorbox(sides, steps, clip=False, image_size=(64, 96)).numpy()
    ours = retinaface.anchors(64, 96)
    assert ours[:, :2] == pytest.approx(theirs[:, :2] * [96, 64], abs=1e-4)
    assert ours[:, 2] == pytest.approx(theirs[:, 2] * 96, abs=1e-4)


def test_boxes_and_points_are_decoded_as_in_the_package(rng: np.random.Generator) -> None:
    box_utils = pytest.importorskip("retinaface.box_utils")
    import torch

    anchor = retinaface.anchors(64, 64)
    box, points = (rng.normal(0, 2, (len(anchor), n)).astype(np.float32) for n in (4, 10))
    priors = torch.from_numpy(anchor[:, [0, 1, 2, 2]])
    got_box, got_points = retinaface.decode(anchor, box, points)
    theirs = box_utils.decode(torch.from_numpy(box), priors, (0.1, 0.2)).numpy()
    assert got_box == pytest.approx(theirs, rel=1e-4, abs=1e-2)  # float32 of up to 1000 px
    marks = box_utils.decode_landm(torch.from_numpy(points), priors, (0.1, 0.2)).numpy()
    assert got_points.reshape(-1, 10) == pytest.approx(marks, rel=1e-4, abs=1e-2)


def test_a_file_that_torch_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(BODY)
    with pytest.raises(CorruptModel, match=r"bad\.pth: expected weights saved by torch"):
        retinaface._state(tmp_path / "bad.pth")


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"none\.pth"):
        retinaface._state(tmp_path / "none.pth")


def test_weights_packed_in_an_archive_are_read(tmp_path: Path) -> None:
    import torch

    saved = io.BytesIO()
    torch.save({"a": torch.ones(3)}, saved)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("weights.pth", saved.getvalue())
    assert retinaface._state(tmp_path / "packed.zip")["a"].tolist() == [1, 1, 1]


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(CorruptModel, match=r"other\.pth: expected the weights of RetinaFace"):
        retinaface.RetinaFace(weights=tmp_path / "other.pth")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the package's other imports warn
def test_untrained_weights_give_the_answer_of_the_package(tmp_path: Path) -> None:
    import torch
    from retinaface.predict_single import Model
    from skimage.data import astronaut

    torch.manual_seed(1)
    network = retinaface._empty()
    torch.save(network.state_dict(), tmp_path / "random.pth")
    theirs = Model(max_size=192)
    theirs.load_state_dict(network.state_dict())
    theirs.eval()
    pixels = np.stack([astronaut()[:192, 128:320], astronaut()[100:292, 100:292]])
    options = Detection("retinaface", score=0.6, min_face=1, max_side=192)
    ours = retinaface.RetinaFace(options, weights=tmp_path / "random.pth")
    got = ours(FrameBatch(pixels, np.arange(2), np.arange(2.0)))
    for row in range(2):
        said = theirs.predict_jsons(pixels[row], confidence_threshold=0.6)
        box = np.array([one["bbox"] for one in said], float).clip(0, 192)
        here = got[got.row == row]
        assert len(here) == len(box) > 3
        assert here.score == pytest.approx([one["score"] for one in said], abs=1e-5)
        assert here.box == pytest.approx(box, abs=1.001)  # theirs is cut to whole px
        marks = np.array([one["landmarks"] for one in said], float)
        assert here.landmarks == pytest.approx(marks, abs=1.001)
