"""Files from elsewhere, written to break their readers: each is read, or refused in our words."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import descriptor

from videmo import store
from videmo.data import VideoInfo
from videmo.errors import InputError, VidemoError
from videmo.evaluate.pairs import read_predictions
from videmo.pipeline import Answer, load
from videmo.runs.executor import ClipResult
from videmo.runs.inputs import Clip, read_manifest
from videmo.runs.journal import SUFFIX, Journal
from videmo.runs.shards.feature_part import FeaturePart
from videmo.runs.shards.merge import merge
from videmo.train.clip_rows import read_features, read_numbers
from videmo.write.npz import load_features

fuzzed = settings(derandomize=True, database=None, max_examples=60, deadline=None)

NUMBERS = ("1e999", "nan", "-0", "-1e-999", "1_0", "٣", "0x1", "9" * 400, "")
TEXTS = ("a", "Sad", '"', '""', 'a"b', "\0", "\ufeff", "\x85", "\u2028", "\r", "\\", "\\t",
         "\udcff")  # fmt: skip
CELLS = (*NUMBERS, *TEXTS, "=" * 200_000)
COLUMNS = ("path", "label", "split", "subject", "start", "end", "status", "p_sad", "p_happy",
           "schema_version", "warnings")  # fmt: skip
ROW = ("a", "Sad", "train", "s", "0", "1", "ok", "0.6", "0.4", "1", "w")


def refused_or_read(*reads: Callable[[], object]) -> None:
    """Call each; nothing but an error of ours may come out, and it says what is wrong in a line."""
    for read in reads:
        try:
            read()
        except VidemoError as error:
            assert str(error).strip() and "\n" not in str(error), repr(error)


def test_a_foreign_error_and_one_of_two_lines_are_found() -> None:
    def two() -> None:
        raise InputError("one\ntwo")

    with pytest.raises(KeyError):
        refused_or_read(lambda: {}["x"])
    with pytest.raises(AssertionError):
        refused_or_read(two)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@fuzzed
@given(
    sep=st.sampled_from(",;\t"),
    header=st.lists(st.sampled_from((*COLUMNS, *CELLS)), min_size=1, max_size=11),
    rows=st.lists(st.lists(st.sampled_from(CELLS), max_size=12), max_size=3),
    mark=st.sampled_from((b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x80")),
)
def test_a_table_of_odd_cells(
    place: Path, sep: str, header: list[str], rows: list[list[str]], mark: bytes
) -> None:
    file = str(place / ("table.tsv" if sep == "\t" else "table.csv"))
    text = "\n".join(sep.join(row) for row in [header, *rows])
    Path(file).write_bytes(mark + text.encode("utf-8", "surrogateescape"))
    refused_or_read(
        lambda: read_manifest(file),
        lambda: read_predictions(file),
        lambda: read_numbers(file, ["p_*"]),
        lambda: merge([file], f"{place}/out{Path(file).suffix}"),
    )


def test_what_the_fuzz_changes_is_read_where_it_is_not_changed(place: Path) -> None:
    (place / "whole.csv").write_text(f"{','.join(COLUMNS)}\n{','.join(ROW)}\n")
    (clip,) = read_manifest(str(place / "whole.csv"))
    assert (Path(clip.path).name, clip.label, clip.end) == ("a", "Sad", 1.0)
    (found,) = read_predictions(str(place / "whole.csv"))
    assert found.label == "Sad"
    line = ", ".join(f'"{key}": {value}' for key, value in RECORD.items() if key != "person")
    (place / "whole.ndjson").write_text(f"{{{line}}}\n")
    assert read_predictions(str(place / "whole.ndjson"))[0].label == "Sad"
    table = load_features(archive(place / "whole.npz", arrays()))
    assert table.path.tolist() == ["a", "b"]


@fuzzed
@given(changed=st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(CELLS), max_size=3))
def test_a_whole_row_with_some_odd_cells(place: Path, changed: dict[str, str]) -> None:
    good = dict(zip(COLUMNS, ROW, strict=True)) | changed
    file = str(place / "row.csv")
    text = ",".join(COLUMNS) + "\n" + ",".join(good.values()) + "\n"
    Path(file).write_bytes(text.encode("utf-8", "surrogateescape"))
    refused_or_read(
        lambda: read_manifest(file),
        lambda: read_predictions(file),
        lambda: read_numbers(file, ["p_*"]),
        lambda: merge([file], f"{place}/out.csv"),
    )


VALUES = ("1e999", "NaN", "-0", "1" + "0" * 400, "1" * 5000, "null", "true", '"x"', '""', "[]",
          "{}", '["a"]', '"\\ud800"', '"a\\nb"', '"' + "9" * 400 + '"', "[" * 60_000)  # fmt: skip
RECORD = {
    "schema_version": "1", "path": '"a"', "status": '"ok"', "label": '"Sad"', "start": "0",
    "scores": '{"Sad": 0.6, "Happy": 0.4}', "end": "1", "error": "null", "frames": "1",
    "provenance": '{"head": "x"}', "split": '"val"', "person": "0",
}  # fmt: skip


@fuzzed
@given(
    changed=st.dictionaries(st.sampled_from([*RECORD]), st.sampled_from(VALUES), max_size=3),
    lost=st.sets(st.sampled_from([*RECORD]), max_size=2),
    cut=st.integers(0, 9),
)
def test_a_record_of_odd_values(
    place: Path, changed: dict[str, str], lost: set[str], cut: int
) -> None:
    whole = {k: v for k, v in {**RECORD, **changed}.items() if k not in {"person", *lost}}
    line = "{" + ", ".join(f'"{key}": {value}' for key, value in whole.items()) + "}"
    for kind, text in (("ndjson", f"{line}\n"), ("json", f"[\n{line}\n]\n")):
        file = str(place / f"records.{kind}")
        Path(file).write_text(text[: len(text) - cut])
        refused_or_read(
            lambda file=file: read_predictions(file),
            lambda file=file, kind=kind: merge([file], f"{place}/out.{kind}"),
        )


def arrays() -> dict[str, np.ndarray]:
    one = np.ones(2, np.int64)
    return {
        "path": np.array(["a", "b"]), "status": np.array(["ok", "no_face"]),
        "error": np.array(["", ""]), "features": np.zeros((2, 1), np.float32),
        "feature_names": np.array(["x"]), "frames": one, "face_frames": one, "faces": one,
        "duration": np.ones(2), "meta": np.array('{"options": {}}'),
        "frame_offsets": np.arange(3), "frame_features": np.zeros((2, 3), np.float32),
        "frame_index": one, "frame_time": np.ones(2), "frame_box": np.zeros((2, 4), np.float32),
        "frame_score": np.ones(2, np.float32), "frame_track": one,
    }  # fmt: skip


def archive(file: Path, members: dict[str, np.ndarray | bytes]) -> str:
    """Write arrays, or the bytes that stand for one, as an .npz file."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, member in members.items():
            body = io.BytesIO()
            if not isinstance(member, bytes):
                np.lib.format.write_array(body, member)
            out.writestr(f"{name}.npy", member if isinstance(member, bytes) else body.getvalue())
    return str(file)


def npy(header: str, body: bytes = b"", version: int = 1) -> bytes:
    """Return an .npy file of this header."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2, "little") + text + body


def head(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


def all_readers(file: str) -> None:
    def part() -> None:
        one = FeaturePart(file)
        for row, _ in enumerate(one.summaries(False)):
            one.content(row)

    refused_or_read(
        lambda: load_features(file), lambda: read_features([file]), lambda: read_predictions(file),
        part,
        lambda: merge([file], f"{file}.out.npz"),
    )  # fmt: skip


ODD_ARRAYS = [
    npy(head("'<f4'", "(10**12, 1)".replace("10**12", "1" + "0" * 12))),  # 4 TB
    npy(head("'<f4'", f"({2**62}, {2**62})")),
    npy(head("'<f4'", "(-1, 1)"), bytes(8)),
    npy(head("'<f4'", "(True, True)"), bytes(4)),
    npy(head("'<U500000000'", "(2,)")),
    npy(head("'<U1'", "(2,)"), b"\xff" * 8),  # no code points
    npy(head("'<U1'", "()"), b"\xff" * 4),
    npy(head("'<U0'", "(2,)")),
    npy(head("'|V4'", "(2, 1)"), bytes(8)),
    npy(head("'|O'", "(2,)"), bytes(16)),
    npy(head("[('a', '<f4')]", "(2, 1)"), bytes(8)),
    npy(head("'<f4'", "(2, 1")),  # a bracket that never closes
    npy("{[]: 1}"),
    npy("-" * 9000 + "1"),
    npy("(" * 9000),
    npy("{}", version=9),
    b"",
    b"no array",
    np.array(["nice", "\ud800"]), np.array("[" * 60_000), np.array('{"a": ' + "1" * 5000 + "}"),
    np.array('{"options": {"backbone": 1}}'), np.full((2, 1), 1e300), np.array([-5, 2**40]),
    np.zeros(0, np.int64), np.ones(2, np.int8), np.ones(2, ">i2"), np.ones((2, 3), np.float16),
    np.array(["a", "b"], ">U3"), np.full(2, np.nan),
]  # fmt: skip


@fuzzed
@given(changed=st.dictionaries(st.sampled_from([*arrays()]), st.sampled_from(ODD_ARRAYS),
                               min_size=1, max_size=2))  # fmt: skip
def test_a_feature_file_of_odd_arrays(place: Path, changed: dict[str, Any]) -> None:
    all_readers(archive(place / "odd.npz", arrays() | changed))


@pytest.mark.parametrize("number", range(len(ODD_ARRAYS)))
def test_an_odd_array_in_the_place_of_each(place: Path, number: int) -> None:
    odd = ODD_ARRAYS[number]
    for name in ("path", "features", "meta", "frame_index", "status"):
        file = archive(place / "one.npz", arrays() | {name: odd})
        all_readers(file)
        if isinstance(odd, bytes) and b"<U0" not in odd:  # empty texts are texts
            with pytest.raises(InputError, match=r"one\.npz"):
                load_features(file)


@fuzzed
@given(data=st.data())
def test_a_feature_file_of_which_bytes_are_changed(place: Path, data: st.DataObject) -> None:
    np.savez(place / "whole.npz", **arrays())
    content = bytearray((place / "whole.npz").read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    (place / "bytes.npz").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    all_readers(str(place / "bytes.npz"))
    (place / "bytes.npz").write_bytes(content)
    all_readers(str(place / "bytes.npz"))


class Bait:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("name", [*arrays()])
def test_no_pickle_in_a_feature_file_is_run(tmp_path: Path, name: str) -> None:
    bait = np.empty(2, object)
    bait[:] = Bait(tmp_path / "mark")
    np.savez(tmp_path / "bait.npz", **arrays() | {name: bait})
    with pytest.raises(InputError, match="cannot be read"):
        load_features(tmp_path / "bait.npz")
    all_readers(str(tmp_path / "bait.npz"))
    assert not (tmp_path / "mark").exists()
    with pytest.raises(FileExistsError), np.load(tmp_path / "bait.npz", allow_pickle=True) as open_:
        (tmp_path / "mark").mkdir()  # the bait itself works, or this test proves nothing
        open_[name]


def test_an_archive_that_unpacks_to_far_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videmo.write.npz._BOMB", 1 << 20)
    bomb = arrays() | {"error": np.zeros(2, "<U4000000")}  # 32 MB of nothing
    with pytest.raises(InputError, match="would unpack to 30 MB, which features do not"):
        load_features(archive(tmp_path / "bomb.npz", bomb))
    noise = np.random.default_rng(0).random((2, 600_000), np.float32)
    large = arrays() | {"features": noise, "feature_names": np.arange(600_000).astype(str)}
    assert len(load_features(archive(tmp_path / "large.npz", large))) == 2


ODD_VALUES = (None, 1, -1, 1.5, "x", "", [], {}, ["x"], [1], "\ud800", float("nan"), 10**400, ...)


def _ways(of: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if way:
        yield way
    if isinstance(of, dict):
        for key in of:
            yield from _ways(of[key], (*way, key))


def _look(folder: Path) -> None:
    model = store.load(folder)
    for fact in (lambda: model.sha256, lambda: model.recipe.fingerprint(), model.weights):
        refused_or_read(fact)
    refused_or_read(model.head_spec, model.backbone_spec, lambda: load(str(folder)))


@pytest.mark.parametrize(("name", "each"), [("afew7", 2), ("lite0_faces", 7)])
def test_a_card_of_odd_values(place: Path, name: str, each: int) -> None:
    folder = place / name
    shutil.copytree(store.EMBEDDED / name, folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    used = {key: card[key] for key in ("kind", "name", "spec", "files", "recipe") if key in card}
    for number, way in enumerate(_ways(used)):
        for value in ODD_VALUES[number % each :: each]:
            changed = json.loads(json.dumps(card))
            at = changed
            for key in way[:-1]:
                at = at[key]
            at[way[-1]] = None if value is ... else value
            if value is ...:
                del at[way[-1]]
            (folder / "card.json").write_text(json.dumps(changed), encoding="utf-8")
            refused_or_read(lambda: _look(folder))


@pytest.mark.parametrize("text", ["[" * 60_000, '{"kind": ' * 60_000, "\xff\xfe", "1" * 5000])
def test_a_card_that_is_not_json(place: Path, text: str) -> None:
    (place / "text").mkdir(exist_ok=True)
    (place / "text" / "card.json").write_text(text, encoding="latin1")
    with pytest.raises(VidemoError, match=r"card\.json"):
        store.load(place / "text")


@pytest.fixture(scope="module")
def journal(place: Path) -> tuple[Path, list[Clip], bytes]:
    """Return an output, three clips and the journal that knows them."""
    clips = [Clip(str(place / f"{number}.mp4")) for number in range(3)]
    for number, clip in enumerate(clips):
        Path(clip.path).write_bytes(bytes(number))
        (place / f"faces{number}").write_bytes(bytes(500 * number))
    out = place / "emotions.csv"
    with Journal(out) as kept:
        kept.begin({"recipe": "one"})
        for number, clip in enumerate(clips):
            kept.add(clip, _done(clip, number), _record(clip))
    return out, clips, Path(f"{out}{SUFFIX}").read_bytes()


def _done(clip: Clip, number: int) -> ClipResult:
    info = VideoInfo(clip.path, 2, 2, 3, 0.3, 10.0, "toy")
    faces = Path(clip.path).with_name(f"faces{number}")
    return ClipResult(Answer(info, descriptor(1, number), None, ()), str(faces))


def _record(clip: Clip) -> dict[str, Any]:
    return {"path": clip.path, "status": "ok", "coverage": 1 / 3}


def _resumed(journal: tuple[Path, list[Clip], bytes], content: bytes) -> int:
    """Go on from a journal as it lies there; return how many clips it still knew, all truly."""
    out, clips, _ = journal
    Path(f"{out}{SUFFIX}").write_bytes(content)
    with Journal(out) as kept:
        if not kept.begun:
            kept.begin({"recipe": "one"})
        kept.resume({"recipe": "one"})
        known = len(kept)
        for number, clip in enumerate(clips):
            if clip not in kept:
                kept.add(clip, _done(clip, number), _record(clip))
    with Journal(out) as kept:
        kept.resume({"recipe": "one"})
        for number, clip in enumerate(clips):
            entry = kept[clip]
            assert entry.record == _record(clip) and entry.descriptor is not None
            assert entry.descriptor.values.tolist() == [1, number]
    return known


@fuzzed
@given(data=st.data())
def test_a_damaged_entry_of_a_journal_is_made_again(journal: Any, data: st.DataObject) -> None:
    content = bytearray(journal[2])
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] ^= data.draw(st.integers(1, 255))
    places = [at for at in range(len(content)) if journal[2].startswith(b'{"key": [', at)]
    ends = [*places[1:], len(content)]
    sound = sum(content[a:b] == journal[2][a:b] for a, b in zip(places, ends, strict=True))
    with suppress(InputError):  # neither of its first lines is one of a journal
        assert _resumed(journal, bytes(content)) == sound


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"vector": ', b'"vector": -'), (b'"faces": 0', b'"faces": 0.5'),
        (b'"faces": 0', b'"faces": true'), (b'"faces": 0', b'"faces": -900'),
        (b'"faces": 0', b'"faces": 1e999'), (b'"key": [', b'"key": [[], '),
        (b'"sum": ', b'"sum": 1'), (b", ", b",  "), (b"NUMPY", b"NUMPX"), (b"'<f4'", b"'|O4'"),
    ],
)  # fmt: skip
def test_an_entry_that_lies_is_not_believed(journal: Any, old: bytes, new: bytes) -> None:
    first = journal[2].index(b'{"key": [')
    content = journal[2][:first] + journal[2][first:].replace(old, new, 1)
    assert content != journal[2]
    with suppress(InputError):
        assert _resumed(journal, content) < 3


def test_one_damaged_entry_costs_no_other(journal: Any) -> None:
    middle = journal[2].replace(b'"1.mp4"', b'"1.mp5"').replace(b"1.mp4", b"1.mp5", 1)
    assert _resumed(journal, middle) == 2


@pytest.mark.parametrize("content", [b"[" * 60_000 + b"\n", b"{}\n", b"\xff\n", b"\n", b"1\n"])
def test_what_is_no_journal_is_left_alone(journal: Any, content: bytes) -> None:
    with pytest.raises(InputError, match="is no journal of this videmo"):
        _resumed(journal, content)
    assert Path(f"{journal[0]}{SUFFIX}").read_bytes() == content
