"""Clips and outputs at URLs: the answers of local files, and errors that name the URL."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest

from videmo.cli import main
from videmo.errors import InputError, MissingDependency, NothingToDo, OutputError, VideoError
from videmo.files import remote
from videmo.runs.inputs import Clip, find_clips, read_manifest
from videmo.runs.journal import SUFFIX, Journal, beside
from videmo.stages.decode import Sampling, open_video
from videmo.write.npz import load_features
from videmo.write.sink import open_file

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install '.[remote]'")


@pytest.fixture
def bucket() -> Iterator[Any]:
    """Return an empty file system in memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.make(tmp_path_factory.mktemp("clip") / "a.mp4", 10)


def fill(bucket: Any, *names: str) -> None:
    for name in names:
        bucket.pipe_file(f"/b/{name}", b"x")


def paths(*given: str, **options: Any) -> list[str]:
    return [clip.path for clip in find_clips(given, **options)]


# finding


@pytest.mark.parametrize("path", ["s3://b/a.mp4", "file:///a.mp4", "memory://a", "GS://b/a"])
def test_a_url_is_told_from_a_path(path: str) -> None:
    assert remote.is_url(path)


@pytest.mark.parametrize("path", ["a.mp4", "/a://b", "c://a.mp4", "a:b.mp4", "s3:/b/a.mp4", ""])
def test_a_path_is_told_from_a_url(path: str) -> None:
    assert not remote.is_url(path)


def test_a_video_s_url_is_taken_as_given_without_asking_for_it() -> None:
    given = ["memory://b/none.mp4", "memory://b//none.mp4"]
    assert paths(*given) == given


def test_a_folder_at_a_url_is_searched_in_the_order_of_local_ones(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["z.mp4", "a/b.MOV", "a.mp4", "a/.c.mp4", ".d/e.mp4", "a/f.txt", "a b/g.mkv"]
    fill(bucket, *names)
    for name in names:
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).touch()
    monkeypatch.chdir(tmp_path)
    local = [f"memory://{path}" for path in paths("b")]
    assert paths("memory://b") == paths("memory://b/") == local and len(local) == 4
    assert paths("memory://b", exclude=["a"]) == [p for p in local if "/a/" not in p]
    assert paths("memory://b", include=["a*"], ext=["txt"]) == [
        f"memory://{path}" for path in paths("b", include=["a*"], ext=["txt"])
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("memory://b/*.mp4", ["a.mp4"]),
        ("memory://b/**/*.mp4", ["a.mp4", "c/d/e.mp4"]),
        ("memory://b/c*", ["c/d/e.mp4", "c/f.mkv"]),
        ("memory://b/c/*.txt", ["c/g.txt"]),
        ("memory://b/?/[d-f]*", ["c/d/e.mp4", "c/f.mkv"]),
    ],
)
def test_patterns_match_in_urls(bucket: Any, pattern: str, found: list[str]) -> None:
    fill(bucket, "a.mp4", "c/d/e.mp4", "c/f.mkv", "c/g.txt")
    assert paths(pattern) == [f"memory://b/{name}" for name in found]


def test_a_folder_without_clips_and_a_pattern_without_a_place_are_said(bucket: Any) -> None:
    fill(bucket, "a.txt")
    with pytest.raises(NothingToDo, match="no clip in memory://b: 1 file looked at"):
        paths("memory://b")
    with pytest.raises(InputError, match="names no place to look in"):
        paths("s3://*.mp4")


def test_a_web_page_s_url_is_one_clip_whatever_it_looks_like() -> None:
    pytest.importorskip("aiohttp", reason="https:// needs aiohttp")
    assert paths("https://example.org/watch?v=*") == ["https://example.org/watch?v=*"]


def test_a_manifest_may_be_at_a_url_and_name_urls(bucket: Any, tmp_path: Path) -> None:
    text = b"path,label\nc/a.mp4,Happy\nmemory://d/e.mp4,Sad\n/f.mp4,Fear\n"
    bucket.pipe_file("/b/clips.csv", text)
    there = [clip.path for clip in read_manifest("memory://b/clips.csv")]
    assert there == ["memory://b/c/a.mp4", "memory://d/e.mp4", "/f.mp4"]
    (tmp_path / "clips.csv").write_bytes(text)
    assert read_manifest(str(tmp_path / "clips.csv"))[1].path == "memory://d/e.mp4"
    with pytest.raises(InputError, match=r"memory://b/none.csv: the list cannot be read \(no such"):
        read_manifest("memory://b/none.csv")


def test_a_password_in_a_url_is_refused_and_not_repeated(bucket: Any) -> None:
    for use in (paths, open_video, open_file):
        with pytest.raises(InputError) as caught:
            use("memory://me:secret@b/a.mp4")
        assert "secret" not in str(caught.value) and "memory://b/a.mp4: its pass" in str(
            caught.value
        )


@pytest.mark.parametrize(
    ("url", "package"),
    [("s3://b/a.mp4", "s3fs"), ("gs://b/a.mp4", "gcsfs"), ("abfs://b/a", "adlfs")],
)
def test_a_package_that_is_missing_is_named(url: str, package: str) -> None:
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(
        MissingDependency, match=f"{package} is not installed; .*pip install {package}$"
    ):
        paths(url)


@pytest.mark.parametrize("url", ["reference://x", "github://x/y.mp4", "data://x"])
def test_what_is_no_store_of_files_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="no store of files that is read"):
        remote.checked_url(url)


def test_offline_fetches_no_clip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDEMO_OFFLINE", "1")
    with pytest.raises(InputError, match="VIDEMO_OFFLINE is set, so it is not fetched"):
        open_video("http://127.0.0.1:9/a.mp4")
    assert remote.checked_url(f"file://{tmp_path}/a.mp4")


def test_a_kind_of_url_that_nobody_knows_is_said() -> None:
    with pytest.raises(InputError, match="nosuch:// is of no kind that fsspec knows"):
        paths("nosuch://b/a.mp4")


# reading


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_a_clip_at_a_url_gives_the_frames_of_the_file(
    bucket: Any, clip: Path, decoder: str
) -> None:
    bucket.pipe_file("/b/a.mp4", clip.read_bytes())
    with open_video("memory://b/a.mp4", decoder) as there, open_video(clip, decoder) as here:
        for one, other in zip(there.read(Sampling()), here.read(Sampling()), strict=True):
            assert np.array_equal(one.pixels, other.pixels)
            assert np.array_equal(one.time, other.time)
        assert there.info.path == "memory://b/a.mp4"
        assert there.info.decoder == here.info.decoder


def test_the_copy_of_a_clip_is_gone_when_it_is_closed_or_cannot_be_read(
    bucket: Any, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bucket.pipe_file("/b/a.mp4", clip.read_bytes())
    bucket.pipe_file("/b/bad.mp4", b"no video")
    with open_video("memory://b/a.mp4"):
        assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(VideoError, match=r"^memory://b/bad.mp4: text, not a video; check"):
        open_video("memory://b/bad.mp4")
    assert not list(tmp_path.iterdir())


def test_a_file_url_is_read_in_place(clip: Path, tmp_path: Path) -> None:
    with remote.local_copy(f"file://{clip}") as path:
        assert path == str(clip)


def test_a_clip_that_is_missing_has_the_error_of_a_missing_file(bucket: Any) -> None:
    with pytest.raises(VideoError) as caught:
        open_video("memory://b/none.mp4")
    assert caught.value.path == "memory://b/none.mp4"
    assert caught.value.reason == "no such file; check the path"
    pickle.loads(pickle.dumps(caught.value))


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            PermissionError("403 for https://k:v@x"),
            "permission denied; ask for the right to read it",
        ),
        (OSError("cut off at s3://b?sig=secret now"), r"cannot be fetched \(cut off at ... now\)"),
        (KeyError("secret://sig"), r"cannot be fetched \(KeyError: ...\)"),
    ],
)
def test_what_a_service_says_is_a_video_error_without_addresses(
    bucket: Any, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(type(bucket), "open", fail)
    with pytest.raises(VideoError, match=said) as caught:
        open_video("memory://b/a.mp4")
    assert "secret" not in str(caught.value)


def test_a_connection_that_ends_early_is_no_short_clip(
    bucket: Any, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe_file("/b/a.mp4", clip.read_bytes())

    class Cut(io.BytesIO):
        size = clip.stat().st_size

    short = clip.read_bytes()[:-1]
    monkeypatch.setattr(type(bucket), "open", lambda *_, **__: Cut(short))
    with pytest.raises(VideoError, match="bytes came"):
        open_video("memory://b/a.mp4")


# writing


def test_an_output_at_a_url_appears_when_it_is_whole(bucket: Any) -> None:
    sink = open_file("memory://b/out.csv")
    sink.write("path\n")
    assert not bucket.exists("/b/out.csv")
    sink.close()
    assert bucket.cat_file("/b/out.csv") == b"path\n"
    other = open_file("memory://b/out.csv")
    other.write("nothing")
    other.discard()
    assert bucket.cat_file("/b/out.csv") == b"path\n"


def test_an_output_that_cannot_be_uploaded_leaves_nothing(tmp_path: Path) -> None:
    sink = open_file(f"file://{tmp_path}/no/such/out.csv")
    sink.write("path\n")
    with pytest.raises(OutputError, match=r"out\.csv"):
        sink.close()
    assert not list(tmp_path.iterdir())


def test_a_journal_knows_a_remote_clip_by_what_changes_with_it(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, "a.mp4")
    with Journal(tmp_path / "out") as journal:
        key = journal._key(Clip("memory://b/a.mp4"))
        fill(bucket, "a.mp4")
        journal.begin({})
        assert journal._key(Clip("memory://b/a.mp4")) != key and key[3] == 1
        assert journal._key(Clip("memory://b/none.mp4"))[3:5] == (-1, "")


def test_the_journal_of_a_remote_output_lies_in_the_working_folder() -> None:
    one, other = (beside(f"s3://{bucket}/x/em otions.csv?v=1") for bucket in "ab")
    assert one != other and one.startswith("em_otions.csv_v_1.")
    assert beside("x/emotions.csv") == "x/emotions.csv"


def test_a_run_from_and_to_urls_has_the_bytes_of_a_local_one(
    bucket: Any, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name, content in (("a.mp4", demo.read_bytes()), ("b.mp4", b"no video")):
        (tmp_path / "clips" / name).write_bytes(content)
        bucket.pipe_file(f"/b/clips/{name}", content)
    more = ["--fps", "1", "--detector", "whole", "-q"]

    def run(*given: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main([*given, *more])
        return ended.value.code

    assert run("classify", "clips", "--out", "out.csv") == 1
    assert run("classify", "memory://b/clips", "--out", "memory://b/out.csv") == 1
    here = (tmp_path / "out.csv").read_bytes()
    assert bucket.cat_file("/b/out.csv").replace(b"memory://b/", b"") == here
    assert run("classify", "memory://b/clips", "--out", "memory://b/out.csv") == 1  # is there
    assert run("classify", "memory://b/clips", "--out", "memory://b/out.csv", "--resume") == 1
    assert run("extract-features", "memory://b/clips", "--out", "memory://b/out.npz") == 1
    (tmp_path / "got.npz").write_bytes(bucket.cat_file("/b/out.npz"))
    assert load_features(tmp_path / "got.npz").path[0] == "memory://b/clips/a.mp4"
    assert sorted(os.listdir(tmp_path)) == [
        "clips", "got.npz", "out.csv", "out.csv.receipt",
    ]  # fmt: skip
    assert not list(tmp_path.glob(f"*{SUFFIX}"))
