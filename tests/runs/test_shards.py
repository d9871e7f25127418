"""Every clip is in one shard, wherever it lies; parts make the whole, or it is said why not."""

from __future__ import annotations

import json
import os
import random
from glob import glob

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videmo.data import Descriptor, Faces, Features
from videmo.errors import InputError, MergeError, OutputError
from videmo.runs.inputs import Clip, find_clips
from videmo.runs.shards import Shard, deal, shard_of
from videmo.runs.shards.merge import merge
from videmo.runs.shards.part import OpenFiles
from videmo.write import open_features, open_writer
from videmo.write.persons import attribute_columns, open_records

LABELS = ("Angry", "Happy")
PROVENANCE = {
    "videmo": "0.1.0", "head": "afew7", "head_sha256": "a1", "backbone": "net",
    "backbone_sha256": "b2", "detector": "mtcnn",
    "detector_sha256": "d5", "decoder": "pyav", "device": "cpu", "recipe": "c3",
}  # fmt: skip
TEXTS = ("ndjson", "json", "csv", "tsv")
FORMATS = (*TEXTS, "parquet")

names = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=())  # lone surrogates too
    | st.integers(0xDC80, 0xDCFF).map(chr),  # bytes that are not UTF-8
    min_size=1,
    max_size=12,
).filter(lambda name: name not in (".", ".."))


# Which clips are whose.


@given(
    st.lists(st.lists(names, min_size=1, max_size=3), min_size=1, max_size=12),
    st.integers(1, 50),
    st.sampled_from([(None, None), (0.0, None), (1.5, 2.0)]),
)
def test_every_clip_is_in_exactly_one_shard(paths, count, times):
    clips = [Clip("/".join(["clips", *parts]), *times) for parts in paths]
    clips = list(dict.fromkeys(clips))
    shares = [deal(clips, Shard(k, count)) for k in range(1, count + 1)]
    assert sorted(clips, key=repr) == sorted((c for share in shares for c in share), key=repr)


def test_the_shards_of_today_are_those_of_tomorrow():
    # as a big-endian number: blake2b(f"{n}.mp4\0\0".encode(), digest_size=8) % 5 + 1
    clips = [Clip(f"clips/{n}.mp4") for n in range(8)]
    assert numbers(clips, 5) == [3, 1, 1, 1, 2, 1, 5, 2]


def test_a_thousand_clips_are_shared_evenly():
    found = np.bincount(numbers([Clip(f"{n:04}.mp4") for n in range(1000)], 8))[1:]
    assert found.min() > 85 and found.max() < 165  # 125 ± 4 binomial standard deviations of 10.5


@pytest.fixture
def tree(tmp_path):
    """Two copies of a folder of clips, in different places."""
    for root in ("one/clips", "far/away/two"):
        for n in range(12):
            path = tmp_path / root / f"{n % 3}" / f"{n}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path


def numbers(clips, count, **more):
    """Return the shard of each clip."""
    shares = {k: deal(clips, Shard(k, count), **more) for k in range(1, count + 1)}
    return [next(k for k, share in shares.items() if clip in share) for clip in clips]


def of(folder, *given):
    given = [str(path) for path in given or (folder,)]
    clips = find_clips(given)
    found = numbers(clips, 7, named=given)
    return {os.path.relpath(c.path, folder): k for c, k in zip(clips, found, strict=True)}


def test_a_clip_is_in_the_same_shard_wherever_its_folder_lies(tree, monkeypatch):
    here = of(tree / "one/clips")
    monkeypatch.chdir(tree / "far/away")
    assert here == of("two") == of("./two/") == of(tree / "one/../far/away/two")
    assert len(set(here.values())) > 1


def test_neither_other_clips_nor_their_order_move_a_clip(tree):
    folder = tree / "one/clips"
    before = of(folder)
    (folder / "another.mp4").touch()
    assert before.items() <= of(folder).items()
    clips = find_clips(str(folder))
    mixed = random.Random(0).sample(clips, len(clips))
    found = numbers(clips, 7, named=[str(folder)])
    assert dict(zip(clips, found, strict=True)) == dict(
        zip(mixed, numbers(mixed, 7, named=[str(folder)]), strict=True)
    )


def test_files_folders_patterns_and_lists_agree_on_the_root(tree):
    folder = tree / "one/clips"
    files = [clip.path for clip in find_clips(str(folder))]
    assert of(folder) == of(folder, *files) == of(folder, f"{folder}/*/*.mp4")
    assert of(folder) == of(folder, *(folder / f"{n}" for n in range(3)))


def test_a_pattern_that_matches_in_one_folder_starts_where_it_was_written(tree):
    folder = tree / "one/clips"
    assert of(folder, f"{folder}/*/0.mp4").items() <= of(folder).items()


def test_in_a_manifest_the_path_counts_as_written(tree):
    found = []
    for root in ("one", "far/away"):
        manifest = tree / root / "list.csv"
        manifest.write_text("path\nclips/a.mp4\n./clips//b.mp4\n/data/c.mp4\n../d.mp4\n")
        clips = find_clips([], manifest=manifest)
        found.append(numbers(clips, 50, manifest=str(manifest)))
    assert found[0] == found[1] == [22, 49, 41, 40]


def test_the_parts_of_one_file_are_clips_of_their_own():
    parts = [Clip("long.mp4", float(n), n + 1.0) for n in range(20)]
    assert set(numbers(parts, 4)) == {1, 2, 3, 4}


def test_a_name_that_is_not_utf8_has_a_shard():
    assert numbers([Clip(os.fsdecode(b"\xff\xfe.mp4"))], 2)[0] in (1, 2)


# Who says which shard this is.

SLURM = {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_MAX": "8",
         "SLURM_ARRAY_TASK_COUNT": "4"}  # fmt: skip
BATCH = {"SLURM_JOB_ID": "9", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
SGE = {"SGE_TASK_ID": "5", "SGE_TASK_FIRST": "2", "SGE_TASK_LAST": "10", "SGE_TASK_STEPSIZE": "3"}


@pytest.mark.parametrize(
    ("text", "environ", "number", "count"),
    [
        ("2/3", {}, 2, 3),
        ("2/3", SLURM, 2, 3),
        ("auto", SLURM, 2, 4),
        ("auto", SLURM | BATCH, 2, 4),
        ("auto", SLURM | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, 2, 4),
        ("auto", {"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}, 3, 3),
        ("auto", BATCH | {"SLURM_STEP_ID": "0"}, 1, 4),
        ("auto", SGE, 2, 3),
        ("auto", {"SGE_TASK_ID": "undefined", "RANK": "0", "WORLD_SIZE": "2"}, 1, 2),
        ("auto", {"RANK": "1", "WORLD_SIZE": "2"}, 2, 2),
        ("auto", {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, 2, 2),
        ("auto", {"JOB_COMPLETION_INDEX": "4", "VIDEMO_SHARDS": "5"}, 5, 5),
        ("auto", {"RANK": "0", "WORLD_SIZE": "1"}, 1, 1),
    ],
)
def test_a_shard_is_named_or_numbered_by_a_scheduler(text, environ, number, count):
    found = shard_of(text, environ)
    assert (found.number, found.count) == (number, count)


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("0/3", {}, "no shard 0/3"),
        ("4/3", {}, "from 1/N to N/N"),
        ("1/0", {}, "no shard 1/0"),
        ("1:3", {}, "neither K/N"),
        ("auto", {}, "none of SLURM_ARRAY_TASK_ID"),
        ("auto", BATCH, "SLURM_PROCID (under srun)"),
        ("auto", {"PBS_ARRAY_INDEX": "3"}, "--shard $PBS_ARRAY_INDEX/N"),
        ("auto", {"RANK": "1"}, "WORLD_SIZE is not set"),
        ("auto", {"RANK": "-1", "WORLD_SIZE": "2"}, "RANK is '-1'"),
        ("auto", {"RANK": "2", "WORLD_SIZE": "2"}, "RANK 2 contradicts WORLD_SIZE 2"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "VIDEMO_SHARDS is not set"),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_ID": "5"}, "none of 4 even steps from 2 to 8"),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_COUNT": "5"}, "none of 5 even steps"),
        ("auto", SLURM | {"RANK": "0", "WORLD_SIZE": "2"}, "contradicts shard 1 of 2 (RANK 0)"),
        ("auto", SLURM | {"VIDEMO_SHARDS": "8"}, "contradicts VIDEMO_SHARDS 8"),
    ],
)
def test_what_numbers_no_shard_or_two_is_told(text, environ, says):
    with pytest.raises(InputError) as caught:
        shard_of(text, environ)
    assert says in str(caught.value)


# The parts together.


def record(path, status="ok", score=0.75, **more):
    told = {"Angry": 1 - score, "Happy": score} if status == "ok" else None
    error = {"type": "VideoError", "message": "bad"} if status == "error" else None
    return {"schema_version": 1, "path": path, "status": status,
            "label": "Happy" if told else None, "scores": told, "frames": 5, "face_frames": 5,
            "faces": 5, "coverage": 1.0, "duration": 0.2, "warnings": ["a | b\nc"], "error": error,
            "provenance": dict(PROVENANCE), **more}  # fmt: skip


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Write records to a file of an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def write(name, *records):
        times = [k for k in ("start", "end") if any(r.get(k) is not None for r in records)]
        kind = name.rpartition(".")[2]
        with open_writer(kind, name, labels=LABELS, extra=times) as out:
            for one in records:
                out.write(one)
        return name

    return write


def read(name):
    with open(name, "rb") as file:
        return file.read()


ODD = [record("a/z.mp4"), record("a-1.mp4", "no_face"), record('b "q",\n\tx\\t.mp4', "error"),
       record(os.fsdecode(b"c\xff.mp4")), record("d.mp4", end=0.5),
       record("d.mp4", start=2.0)]  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_parts_are_the_bytes_of_the_whole_in_the_order_of_a_folder(put, kind):
    whole = put(f"whole.{kind}", *ODD)
    parts = [put(f"{n}.{kind}", *ODD[n::3]) for n in (2, 0, 1)]
    merged = merge(parts, f"all.{kind}")
    assert read(f"all.{kind}") == read(whole)
    assert merged.statuses == {"ok": 4, "no_face": 1, "error": 1}


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_part_adds_nothing(put, kind):
    whole, empty = put(f"whole.{kind}", *ODD), put(f"empty.{kind}")
    merge([empty, whole], f"all.{kind}")
    assert read(f"all.{kind}") == read(whole)
    merge([empty], f"none.{kind}")
    assert read(f"none.{kind}") == read(empty)


def test_columns_of_time_are_there_where_one_part_has_them(put):
    one, other = put("1.csv", record("b.mp4", end=1.0)), put("2.csv", record("a.mp4"))
    whole = put("whole.csv", record("a.mp4"), record("b.mp4", start=None, end=1.0))
    merge([one, other], "all.csv")
    assert read("all.csv") == read(whole)


def test_expected_clips_give_the_order(put):
    whole = put("whole.ndjson", *ODD[::-1])
    parts = [put(f"{n}.ndjson", *ODD[n::2]) for n in (0, 1)]
    expected = [Clip(os.path.abspath(r["path"]), r.get("start"), r.get("end")) for r in ODD[::-1]]
    merged = merge(parts, "all.ndjson", expected=expected)
    assert read("all.ndjson") == read(whole)
    assert merged.missing == 0


def test_the_same_record_twice_is_kept_once(put):
    parts = [put("1.ndjson", *ODD), put("2.ndjson", *ODD[:2])]
    merged = merge(parts, "all.ndjson")
    assert read("all.ndjson") == read(parts[0])
    assert "2 clips are in two parts" in merged.notes[0]


def test_a_clip_with_two_answers_names_both_places(put):
    parts = [put("1.csv", *ODD), put("2.csv", record("e.mp4"), record("a/z.mp4", score=0.6))]
    with pytest.raises(MergeError, match=r"a/z.mp4: is in 1.csv:2 and in 2.csv:4, and they differ"):
        merge(parts, "all.csv")
    assert not os.path.exists("all.csv")


def test_a_missing_clip_is_named_and_counted(put):
    part, expected = put("1.ndjson", record("b.mp4")), [Clip(f"{n}.mp4") for n in "abc"]
    with pytest.raises(MergeError, match=r"a.mp4: is in no part, as 2 of 3 expected clips"):
        merge([part], "all.ndjson", expected=expected)
    assert not os.path.exists("all.ndjson")
    assert merge([part], "all.ndjson", expected=expected, partial=True).missing == 2
    assert read("all.ndjson") == read(part)


def test_a_clip_that_nobody_expects_is_told(put):
    part = put("1.ndjson", record("a.mp4"), record("b.mp4"))
    with pytest.raises(MergeError, match=r"1.ndjson:2: b.mp4 is not expected"):
        merge([part], "all.ndjson", expected=[Clip("a.mp4")], partial=True)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name", ["videmo", "head_sha256", "backbone_sha256", "detector_sha256", "recipe"]
)
def test_parts_of_different_runs_are_refused(put, kind, name):
    other = record("b.mp4", provenance={**PROVENANCE, name: "another"})
    parts = [put(f"1.{kind}", record("a.mp4")), put(f"2.{kind}", other)]
    with pytest.raises(MergeError, match=f"{name} is another, in 1.{kind}:\\d+ {PROVENANCE[name]}"):
        merge(parts, f"all.{kind}")


def test_parts_of_different_schemas_are_refused(put):
    parts = [put("1.csv", record("a.mp4")), put("2.csv", record("b.mp4", schema_version=2))]
    with pytest.raises(MergeError, match="schema_version is 2"):
        merge(parts, "all.csv")


def test_what_changes_no_number_may_differ(put):
    other = record("b.mp4", provenance={**PROVENANCE, "device": "cuda:0", "decoder": "decord"})
    parts = [put("1.ndjson", record("a.mp4")), put("2.ndjson", other)]
    assert merge(parts, "all.ndjson").clips == 2


def test_columns_of_another_head_are_refused(put, tmp_path):
    one = put("1.csv", record("a.mp4"))
    with open_writer("csv", "2.csv", labels=("Sad", "Happy")):
        pass
    with pytest.raises(MergeError, match=r"2.csv: has other columns than 1.csv \(p_sad, p_angry\)"):
        merge([one, "2.csv"], "all.csv")


@pytest.mark.parametrize("kind", TEXTS)
def test_a_last_record_that_is_cut_off_is_named_and_may_be_left_out(put, kind):
    part, whole = put(f"1.{kind}", *ODD[:3]), put(f"whole.{kind}", *ODD[:2])
    line = read(whole).count(b"\n") + (kind != "json")
    with open(part, "r+b") as file:
        file.truncate(len(read(part)) - 9)
    with pytest.raises(MergeError, match=f"1.{kind}:{line}: the last record is cut off"):
        merge([part], f"all.{kind}")
    merged = merge([part], f"all.{kind}", partial=True)
    assert read(f"all.{kind}") == read(whole)
    assert merged.cut == 1 and f"1.{kind}:{line}" in merged.notes[0]


@pytest.mark.parametrize("kind", TEXTS)
def test_a_part_cut_anywhere_is_told_or_whole(put, kind):
    content = read(put(f"1.{kind}", *ODD[:2]))
    lost = 2 if kind == "json" else 1 if kind == "ndjson" else 0  # what a whole one may lack
    for size in range(0 if kind != "ndjson" else 1, len(content) - lost, 7):
        with open(f"cut.{kind}", "wb") as file:
            file.write(content[:size])
        try:
            merged = merge([f"cut.{kind}"], f"all.{kind}")
        except MergeError as error:
            assert f"cut.{kind}:" in str(error)
        else:  # at the end of a record: only the bracket of JSON tells
            whole = content[: size + (kind == "ndjson")].endswith(b"\n")
            assert kind != "json" and whole and merged.clips < 2


def test_a_damaged_record_before_the_last_is_an_error_even_of_a_partial_merge(put):
    part = put("1.ndjson", *ODD[:3])
    lines = read(part).splitlines(keepends=True)
    with open(part, "wb") as file:
        file.writelines([lines[0], lines[1][:20] + b"\n", lines[2]])
    with pytest.raises(MergeError, match=r"1.ndjson:2: is no record of videmo"):
        merge([part], "all.ndjson", partial=True)


@pytest.mark.parametrize("line", ["[1]", '{"path": "a.mp4"}', "null", '{"provenance": {}}', "a,b"])
def test_what_videmo_did_not_write_is_no_part(put, line):
    for kind in ("ndjson", "csv"):
        with open(f"1.{kind}", "w") as file:
            file.write(f"{line}\n{line}\n{line}\n")
        with pytest.raises(MergeError, match=f"1.{kind}:[12]: is no record of videmo"):
            merge([f"1.{kind}"], f"all.{kind}")


@pytest.mark.parametrize(
    ("parts", "out", "says"),
    [
        ([], "all.csv", "no part was given"),
        (["1.csv", "2.json"], "all.csv", "2.json: is json, but 1.csv is csv"),
        (["1.csv"], "all.json", "the parts are csv"),
        (["1.csv"], "1.csv", "is a part and --out at once"),
        (["1.txt"], "all.csv", "ends in none of"),
        (["no.csv"], "all.csv", "no.csv: cannot be read"),
        (["1.npz"], None, "standard output: the parts are npz"),
    ],
)
def test_what_cannot_be_merged_is_said_before_anything_is_written(put, parts, out, says):
    content = read(put("1.csv", *ODD))
    with pytest.raises(InputError) as caught:
        merge(parts, out)
    assert says in str(caught.value)
    assert os.listdir() == ["1.csv"] and read("1.csv") == content


def test_an_output_that_cannot_be_written_leaves_nothing(put):
    part = put("1.ndjson", *ODD)
    with pytest.raises(OutputError):
        merge([part], "no/such/all.ndjson")
    assert os.listdir() == [part]


def test_more_parts_than_a_process_may_open(put, monkeypatch):
    monkeypatch.setattr("videmo.runs.shards.part._OPEN", 3)
    parts = [put(f"{n}.ndjson", record(f"{n}.mp4"), record(f"{n}b.mp4")) for n in range(9)]
    assert merge(parts, "all.ndjson").clips == 18


def test_open_files_are_as_many_as_said(put, monkeypatch):
    monkeypatch.setattr("videmo.runs.shards.part._OPEN", 2)
    files = OpenFiles()
    for n in range(5):
        assert files.read(put(f"{n}.ndjson", record(f"{n}.mp4")), 0, 1) == b"{"
        assert len(files._open) <= 2
    files.close()


def person(path, track, start, **more):
    told = {k: v for k, v in record(path).items() if k not in ("label", "scores")}
    seen = {"track": track, "start": start, "end": start + 1.0, "best_time": start}
    return {**told, **seen, "gender": "female", "gender_probability": 0.9, "box": [1.0] * 4, **more}


@pytest.mark.parametrize("kind", FORMATS)
def test_the_persons_of_a_clip_stay_together_in_their_order(put, kind):
    def write(name, *records):
        columns = attribute_columns({"gender": ("female", "male")})
        with open_records(kind, f"{name}.{kind}", shown=(), columns=columns) as out:
            for one in records:
                out.write(one)
        return f"{name}.{kind}"

    a, b = [person("a.mp4", n, 9.0 - n) for n in range(3)], [person("b.mp4", 0, 1.0)]
    whole = write("whole", *a, *b)
    parts = [write("1", *b), write("2", *a), write("3", *a)]
    merged = merge(parts, f"all.{kind}", expected=[Clip("a.mp4"), Clip("b.mp4", 0.0, 9.0)])
    assert read(f"all.{kind}") == read(whole)
    assert merged.clips == 2
    with pytest.raises(MergeError, match=r"a.mp4: is in .* and they differ"):
        merge([write("1", *a), write("2", *a[:2])], f"all.{kind}")


def test_persons_and_clips_are_not_merged(put):
    with open("1.ndjson", "w") as file:
        file.write(json.dumps(person("a.mp4", 0, 0.0)) + "\n")
    with pytest.raises(MergeError, match="kind of record is a clip's"):
        merge(["1.ndjson", put("2.ndjson", record("b.mp4"))], "all.ndjson")


def test_who_is_who_cannot_be_merged(put):
    with open("1.ndjson", "w") as file:
        file.write(json.dumps(person("a.mp4", 0, 0.0, person=0)) + "\n")
    with pytest.raises(MergeError, match="identify"):
        merge(["1.ndjson"], "all.ndjson")


# Feature files.


def put_features(name, paths, *, frames=False, meta=None, shift=0.0):
    with open_features(
        name, names=("mean_0", "std_0"), meta=meta or PROVENANCE, frames=frames
    ) as file:
        for path in paths:
            path, _, part = path.partition("@")
            more = {"end": float(part)} if part else {}
            n = len(path)
            faces = Faces(np.zeros(n, np.int64), np.arange(n), np.arange(n) / 25,
                          np.full((n, 4), n, np.float32), np.ones(n, np.float32),
                          np.full((n, 5, 2), np.nan, np.float32))  # fmt: skip
            features = Features(np.full((n, 3), n + shift, np.float32), faces, n)
            if path.startswith("bad"):
                file.add(path, "error", "cannot be read", **more)
            elif path.startswith("none"):
                empty = Features(features.values[:0], faces[:0], n)
                file.add(path, "no_face", "", Descriptor(np.zeros(0, np.float32), 0, 0, n), 1.5,
                         [empty], label="Sad", **more)  # fmt: skip
            else:
                values = np.array([n, shift], np.float32)
                file.add(path, "ok", "", Descriptor(values, n, n, n), 2.5, [features],
                         label="Happy", **more)  # fmt: skip
    return name


PATHS = ["a.mp4", "bad.mp4", "bb.mp4", "none.mp4", "none.mp4@1", "z.mp4", "z.mp4@0.5"]
CLIPS = [Clip(p.partition("@")[0], end=float(p.partition("@")[2] or 0) or None) for p in PATHS]


@pytest.mark.parametrize("kind", ["npz", "parquet"])
@pytest.mark.parametrize("frames", [False, True])
def test_feature_files_are_the_bytes_of_the_whole(put, frames, kind):
    os.mkdir("one")
    whole = put_features(f"one/all.{kind}", PATHS, frames=frames)
    for n, paths in enumerate([[], PATHS[3:5], PATHS[1::3], PATHS[::2], PATHS[:1], PATHS[5:]]):
        put_features(f"{n}.{kind}", paths, frames=frames)
    parts = sorted(glob(f"[0-9]*.{kind}"))  # with the faces, as a shell would have it
    merged = merge(parts, f"all.{kind}", expected=CLIPS)
    assert read(f"all.{kind}") == read(whole)
    assert merged.statuses == {"ok": 4, "no_face": 2, "error": 1}
    if frames and kind == "parquet":
        assert read("all.frames.parquet") == read("one/all.frames.parquet")


def test_feature_files_that_differ_in_the_device_name_both(put):
    parts = [
        put_features(f"{n}.npz", [f"{n}.mp4"], meta={**PROVENANCE, "device": device})
        for n, device in enumerate(["cuda:0", "cpu"])
    ]
    merge(parts, "all.npz")
    with np.load("all.npz") as found:
        assert json.loads(str(found["meta"]))["device"] == "cpu, cuda:0"


def test_feature_files_that_do_not_belong_together_are_refused(put):
    one = put_features("1.npz", PATHS)
    for name, more, says in [
        ("2.npz", {"meta": {**PROVENANCE, "recipe": "d4"}}, "recipe is d4"),
        ("3.npz", {"frames": True}, "--frames is"),
        ("4.npz", {"shift": 1.0}, r"a.mp4: is in 1.npz \(clip 1\) and in 4.npz \(clip 1\)"),
    ]:
        with pytest.raises(MergeError, match=says):
            merge([one, put_features(name, PATHS, **more)], "all.npz")


def test_parts_of_one_clip_are_not_taken_for_one_another(put):
    parts = [put_features("1.npz", ["none.mp4@1"]), put_features("2.npz", ["none.mp4@2"])]
    assert merge(parts, "all.npz").clips == 2
    with pytest.raises(MergeError, match=r"none\.mp4: is in no part"):
        merge(parts, "all.npz", expected=[Clip("none.mp4", end=end) for end in (1.0, 2.0, 3.0)])


def test_records_and_features_as_parquet_are_not_merged(put):
    parts = [put("1.parquet", record("a.mp4")), put_features("2.parquet", ["b.mp4"])]
    with pytest.raises(InputError, match="one has records, one features"):
        merge(parts, "all.parquet")


def test_persons_of_parts_of_one_clip_are_refused(put):
    with open("1.ndjson", "w") as file:
        file.write(json.dumps(person("a.mp4", 0, 0.0)) + "\n")
    with pytest.raises(MergeError, match="do not tell the parts of one clip apart"):
        merge(["1.ndjson"], "all.ndjson", expected=[Clip("a.mp4", 0.0, 1.0), Clip("a.mp4", 1.0)])
