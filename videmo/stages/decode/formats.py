"""Which files are opened as video: those of real containers, by list.

FFmpeg also reads lists that name other files or addresses (ffconcat, HLS, DASH, SDP, IMF), scripts
that run (AviSynth, VapourSynth), patterns of file names (image2) and plain text drawn as a picture
(tty). None of them holds the clip whose name it has, so none of them is opened; and what is opened
may read the file itself and nothing else.
"""

from __future__ import annotations

import math
import os
import re

from videmo.errors import VideoError

CONTAINERS = (  # names of FFmpeg's demuxers
    "mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "live_flv", "kux",
    "asf", "asf_o", "ogg", "mxf", "rm", "ivr", "wtv", "dv", "gxf", "nut", "nuv", "pva", "lxf",
    "dhav", "ifv", "mtv", "avr", "c93", "mlv", "r3d", "cine", "vividas", "vivo", "yuv4mpegpipe",
    # streams without a container, as cameras and recorders write them
    "h261", "h263", "h264", "hevc", "vvc", "evc", "m4v", "vc1", "vc1test", "av1", "obu", "ivf",
    "avs", "avs2", "avs3", "cavsvideo", "dirac", "mjpeg", "smjpeg", "mjpeg_2000", "ingenient",
    "dnxhd",
    # pictures, one or several in a file
    "gif", "apng", "webp_anim", "webp_pipe", "jpegxl_anim", "jpegxl_pipe", "jpeg_pipe", "png_pipe",
    "bmp_pipe", "tiff_pipe",
    # sound, so that a file of it is called that
    "mp3", "wav", "aac", "flac", "w64", "aiff",
)  # fmt: skip
MAX_PIXELS = 51_000_000  # of a frame, that are read: 8K, and photographs of 50 megapixels
_HEAD = 1 << 10  # bytes that tell a list
_LISTS = {  # how a list begins -> what it is called
    rb"ffconcat\s+version": "ffconcat",
    rb"#EXTM3U|#EXT-X-|#EXTINF": "M3U",
    rb"(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<MPD[\s>]": "DASH",
    rb"(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(\w+:)?CompositionPlaylist[\s>]": "IMF",
    rb"(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(smil|asx|playlist)[\s>]": "XML",
    rb"v=0\s*\r?\n\s*o=": "SDP",
    rb"\[(playlist|reference)\]": "PLS",
    rb"(file|ffconcat)\s+\S": "ffconcat",
    rb"(rtsp|rtmp|mms|https?|ftp)://": "of addresses",
    rb"RTSPtext": "RTSP",
}


def ffmpeg_options(pixels: int) -> dict[str, str]:
    """Return what FFmpeg is told when it opens a file, and when it opens a decoder."""
    return {
        "format_whitelist": ",".join(CONTAINERS),
        "protocol_whitelist": "file",
        "max_pixels": str(pixels),
    }


def kind_of_list(path: str) -> str:
    """Return what a file is called that names other files or addresses, or nothing."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    found = (name for begin, name in _LISTS.items() if re.match(begin, head, re.I | re.S))
    return next(found, "")


def refuse_large(path: str, height: int, width: int, pixels: int) -> None:
    """Raise VideoError for frames, or a picture, of more than so many pixels."""
    if height * width > pixels:
        raise VideoError(
            path,
            f"frames of {width} x {height} px, and {pixels / 1e6:.0f} million pixels are the most "
            f"that is read; megapixels={math.ceil(height * width / 1e6)} reads them, "
            "which takes memory",
        )
