"""What the system itself refuses is said of the thing that it is of, not of the output."""

from __future__ import annotations

import errno
import os

import pytest

from videmo.cli import main
from videmo.runs import inputs


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.EMFILE, None, "the system: too many open files; raise the limit (ulimit -n), or"),
        (errno.ENOSPC, "/tmp/x", "/tmp/x: no space left on device; free some space"),
        (errno.ENETUNREACH, None, "the system: network is unreachable; look at the network, or"),
        (errno.EIO, "a.mp4", "a.mp4: input/output error; try again, with --debug to see where"),
    ],
)
def test_an_error_of_the_system_names_its_thing(
    number: int,
    name: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), name)

    monkeypatch.setattr(inputs, "find_clips", fail)
    with pytest.raises(SystemExit) as ended:
        main(["classify", "a.mp4"])
    told = capsys.readouterr().err
    assert ended.value.code == 1 and told.startswith(f"videmo: error: {said}")
    assert told.count("\n") == 1
