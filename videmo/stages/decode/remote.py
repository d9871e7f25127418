"""A clip at a URL: copied here, read as any other, and its copy removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from videmo.data import FrameBatch
from videmo.errors import InputError, VideoError
from videmo.files.remote import checked_url, local_copy
from videmo.stages.decode import Decoder, Sampling
from videmo.stages.decode.probe import NO_SUCH_FILE, NOT_ALLOWED


class RemoteVideo(Decoder):
    """Reads the copy of a clip, which takes as much of the disk as the clip until it is closed.

    make: opens a local file
    scratch: where the copy lies
    Raises VideoError where the clip cannot be fetched or decoded, MissingDependency where the
    package for its kind of URL is absent.
    """

    def __init__(
        self, url: str, make: Callable[[str], Decoder], scratch: str | None = None
    ) -> None:
        self._url, self._copy = checked_url(url), ExitStack()
        with self._copy:
            with _translated_errors(url):
                self._video = make(self._copy.enter_context(local_copy(url, scratch)))
            self._copy = self._copy.pop_all()
        self.info = replace(self._video.info, path=url)
        self.warnings = self._video.warnings

    def read(self, sampling: Sampling) -> Iterator[FrameBatch]:
        with _translated_errors(self._url):
            yield from self._video.read(sampling)
        self.info = replace(self._video.info, path=self._url)

    def close(self) -> None:
        self._video.close()
        self._copy.close()


@contextmanager
def _translated_errors(url: str) -> Iterator[None]:
    """Turn what goes wrong with a copy into a VideoError of the clip itself."""
    try:
        yield
    except VideoError as error:
        raise VideoError(url, error.reason) from error
    except InputError as error:
        raise VideoError(url, str(error).removeprefix(f"{url}: ")) from error
    except FileNotFoundError as error:
        raise VideoError(url, NO_SUCH_FILE) from error
    except PermissionError as error:
        raise VideoError(url, NOT_ALLOWED) from error
    except OSError as error:
        raise VideoError(
            url, f"cannot be fetched ({error.strerror or error}); try again"
        ) from error
