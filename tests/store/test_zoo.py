"""The table of published networks, what of it is here, and how it comes here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pages import BODY, Site

from videmo import store
from videmo.errors import CorruptModel, InputError, ModelError, ModelNotFound
from videmo.files.checksums import read_sum
from videmo.files.download import checked_name
from videmo.files.fetch import check_url
from videmo.labels import LABELS
from videmo.store.zoo import ZOO, PublishedModel, catalogue
from videmo.store.zoo.pull import pull

pytestmark = pytest.mark.usefixtures("cache")
SHA256 = hashlib.sha256(BODY).hexdigest()
BLOB = hashlib.sha1(b"blob %d\0" % len(BODY) + BODY).hexdigest()
NAME = "enet_b0_8_best_afew"
FILE = f"{NAME}.pt"
AGE = "age_gender_tf2_224_deep-03-0.13-0.97"
HEAD = {
    "kind": "head",
    "spec": {"type": "linear", "level": "clip", "labels": ["a", "b"]},
    "license": {"code": "Apache-2.0", "weights": "mine", "data": "mine"},
}
WEIGHTS = {"weight": np.eye(2, dtype=np.float32), "bias": np.zeros(2, np.float32)}


@pytest.fixture
def row(site: Site, monkeypatch: pytest.MonkeyPatch) -> PublishedModel:
    """A published network whose file is on the server."""
    changed = dataclasses.replace(
        ZOO[NAME], urls=(site.url("none"), site.put(FILE)), git_blob=BLOB[:12], sha256=""
    )
    monkeypatch.setitem(ZOO, NAME, changed)
    return changed


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was made a model, by something that stands in for the import."""
    heard: list[Any] = []

    def import_model(
        path: Path, name: str, published: PublishedModel | None, **how: Any
    ) -> store.Model:
        heard.append((path, name, published, how))
        return store.save(store.cache_dir() / "models" / name, {**HEAD, "name": name}, WEIGHTS)

    room = ModuleType("videmo.store.zoo.importer")
    room.import_model = import_model  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "videmo.store.zoo.importer", room)
    monkeypatch.setattr("videmo.store.zoo.importer", room, raising=False)
    return heard


def install(cache: Path, name: str) -> store.Model:
    return store.save(cache / "models" / name, {**HEAD, "name": name}, WEIGHTS)


@pytest.mark.parametrize("name", ZOO)
def test_a_row_is_named_by_its_file_and_says_where_it_is(name: str) -> None:
    row = ZOO[name]
    assert name == row.name == (row.file if row.format == "onnx" else Path(row.file).stem)
    assert checked_name(row.file) and row.format in ("module", "state", "onnx", "keras", "dlib")
    assert row.urls and len(set(row.urls)) == len(row.urls)
    for url in row.urls:
        check_url(url)
        assert url.startswith("https://github.com/") and row.file in url
    assert len(row.git_blob) >= 8 and int(row.git_blob, 16)
    assert len(row.sha256) in (0, 64)


@pytest.mark.parametrize("name", ZOO)
def test_a_row_names_terms_and_figures_in_full(name: str) -> None:
    row = ZOO[name]
    assert row.about and set(row.terms) == {"code", "weights", "data"}
    for figure in row.figures:
        assert figure.note and figure.source and figure.data
        assert figure.value <= 1 or "years" in figure.metric
        assert figure.n is None or figure.metric.startswith("accuracy")


@pytest.mark.parametrize("name", [name for name, row in ZOO.items() if row.specs])
def test_the_networks_exist_and_have_these_features(name: str) -> None:
    timm = pytest.importorskip("timm")
    for spec in ZOO[name].specs:
        if spec.architecture == "mobilefacenet":
            assert (spec.dim, spec.input_size) == (512, 112)
        elif spec.architecture == "dlib_resnet":
            assert (spec.dim, spec.input_size) == (256, 150)
        else:
            assert timm.is_model(spec.architecture.partition(".")[0])
        assert spec.input_size == (260 if "_b2" in spec.architecture else spec.input_size)


def test_labels_are_those_of_their_sets() -> None:
    for name, row in ZOO.items():
        for spec in row.specs:
            emotions = spec.outputs.get("emotion")
            assert emotions in (None, LABELS["affectnet8"], LABELS["affectnet7"]), name
            assert ("valence_arousal" in spec.outputs) == ("_va_mtl" in name)
    ages = ZOO[AGE].specs[0].outputs
    assert (ages["age"][0], ages["age"][-1], len(ages["age"])) == ("1", "100", 100)
    assert ages["gender"] == ("female", "male")


def test_the_means_of_keras_are_turned_into_shares() -> None:
    emotion, age = (
        ZOO[n].specs[0] for n in ("mobilenet_7", "age_gender_tf2_224_deep-03-0.13-0.97")
    )
    pixel = np.array([200.0, 100.0, 50.0])  # red, green, blue
    for spec, less in ((emotion, [103.939, 116.779, 123.68]), (age, [123.68, 116.779, 103.939])):
        assert (pixel / 255 - spec.mean) / spec.std == pytest.approx(pixel - less)
    assert ZOO[AGE].colour == "bgr"


def test_a_figure_of_clips_says_which_clips() -> None:
    figures = {(f.data, f.n): f for f in ZOO[NAME].figures}
    assert figures["AFEW validation", 379].value == pytest.approx(0.5989, abs=5e-5)
    assert figures["AFEW validation", 383].value == pytest.approx(0.5927, abs=5e-5)
    assert figures["AFEW validation", 379].note == "clips with a face"


def test_a_pull_makes_a_model(row: PublishedModel, taken: list[Any], cache: Path) -> None:
    done = pull(NAME)
    assert taken == [(cache / "files" / FILE, NAME, row, {})]
    assert (done.folder, done.sha256) == (cache / "models" / NAME, SHA256)
    assert read_sum(cache / "files" / FILE) == SHA256
    assert sorted(p.name for p in (cache / "models").iterdir()) == [NAME]


def test_what_is_installed_is_not_pulled_again(
    row: PublishedModel, taken: list[Any], site: Site
) -> None:
    said: list[str] = []
    pull(NAME)
    asked = len(site.asked)
    done = pull(NAME, say=said.append)
    assert done.folder and done.file is None
    assert (len(site.asked), len(taken), said) == (asked, 1, [f"{NAME} is installed already"])


def test_only_the_file_may_be_wanted(row: PublishedModel, taken: list[Any], cache: Path) -> None:
    done = pull(NAME, install=False)
    assert (done.folder, done.file, taken) == (None, cache / "files" / FILE, [])
    pull(NAME)  # goes on from there
    assert len(taken) == 1


def test_a_sum_that_was_not_known_is_said(row: PublishedModel, taken: list[Any]) -> None:
    said: list[str] = []
    pull(NAME, install=False, say=said.append)
    assert SHA256 in said[0] and FILE in said[0]


def test_a_mirror_may_be_a_folder_or_a_file(row: PublishedModel, site: Site) -> None:
    site.put("zoo/" + FILE)
    site.put("other")
    pull(NAME, url=site.url("zoo/"), install=False)
    catalogue.remove(NAME)
    pull(NAME, url=site.url("other"), install=False)
    assert [name for name, _ in site.asked] == [f"zoo/{FILE}", "other"]


def test_a_sum_of_the_user_goes_before_what_is_known(row: PublishedModel, site: Site) -> None:
    other = b"of another version" * 100
    site.put(FILE, other)
    with pytest.raises(CorruptModel, match="git blob"):
        pull(NAME, install=False)
    pull(NAME, digest=hashlib.sha256(other).hexdigest().upper(), install=False)
    with pytest.raises(InputError, match="no SHA-256"):
        pull(NAME, digest="abc")


def test_a_damaged_file_is_fetched_again(row: PublishedModel, cache: Path) -> None:
    said: list[str] = []
    path = pull(NAME, install=False).file
    assert path
    path.write_bytes(b"damaged")
    pull(NAME, install=False, say=said.append)
    assert path.read_bytes() == BODY
    assert "it is fetched again" in said[0]


def test_a_damaged_model_is_made_again(row: PublishedModel, taken: list[Any], cache: Path) -> None:
    said: list[str] = []
    pull(NAME)
    damage(cache / "models" / NAME / store.WEIGHTS)
    pull(NAME, say=said.append)
    assert "it is made again" in said[0] and len(taken) == 2
    assert store.verify(cache / "models" / NAME)[0] == "ok"


def test_a_file_that_is_no_network_leaves_no_model(
    row: PublishedModel, taken: list[Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **more: Any) -> Any:
        raise ModelError("it is no network")

    monkeypatch.setattr("videmo.store.zoo.importer.import_model", refuse)
    with pytest.raises(ModelError, match="no network"):
        pull(NAME)
    assert list((cache / "models").iterdir()) == []


def test_a_detector_is_a_file_and_no_model(
    site: Site, taken: list[Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videmo.stages.detect import retinaface

    there = dataclasses.replace(retinaface.FILE, urls=(site.put("a"),), sha256=SHA256)
    monkeypatch.setattr(retinaface, "FILE", there)
    done = pull("retinaface-resnet50")
    assert (done.folder, done.file, taken) == (None, cache / "files" / there.name, [])
    assert catalogue.path_of("retinaface-resnet50") == done.file
    assert catalogue.entry("retinaface-resnet50").state == "cached"


def test_what_nobody_published_cannot_be_pulled() -> None:
    with pytest.raises(ModelNotFound, match="did you mean enet_b2_8"):
        pull("enet_b2_9")


@pytest.mark.parametrize("name", ["afew7", "mtcnn"])
def test_what_is_in_the_package_need_not_be_pulled(name: str) -> None:
    said: list[str] = []
    done = pull(name, say=said.append)
    assert done.file is None and said == [f"{name} is embedded already"]


def test_the_shelf_tells_what_is_here(row: PublishedModel, cache: Path) -> None:
    install(cache, "own")
    pull(NAME, install=False)
    (cache / "files" / "odd.bin").write_bytes(b"x")
    states = {one.name: one.state for one in catalogue.entries()}
    assert [*states][:4] == ["afew7", "lite0_faces", "vgaf3", "own"]
    assert (states["afew7"], states["own"], states[NAME]) == ("embedded", "installed", "cached")
    assert (states["enet_b2_8"], states["odd.bin"]) == ("published", "cached")
    assert len(states) == len(catalogue.entries())


def test_an_installed_network_is_one_entry_with_what_was_published(
    row: PublishedModel, taken: list[Any]
) -> None:
    pull(NAME)
    (one,) = [one for one in catalogue.entries() if one.name == NAME]
    said = catalogue.describe(one)
    assert (said["state"], said["kind"]) == ("installed", "head")
    assert said["outputs"] == {"clip": ["a", "b"]}
    assert said["published"]["git_blob"] == BLOB[:12]
    assert said["license"]["weights"] == "mine"


@pytest.mark.parametrize("one", catalogue.entries(), ids=lambda one: str(one.name))
def test_facts_are_json(one: catalogue.CatalogueEntry) -> None:
    said = catalogue.describe(one)
    assert json.loads(json.dumps(said, allow_nan=False))["name"] == one.name
    if one.kind == "backbone":
        assert said["input_size"] and said["mean"] and said["std"] and said["colour"] == "rgb"


def test_a_model_that_is_being_written_is_not_there_yet(cache: Path) -> None:
    install(cache, "own").folder.rename(cache / "models" / ".own.abc")
    assert "own" not in "".join(store.names())
    assert all("own" not in one.name for one in catalogue.entries() if one.state == "installed")


def test_a_broken_card_hides_nothing_else(cache: Path) -> None:
    install(cache, "own")
    (cache / "models" / "own" / "card.json").write_text("{")
    assert {one.name for one in catalogue.entries()} >= {"own", "afew7"}
    rows = {row["name"]: row["state"] for row in catalogue.verify()}
    assert (rows["own"], rows["afew7"]) == ("corrupt", "ok")


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize(
    ("spoil", "state"), [(lambda path: None, "ok"), (damage, "corrupt"), (Path.unlink, "missing")]
)
def test_a_model_is_ok_corrupt_or_missing(
    spoil: Callable[[Path], None], state: str, cache: Path
) -> None:
    model = install(cache, "own")
    spoil(model.folder / store.WEIGHTS)
    (row,) = catalogue.verify(["own"])
    assert (row["state"], row["path"]) == (state, str(model.folder))
    assert bool(row["why"]) == (state != "ok")


def test_a_cached_file_is_verified_too(row: PublishedModel, cache: Path) -> None:
    pull(NAME, install=False)
    assert [r["state"] for r in catalogue.verify([NAME])] == ["ok"]
    damage(cache / "files" / FILE)
    assert [r["state"] for r in catalogue.verify([NAME])] == ["corrupt"]
    assert {r["name"] for r in catalogue.verify() if r["state"] != "ok"} == {NAME}


def test_what_is_asked_for_by_name_and_not_here_is_missing() -> None:
    assert [row["state"] for row in catalogue.verify(["enet_b2_8"])] == ["missing"]


def test_the_folder_of_a_model_is_told_or_how_to_get_it(row: PublishedModel, cache: Path) -> None:
    assert catalogue.path_of("afew7") == store.EMBEDDED / "afew7"
    with pytest.raises(ModelError, match=f"videmo models pull {NAME}$"):
        catalogue.path_of(NAME)
    pull(NAME, install=False)
    with pytest.raises(ModelError, match=f"only its file is here, .*{FILE}; videmo models pull"):
        catalogue.path_of(NAME)


def test_a_model_is_removed_with_its_file(
    row: PublishedModel, taken: list[Any], cache: Path
) -> None:
    pull(NAME)
    gone = catalogue.remove(NAME)
    assert gone[:2] == [cache / "models" / NAME, cache / "files" / FILE]
    assert list((cache / "models").iterdir()) == list((cache / "files").iterdir()) == []


def test_the_file_alone_may_be_removed(row: PublishedModel, taken: list[Any], cache: Path) -> None:
    pull(NAME)
    catalogue.remove(FILE)
    assert (cache / "models" / NAME).is_dir() and not (cache / "files" / FILE).exists()


def test_a_file_nobody_knows_may_be_removed(cache: Path) -> None:
    (cache / "files").mkdir(parents=True)
    (cache / "files" / "odd.bin").write_bytes(b"x")
    assert catalogue.remove("odd.bin") == [cache / "files" / "odd.bin"]


def test_what_a_cut_download_left_is_removed(row: PublishedModel, site: Site, cache: Path) -> None:
    site.put(FILE, cut=1000, ranges=False)
    with pytest.raises(ModelError):
        pull(NAME)
    assert catalogue.remove(NAME)
    assert list((cache / "files").iterdir()) == []


def test_an_embedded_model_stays(cache: Path) -> None:
    with pytest.raises(InputError, match="part of the package"):
        catalogue.remove("afew7")
    assert (store.EMBEDDED / "afew7").is_dir()


@pytest.mark.parametrize("name", ["../x", "", ".", "..", "a/b", ".own", "/etc"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    for use in (catalogue.remove, catalogue.entry, catalogue.path_of, pull, store.remove):
        with pytest.raises(InputError, match="no plain name"):
            use(name)


def test_a_link_is_removed_and_not_what_it_leads_to(cache: Path, tmp_path: Path) -> None:
    store.save(tmp_path / "elsewhere", {**HEAD, "name": "own"}, WEIGHTS)
    (cache / "models").mkdir(parents=True)
    (cache / "models" / "own").symlink_to(tmp_path / "elsewhere")
    catalogue.remove("own")
    assert (tmp_path / "elsewhere" / "card.json").is_file()
    assert list((cache / "models").iterdir()) == []


def test_nothing_to_remove_is_said(cache: Path) -> None:
    with pytest.raises(ModelError, match="nothing to remove"):
        catalogue.remove("enet_b2_8")
    with pytest.raises(ModelNotFound):
        catalogue.remove("nobody_knows_this")
