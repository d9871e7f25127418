"""Downloads: whole or not at all, checked, gone on with, and known again."""

from __future__ import annotations

import errno
import hashlib
import io
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pages import BODY, PAGE, POINTER, Site, answer

from videmo.errors import CorruptModel, InputError, ModelError, OutputError
from videmo.files import http
from videmo.files.checksums import git_blob, read_sum, verify_file
from videmo.files.download import Download, files_dir, offline
from videmo.files.fetch import fetch, remove_download
from videmo.files.lock import file_lock

SHA256 = hashlib.sha256(BODY).hexdigest()
BLOB = hashlib.sha1(b"blob %d\0" % len(BODY) + BODY).hexdigest()
OTHER = b"another file" * 1000


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIDEMO_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy",
                 "ALL_PROXY"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def wanted(*urls: str, **more: Any) -> Download:
    return Download("net.pt", urls, **more)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_kept_under_its_name_with_its_sum(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(site.put("a"), sha256=SHA256), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "net.pt"
    assert path.read_bytes() == BODY
    assert names(path.parent) == ["net.pt", "net.pt.sha256"]
    assert (path.parent / "net.pt.sha256").read_text() == f"{SHA256}  net.pt\n"


def test_a_file_that_is_there_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(wanted(site.put("a")), tmp_path)
    assert site.asked == [("a", "")]


def test_it_lies_in_the_cache_unless_told_otherwise(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEMO_CACHE", str(tmp_path))
    assert fetch(wanted(site.put("a"))) == tmp_path / "files" / "net.pt"
    assert files_dir() == tmp_path / "files"


def test_progress_is_told_to_the_end(site: Site, tmp_path: Path) -> None:
    heard: list[tuple[int, int | None]] = []
    fetch(wanted(site.put("a")), tmp_path, tell=lambda *far: heard.append(far))
    assert heard == sorted(heard) and heard[-1] == (len(BODY), len(BODY))


def test_a_file_of_the_disk_is_fetched_as_well(tmp_path: Path) -> None:
    (tmp_path / "ein netz").write_bytes(BODY)
    path = fetch(wanted((tmp_path / "ein netz").as_uri(), sha256=SHA256), tmp_path / "cache")
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("url", ["file:///nowhere/at/all", "file:///", "file://other/net.pt"])
def test_what_is_no_file_of_the_disk_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.pt: cannot be fetched \(file:"):
        fetch(wanted(url), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("digits", [SHA256, SHA256[:9], SHA256.upper()])
def test_a_sum_may_be_known_in_part_and_in_capitals(
    digits: str, site: Site, tmp_path: Path
) -> None:
    assert fetch(wanted(site.put("a"), sha256=digits), tmp_path).is_file()


def test_a_file_may_be_known_by_its_id_in_git(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(site.put("a"), git_blob=BLOB[:12]), tmp_path)
    assert git_blob(path) == BLOB
    assert read_sum(path) == SHA256


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"sha256": "abcdef123"}, rf"expected SHA-256 abcdef123, got {SHA256[:12]}"),
        ({"git_blob": "abcdef123"}, rf"expected git blob abcdef123, got {BLOB[:9]}"),
    ],
)
def test_a_file_of_another_sum_is_not_kept(
    known: dict[str, str], said: str, site: Site, tmp_path: Path
) -> None:
    with pytest.raises(CorruptModel, match=f"/a: {said}"):
        fetch(wanted(site.put("a"), **known), tmp_path)
    assert names(tmp_path) == []


def test_the_sum_may_be_that_of_the_only_member_of_an_archive(site: Site, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net.pth", BODY)
    url = site.put("a", packed.getvalue())
    assert fetch(wanted(url, sha256=SHA256[:9], packed=True), tmp_path / "1").is_file()
    with pytest.raises(CorruptModel):
        fetch(wanted(url, sha256=SHA256[:9]), tmp_path / "2")


def test_the_first_download_settles_the_sum_of_a_later_one(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(site.put("a")), tmp_path)
    path.unlink()
    with pytest.raises(CorruptModel, match=f"expected SHA-256 {SHA256[:12]}"):
        fetch(wanted(site.put("a", OTHER)), tmp_path)
    assert not path.exists()
    remove_download(path)
    assert fetch(wanted(site.url("a")), tmp_path).read_bytes() == OTHER


def test_a_damaged_file_is_found_when_it_is_used(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(site.put("a")), tmp_path)
    path.write_bytes(BODY[:-1] + b"!")
    assert verify_file(path)[0] == "corrupt"
    with pytest.raises(CorruptModel, match=rf"net\.pt: expected SHA-256 {SHA256[:12]}"):
        fetch(wanted(site.url("a")), tmp_path)


def test_a_file_that_somebody_has_put_there_is_checked_and_known(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(BODY)
    with pytest.raises(CorruptModel, match="expected SHA-256 abc"):
        fetch(wanted(sha256="abc"), tmp_path)
    path = fetch(wanted(git_blob=BLOB[:12]), tmp_path)
    assert read_sum(path) == SHA256


def test_a_missing_file_is_told_apart_from_a_corrupt_one(tmp_path: Path) -> None:
    assert verify_file(tmp_path / "net.pt") == ("missing", f"{tmp_path / 'net.pt'}: no file")


@pytest.mark.parametrize("tag", ['"v1"', None])
def test_a_cut_connection_is_told_and_nothing_stands_under_the_name(
    tag: str | None, site: Site, tmp_path: Path
) -> None:
    url = site.put("a", cut=0 if tag else 1000, tag=tag)
    with pytest.raises(ModelError, match=rf"ended after {0 if tag else 1000} of 512000 bytes"):
        fetch(wanted(url), tmp_path)
    assert not (tmp_path / "net.pt").exists()
    assert tag or names(tmp_path) == []  # it could not be gone on with


def test_a_cut_download_goes_on_at_once(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(site.put("a", cut=200_000), sha256=SHA256), tmp_path)
    assert path.read_bytes() == BODY
    assert site.asked == [("a", ""), ("a", "bytes=200000-"), ("a", "bytes=400000-")]


def begun(site: Site, folder: Path) -> str:
    """Leave 200,000 bytes of the file behind, and the whole file on the server."""
    url = site.put("a", BODY, cut=200_000, ranges=False)
    with pytest.raises(ModelError):
        fetch(wanted(url), folder)
    site.asked.clear()
    assert (folder / ".net.pt.part").stat().st_size == 200_000
    return site.put("a")


def test_a_later_run_goes_on_where_one_was_cut(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(begun(site, tmp_path), sha256=SHA256), tmp_path)
    assert path.read_bytes() == BODY
    assert site.asked == [("a", "bytes=200000-")]
    assert names(tmp_path) == ["net.pt", "net.pt.sha256"]


@pytest.mark.parametrize(
    "how",
    [{"ranges": False}, {"tag": '"v2"'}, {"tag": '"v2"', "ranges": False}],
    ids=["server ignores Range", "another version", "both"],
)
def test_what_cannot_be_gone_on_with_begins_again(
    how: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    begun(site, tmp_path)
    path = fetch(wanted(site.put("a", BODY[::-1], **how)), tmp_path)
    assert path.read_bytes() == BODY[::-1]


def test_a_part_longer_than_the_file_of_now_is_thrown_away(site: Site, tmp_path: Path) -> None:
    begun(site, tmp_path)
    assert fetch(wanted(site.put("a", OTHER)), tmp_path).read_bytes() == OTHER
    assert [asked for _, asked in site.asked] == ["bytes=200000-", ""]


@pytest.mark.parametrize("claim", ["bytes 100000-511999/512000", "nonsense", None])
def test_a_part_that_was_not_asked_for_is_not_appended(
    claim: str | None, site: Site, tmp_path: Path
) -> None:
    begun(site, tmp_path)

    def wrong(request: Any) -> None:
        if not request.headers.get("Range"):
            return answer(request, BODY)
        headers = {"Content-Range": claim} if claim else {}
        answer(request, BODY[1000:], ranges=False, status=206, headers=headers)

    site.files["a"] = wrong
    assert fetch(wanted(site.url("a"), sha256=SHA256), tmp_path).read_bytes() == BODY


def test_a_part_of_another_url_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    begun(site, tmp_path)
    fetch(wanted(site.put("b")), tmp_path)
    assert site.asked == [("b", "")]


def test_a_weak_tag_tells_nothing_of_bytes(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ended after 1000"):
        fetch(wanted(site.put("a", cut=1000, tag='W/"v1"')), tmp_path)
    assert names(tmp_path) == []


def test_a_date_does_where_there_is_no_tag(site: Site, tmp_path: Path) -> None:
    date = "Sat, 16 Sep 2023 10:00:00 GMT"
    url = site.put("a", cut=1000, tag=None, headers={"Last-Modified": date})
    with pytest.raises(ModelError):
        fetch(wanted(url), tmp_path)
    assert date in (tmp_path / ".net.pt.part.json").read_text()


def test_a_missing_page_leads_to_the_next_url(site: Site, tmp_path: Path) -> None:
    assert fetch(wanted(site.url("none"), site.put("a")), tmp_path).read_bytes() == BODY
    assert [name for name, _ in site.asked] == ["none", "a"]


def test_a_wrong_file_leads_to_the_next_url(site: Site, tmp_path: Path) -> None:
    path = fetch(wanted(site.put("wrong", OTHER), site.put("a"), sha256=SHA256), tmp_path)
    assert path.read_bytes() == BODY


def test_every_url_and_the_way_out_are_named(site: Site, tmp_path: Path) -> None:
    said = rf"net\.pt: .*/x: 404 Not Found; .*/y: 404 .*; fetch it yourself .* at {tmp_path}"
    with pytest.raises(ModelError, match=said):
        fetch(wanted(site.url("x"), site.url("y")), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (PAGE, {"Content-Type": "text/html; charset=utf-8"}, "an HTML page"),
        (PAGE, {"Content-Type": "application/octet-stream"}, "an HTML page"),
        (b"\n  <html>", {}, "an HTML page"),
        (POINTER, {}, "a git-lfs pointer"),
        (b"", {}, "empty"),
        (BODY, {"Content-Encoding": "gzip"}, "packed"),
    ],
)
def test_what_comes_in_place_of_a_file_is_refused_by_name(
    body: bytes, headers: dict[str, str], said: str, site: Site, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=f"/a: is {said}"):
        fetch(wanted(site.put("a", body, headers=headers)), tmp_path)
    assert names(tmp_path) == []


def test_a_file_that_is_too_large_is_not_begun(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="2000000000 bytes, and 1073741824 are the most"):
        fetch(wanted(site.put("a", declared=2_000_000_000)), tmp_path)
    assert names(tmp_path) == []


def test_a_file_that_does_not_end_is_given_up(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is larger than 300000 bytes"):
        fetch(wanted(site.put("a", declared=None)), tmp_path, most=300_000)
    assert names(tmp_path) == []


def test_a_length_that_is_no_number_is_refused(site: Site, tmp_path: Path) -> None:
    url = site.put("a", declared=None, headers={"Content-Length": "many"})
    with pytest.raises(ModelError, match="says that it has many bytes"):
        fetch(wanted(url), tmp_path)


def test_a_file_of_untold_length_is_taken(site: Site, tmp_path: Path) -> None:
    assert fetch(wanted(site.put("a", declared=None), sha256=SHA256), tmp_path).is_file()


def test_a_server_that_falls_silent_is_given_up(site: Site, tmp_path: Path) -> None:
    done = threading.Event()

    def slow(request: Any) -> None:
        answer(request, BODY, cut=10)
        request.wfile.flush()
        done.wait(5)

    site.files["a"] = slow
    try:
        with pytest.raises(ModelError, match="timed out"):
            fetch(wanted(site.url("a")), tmp_path, timeout=0.1)
    finally:
        done.set()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/net.pt"
        with pytest.raises(ModelError, match=r"cannot be fetched .*timed out"):
            fetch(wanted(address), tmp_path, timeout=0.1)


def redirected(site: Site, target: str) -> str:
    site.files["from"] = lambda request: answer(
        request, b"moved", ranges=False, tag=None, status=302, headers={"Location": target}
    )
    return site.url("from")


def test_a_redirection_is_followed_also_when_it_goes_on(site: Site, tmp_path: Path) -> None:
    begun(site, tmp_path / "whole")
    url = redirected(site, "/a")
    site.put("a", cut=300_000)
    assert fetch(wanted(url, sha256=SHA256), tmp_path).read_bytes() == BODY
    assert ("a", "bytes=300000-") in site.asked


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a", "data:,a"])
def test_a_redirection_elsewhere_is_not_followed(target: str, site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="which is not followed"):
        fetch(wanted(redirected(site, target)), tmp_path)


def test_a_redirection_does_not_lose_its_secrecy() -> None:
    request = http.Request("https://example.org/a")
    with pytest.raises(http.URLRefused, match="not followed"):
        http._Redirects().http_error_302(
            request, io.BytesIO(), 302, "", {"location": "http://example.org/a"}
        )


def test_a_redirection_in_a_circle_ends(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="302"):
        fetch(wanted(redirected(site, "/from")), tmp_path)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a", "example.org/a", "http://", "data:,a", "http://a/b c", "http://ä/b",
     "http://[::1/a", "http://user:hushhush@example.org/a", "http://a/b\n"],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        fetch(wanted(url), tmp_path)
    assert "hushhush" not in str(told.value)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc/x", ".x", "a\\b", "a\nb"])
def test_a_name_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plain name"):
        fetch(Download(name, ("http://127.0.0.1/a",)), tmp_path)


@pytest.mark.parametrize("variable", ["VIDEMO_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_offline_asks_no_server_and_names_what_to_do(
    variable: str, value: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ModelError) as told:
        fetch(wanted(site.put("a"), sha256=SHA256), tmp_path / "cache")
    for part in ("net.pt", variable, site.url("a"), SHA256, str(tmp_path / "cache")):
        assert part in str(told.value)
    assert "\n" not in str(told.value)
    assert site.asked == [] and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off"])
def test_offline_may_be_denied(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEMO_OFFLINE", value)
    assert offline() == ""


def test_offline_a_file_that_is_there_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.pt").write_bytes(BODY)
    monkeypatch.setenv("VIDEMO_OFFLINE", "1")
    assert fetch(wanted(), tmp_path) == tmp_path / "net.pt"


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission"),
     (errno.EIO, "cannot be written")],
)  # fmt: skip
def test_a_cache_that_cannot_be_written_is_told(
    number: int, said: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        if "a" in mode:
            raise OSError(number, "what the system says", str(self))
        return open(self, mode, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=rf"net\.pt: .*{said}"):
        fetch(wanted(site.put("a")), tmp_path)
    assert names(tmp_path) == []


def test_a_cache_below_a_file_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file, not a folder; name another place"):
        fetch(wanted(site.put("a")), tmp_path / "file" / "cache")


def test_a_read_only_cache_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.pt").write_bytes(BODY)

    def refuse(*_: Any, **more: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert fetch(wanted(sha256=SHA256), tmp_path).is_file()


PROGRAM = """
import sys
from pathlib import Path
from videmo.files.fetch import fetch
from videmo.files.download import Download
print("ready", flush=True)
print(fetch(Download("net.pt", (sys.argv[1],), sha256=sys.argv[3]), Path(sys.argv[2])))
"""


def test_two_processes_fetch_one_file_once(site: Site, tmp_path: Path) -> None:
    both = threading.Event()  # are running

    def hold(request: Any) -> None:
        both.wait(30)
        answer(request, BODY)

    site.files["a"] = hold
    command = [sys.executable, "-c", PROGRAM, site.url("a"), str(tmp_path), SHA256]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout and process.stdout.readline() == "ready\n"
    both.set()
    ends = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], ends
    assert [out.strip() for out, _ in ends] == [str(tmp_path / "net.pt")] * 2
    assert site.asked == [("a", "")]
    assert names(tmp_path) == ["net.pt", "net.pt.sha256"]


def test_a_lock_that_was_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"")
    with file_lock(tmp_path / ".lock") as locked:
        assert locked
    assert names(tmp_path) == []


def test_who_comes_second_waits(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with file_lock(tmp_path / ".lock", pause=0.001):
            order.append("second")

    thread = threading.Thread(target=second)
    with file_lock(tmp_path / ".lock"):
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_without_locks_everybody_writes_a_part_of_their_own(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videmo.files import lock

    def refuse(_: Any) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.raises(ModelError):
        fetch(wanted(site.put("a", cut=1000, ranges=False)), tmp_path)
    assert ".net.pt.part" not in names(tmp_path)
    assert fetch(wanted(site.put("a")), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_download_that_trickles_is_given_up_and_gone_on_with(
    site: Site, tmp_path: Path, part: str
) -> None:
    sent = list[int]()

    def trickle(request: Any) -> None:
        rest = BODY[1000:]
        if part == "body":
            request.send_response(200)
            request.send_header("ETag", '"v1"')
            request.send_header("Content-Length", str(len(BODY)))
            request.end_headers()
            request.wfile.write(BODY[:1000])
        else:
            rest = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000
        with suppress(OSError):
            for byte in rest[:5000]:
                request.wfile.write(bytes([byte]))
                sent.append(byte)
                time.sleep(0.02)

    site.files["a"] = trickle
    with pytest.raises(
        ModelError, match=r"takes longer than 0\.3 s; give it more with videmo models"
    ):
        fetch(wanted(site.url("a")), tmp_path, longest=0.3)
    assert len(sent) < 5000  # which would have taken 100 s
    site.put("a")
    assert fetch(wanted(site.url("a")), tmp_path).read_bytes() == BODY
    asked = [span for _, span in site.asked]
    assert asked[-1].startswith("bytes=") == (part == "body")


def test_a_download_may_be_larger_where_more_is_allowed(site: Site, tmp_path: Path) -> None:
    site.put("a", declared=None)
    with pytest.raises(ModelError, match="--max-mb of videmo models pull allows more"):
        fetch(wanted(site.url("a")), tmp_path, most=1000)
    assert fetch(wanted(site.url("a")), tmp_path).read_bytes() == BODY
