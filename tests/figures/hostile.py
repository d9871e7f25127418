"""Cards, archives and records that somebody has changed, and what is made of them.

Each is to be refused in one line of ours, or to answer as a sound one does; nothing that it names
is opened, called or asked for, whatever was written into it.
"""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videmo.errors import VidemoError

Rng = np.random.Generator

EVIL: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 40, 1e308, float("nan"), float("inf"), 0.0, "", "x",
    "../../etc/passwd", "/etc/passwd", "http://127.0.0.1:{port}/x", "file:///etc/passwd",
    "hf-hub:some/where", "\x1b[2J", "two\nlines", "\ud800", "a" * 5000, "os.system", [], {},
    [[]], ["a", "a"], [0, 0, 0], [float("nan")] * 3, {"url": "http://127.0.0.1:{port}/x"},
    {"pretrained": True}, {"checkpoint_path": "{file}"}, {"norm_layer": "os.system"},
    {"pretrained_cfg_overlay": {"url": "http://127.0.0.1:{port}/x", "file": "{file}"}},
    {"pretrained_cfg": {"custom_load": True, "file": "{file}"}, "pretrained": True},
    {"emotion": ["a", "a"]}, {"emotion": []}, {"emotion": ["\x1b]0;x\x07", "b"]},
)  # fmt: skip
FIELDS = ("architecture", "arguments", "mean", "std", "input_size", "dim", "outputs", "changes",
          "hidden", "labels", "level", "type", "name", "kind", "files", "recipe")  # fmt: skip


@dataclass
class Tried:
    """What became of hostile files."""

    refused: int = 0
    answered: int = 0
    crashes: list[str] = field(default_factory=list)  # an error that is none of ours
    lies: list[str] = field(default_factory=list)  # an answer that no sound file gives
    said: Counter[str] = field(default_factory=Counter)

    def attempt(self, what: str, use: Callable[[], str]) -> None:
        """Use a file: `use` returns what is wrong with its answer, or nothing."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                lie = use()
        except VidemoError as error:
            self.refused += 1
            self.said[type(error).__name__] += 1
            if not str(error).isprintable():
                self.lies.append(f"{what}: says {str(error)!r}")
        except Exception as error:
            self.crashes.append(f"{what}: {type(error).__name__}: {error}")
        else:
            self.answered += 1
            if lie:
                self.lies.append(f"{what}: {lie}")


def evil(rng: Rng, port: int, file: Path) -> Any:
    """Return a value that nobody means well with, which names a port and a file."""
    text = json.dumps(EVIL[int(rng.integers(len(EVIL)))])
    return json.loads(text.replace("{port}", str(port)).replace("{file}", str(file)))


def changed(plain: Any, rng: Rng, value: Any) -> Any:
    """Return JSON with `value` at one place of it, or under a new key."""
    if isinstance(plain, dict) and plain and rng.random() < 0.9:
        key = [*plain][int(rng.integers(len(plain)))]
        if rng.random() < 0.2:
            return {**plain, FIELDS[int(rng.integers(len(FIELDS)))]: value}
        return {**plain, key: changed(plain[key], rng, value)}
    if isinstance(plain, list) and plain and rng.random() < 0.7:
        at = int(rng.integers(len(plain)))
        return [changed(one, rng, value) if n == at else one for n, one in enumerate(plain)]
    return value


def cards(folder: Path, count: int, port: int, seed: int = 0) -> Tried:
    """Change a card at a place or two, `count` times, and use the model each time."""
    import toys

    from videmo import store

    rng, tried, trap = np.random.default_rng(seed), Tried(), folder / "trap.pt"
    trap.write_bytes(b"cos\nsystem\n(S'touch trapped'\ntR.")
    network = toys.network(folder / "net", "emotion")
    (folder / "timm").mkdir()
    timm = _timm(folder / "timm")
    spec = {"type": "linear", "level": "clip", "labels": ["a", "b"]}
    arrays = {"weight": np.eye(2, 12, dtype=np.float32), "bias": np.zeros(2, np.float32)}
    card = {"kind": "head", "name": "own", "spec": spec, "recipe": network.recipe.to_dict()}
    models = (network, timm, store.save(folder / "head", card, arrays))
    uses = (_tell, _build, _decide)
    plain = [json.loads((model.folder / "card.json").read_text()) for model in models]
    for number in range(count):
        which = number % len(models)
        model, card = models[which], plain[which]
        for _ in range(int(rng.integers(1, 3))):
            card = changed(card, rng, evil(rng, port, trap))
        (model.folder / "card.json").write_text(json.dumps(card), errors="surrogatepass")
        tried.attempt(f"card {number}", lambda m=model, u=uses[which]: u(m.folder))  # type: ignore[misc]
        (model.folder / "card.json").write_text(json.dumps(plain[which]))
    if os.path.exists("trapped"):
        tried.lies.append("a pickle was run")
    return tried


def _timm(folder: Path) -> Any:
    """Save a small network of timm without a graph, so that its card alone says what is built."""
    from networks import SPEC, random_tensors

    from videmo import store

    plain = {name: getattr(SPEC, name) for name in SPEC.__dataclass_fields__}
    plain |= {name: dict(plain[name]) for name in ("outputs", "arguments", "hidden")}
    arrays = {name: tensor.numpy() for name, tensor in random_tensors().items()}
    card = {"kind": "backbone", "name": "small", "spec": plain}
    return store.save(folder / "small", card, arrays)


def _tell(folder: Path) -> str:
    """Ask a network with a graph for its answer to pictures."""
    from videmo import store
    from videmo.stages.embed import make_backbone

    model = store.load(folder)
    _ = model.recipe
    spec = model.backbone_spec()
    run = make_backbone(spec, model.folder, engine="openvino", threads=1)
    values, outputs = run(np.zeros((1, spec.input_size, spec.input_size, 3), np.uint8))
    return _odd({"features": values, **outputs}, spec.outputs)


def _build(folder: Path) -> str:
    """Build a network of timm as its card says."""
    from videmo import store
    from videmo.stages.embed.timm import create_network

    model = store.load(folder)
    create_network(model.backbone_spec(), model.folder / store.WEIGHTS)
    return ""


def _decide(folder: Path) -> str:
    """Ask a head for its answer to a row."""
    from videmo import store

    model = store.load(folder)
    head, labels = model.head(), model.head_spec().labels
    _ = model.recipe
    scores = head(np.zeros((1, 12), np.float32))
    total = float(scores.sum())
    twice = len(set(labels)) < len(labels)
    return f"labels {labels}, sum {total}" if twice or abs(total - 1) > 1e-4 else ""


def _odd(columns: Any, labels: Any) -> str:
    twice = [name for name, of in labels.items() if len(set(of)) < len(of)]
    bad = [name for name, column in columns.items() if not np.isfinite(column).all()]
    return f"{twice} twice, {bad} not finite" if twice or bad else ""


def archives(folder: Path, count: int, seed: int = 0) -> Tried:
    """Change a feature file, `count` times, and read and merge it each time."""
    from videmo.data import Descriptor
    from videmo.runs.shards.merge import merge
    from videmo.write import load_features, open_features

    rng, tried, good = np.random.default_rng(seed), Tried(), folder / "good.npz"
    with open_features(str(good), names=["x", "y"], meta={"options": {}}) as file:
        for number in range(4):
            found = Descriptor(rng.random(2).astype(np.float32), 1, 1, 1)
            file.add(f"{number}.mp4", "ok", "", found, 1.0, label="a", subject="b")
    with np.load(good) as found:
        arrays = dict(found)
    for number in range(count):
        path = folder / "bad.npz"
        path.write_bytes(_repacked(arrays, rng))

        def use(path: Path = path) -> str:
            table = load_features(path)
            (folder / "out.npz").unlink(missing_ok=True)
            merge([str(path)], folder / "out.npz")
            answered = table.features[table.status == "ok"]
            return "" if np.isfinite(answered).all() else "an answer that is no number"

        tried.attempt(f"archive {number}", use)
    return tried


def _repacked(arrays: dict[str, Any], rng: Rng) -> bytes:
    """Return an archive in which one array is another, twice, missing or too many."""
    names, how = [*arrays], int(rng.integers(6))
    name = names[int(rng.integers(len(names)))]
    array = arrays[name]
    found = dict(arrays)
    if how == 0:
        del found[name]
    elif how == 1:
        found["more"] = np.zeros(3)
    elif how == 2 and array.dtype.kind == "f":
        found[name] = np.where(rng.random(array.shape) < 0.3, np.inf, array)
    elif how == 3 and array.ndim:
        found[name] = array[:-1]
    elif how == 4 and array.dtype.kind in "if":
        found[name] = -array - 1
    else:
        found[name] = np.array([json.dumps(EVIL[int(rng.integers(len(EVIL)))])] * 4)
    packed = io.BytesIO()
    np.savez(packed, **found)
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "a") as file:
        warnings.simplefilter("ignore")
        if how == 5:
            file.writestr(f"{name}.npy", file.read(f"{name}.npy"))
    return packed.getvalue()


def report(folder: Path, count: int, seed: int) -> None:
    """Print what hostile cards and archives did: crashes, lies and connections must be 0."""
    from lists import listening

    (folder / "cards").mkdir()
    (folder / "archives").mkdir()
    with listening() as heard:
        tried = {
            "cards": cards(folder / "cards", count, heard.port, seed),
            "archives": archives(folder / "archives", count, seed),
        }
    for name, one in tried.items():
        print(
            f"{count} hostile {name}, seed {seed}: {one.refused} refused "
            f"({', '.join(f'{n} {kind}' for kind, n in one.said.most_common())}), "
            f"{one.answered} answered, {len(one.crashes)} crashes, {len(one.lies)} lies"
        )
        for line in _first([*one.crashes, *one.lies]):
            print(f"    {line}")
    print(f"connections: {len(heard.asked)}")


def _first(lines: list[str]) -> Iterator[str]:
    yield from lines[:20]
