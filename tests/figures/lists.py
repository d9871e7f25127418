"""Lists, scripts and patterns that name other files or addresses, under the names of clips.

FFmpeg and Pillow know many such; none of them is a clip, so each is to be its own error, no frame
of another file is to be seen, and nobody on this machine's ports is to be asked for anything.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SUFFIXES = (
    ".mp4", ".mkv", ".mov", ".avi", ".ts", ".webm", ".flv", ".wmv", ".gif", ".mpg", ".m4v", ".jpg",
    ".png",
)  # fmt: skip
# {file}: another clip, {itself}: the list, {port}: of the listener
LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{file}'\n",
    "ffconcat with options": (
        "ffconcat version 1.0\nfile '{file}'\noption safe 0\ninpoint 0\noutpoint 9\n"
    ),
    "ffconcat of itself": "ffconcat version 1.0\nfile '{itself}'\nfile '{file}'\n",
    "ffconcat of an address": "ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.mp4'\n",
    "concat": "file '{file}'\nfile 'http://127.0.0.1:{port}/a.mp4'\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{file}\n#EXT-X-ENDLIST\n",
    "m3u8 of an address": (
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n"
        "http://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
    ),
    "m3u8 of lists": (
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{port}/a.m3u8\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="tcp://127.0.0.1:{port}"\n'
    ),
    "m3u8 with a key": (
        '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:{port}/k"'
        "\n#EXTINF:9,\n{file}\n#EXT-X-ENDLIST\n"
    ),
    "m3u": "#EXTINF:9,a\nhttp://127.0.0.1:{port}/a.mp3\n{file}\n",
    "dash": (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT9S"><BaseURL>http://127.0.0.1:{port}/</BaseURL><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        "<BaseURL>{file}</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
    ),
    "imf": (
        '<?xml version="1.0"?>\n<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3">'
        "<Id>urn:uuid:0</Id><AssetMap>http://127.0.0.1:{port}/</AssetMap></CompositionPlaylist>\n"
    ),
    "sdp": (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=a\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=video {port} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    ),
    "rtsp": "RTSPtext\nrtsp://127.0.0.1:{port}/a\n",
    "pls": "[playlist]\nFile1=http://127.0.0.1:{port}/a.mp4\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="http://127.0.0.1:{port}/a.wmv"/></entry></asx>\n',
    "wmv reference": "[Reference]\nRef1=http://127.0.0.1:{port}/a.wmv\n",
    "smil": '<smil><body><video src="http://127.0.0.1:{port}/a.mp4"/></body></smil>\n',
    "ram": "rtsp://127.0.0.1:{port}/a.rm\n",
    "avisynth": 'DirectShowSource("{file}")\n',
    "vapoursynth": "import vapoursynth\nopen('{file}')\n",
    "svg": (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="64" height="64"><image xlink:href="http://127.0.0.1:{port}/a.png"/></svg>\n'
    ),
    "eps": "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(x) (w) file\nshowpage\n",
    "text": "\x1b[2J\x1b[31mhello\x1b[0m\r\n" * 9,
    "edit list of addresses": "{file}\nhttp://127.0.0.1:{port}/a.mp4\n",
}


@dataclass
class Listener:
    """Counts who asks for anything on a port of this machine."""

    port: int
    asked: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """Yield a listener on 127.0.0.1, for TCP and UDP on one port, until the `with` is left."""
    with closing(socket.socket()) as tcp, closing(socket.socket(type=socket.SOCK_DGRAM)) as udp:
        tcp.bind(("127.0.0.1", 0))
        heard = Listener(tcp.getsockname()[1])
        udp.bind(("127.0.0.1", heard.port))
        tcp.listen(64)
        for one in (tcp, udp):
            one.settimeout(0.1)
        done = threading.Event()
        threads = [
            threading.Thread(target=_hear, args=(heard, take, done))
            for take in (lambda: tcp.accept()[0].close(), lambda: udp.recvfrom(1))
        ]
        for thread in threads:
            thread.start()
        try:
            yield heard
        finally:
            done.set()
            for thread in threads:
                thread.join()


def _hear(heard: Listener, take: object, done: threading.Event) -> None:
    while not done.is_set():
        try:
            take()  # type: ignore[operator]
        except TimeoutError:
            continue
        heard.asked.append("somebody")


def lists(folder: Path, clip: Path, count: int, port: int, seed: int = 0) -> list[Path]:
    """Write `count` lists of every kind in turn that name `clip` and `port`; return their paths."""
    rng, made, names = np.random.default_rng(seed), [], [*LISTS]
    for number in range(count):
        name = names[number % len(names)]
        suffix = SUFFIXES[int(rng.integers(len(SUFFIXES)))]
        # a name with a number in it is a pattern of names to FFmpeg
        pattern = " %03d" if rng.random() < 0.2 else ""
        path = folder / f"{number:05} {name}{pattern}{suffix}"
        text = LISTS[name].format(file=clip, itself=path, port=port)
        if rng.random() < 0.3:
            text = text.replace("127.0.0.1", "localhost")
        path.write_text(text, encoding="utf-8", newline="")
        made.append(path)
    return made


def report(folder: Path, count: int, seed: int) -> None:
    """Print what lists did to the command: answers and connections must be 0."""
    from faults import classify, tiny

    (folder / "lists").mkdir()
    clip = tiny(folder / "another clip.mp4")
    with listening() as heard:
        paths = lists(folder / "lists", clip, count, heard.port, seed)
        rows = [(name, classify(paths, "--decoder", name)) for name in ("auto", "decord")]
    print(f"{count} lists of {len(LISTS)} kinds, seed {seed}; connections: {len(heard.asked)}")
    for name, ran in rows:
        answered = [record["path"] for record in ran.records if record["status"] != "error"]
        missing = count - len(ran.records)
        print(
            f"{name:>8}: {len(ran.records)} records, {missing} missing, {len(answered)} answered, "
            f"exit code {ran.code}, traceback {ran.traceback}, {ran.seconds:.0f} s"
        )
        for path in answered:
            print(f"    {path}")
