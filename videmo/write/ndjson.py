"""Records as JSON: a line each, or one array."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from videmo.write.record import RecordWriter, tidy

# Escaped, though JSON lets them stand: bytes of file names that are not UTF-8 (lone surrogates),
# which no encoding takes, and controls and separators that some readers take for line ends.
_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Ndjson(RecordWriter):
    """One JSON object a line, flushed at once, so that a reader may follow a long run."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one line."""
        self.sink.write(dumps(tidy(record, self.labels, self.top)) + "\n")


class Json(RecordWriter):
    """One JSON array, written as the records come; complete only when it is closed."""

    def begin(self) -> None:
        """Write nothing yet, for the first bracket depends on what follows."""
        self._before = "[\n"

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record` as an element of the array."""
        self.sink.write(self._before + dumps(tidy(record, self.labels, self.top)))
        self._before = ",\n"

    def finish(self) -> None:
        """Write the last bracket."""
        self.sink.write("[]\n" if self._before == "[\n" else "\n]\n")


def dumps(record: Mapping[str, Any]) -> str:
    """Return JSON on one line, of which json.loads makes the same strings again."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return _ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
