"""Pickles of others: read as data, and nothing in them is ever run."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videmo.errors import CorruptModel, ModelError, VidemoError
from videmo.store.zoo import unpickle
from videmo.store.zoo.checkpoint import read

SMALL = "test_efficientnet"  # timm's own for tests


class Calls:
    """Pickles into a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def file_of(tmp_path: Path, said: bytes, legacy: bool = False) -> Path:
    path = tmp_path / "net.pt"
    path.write_bytes(published.chain(said) if legacy else published.archive(said))
    return path


def same(got: dict[str, np.ndarray], expected: dict[str, torch.Tensor]) -> bool:
    return got.keys() == expected.keys() and all(
        np.array_equal(got[name], tensor.detach().float().numpy())
        for name, tensor in expected.items()
    )


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_state_dict_is_what_torch_reads(tmp_path: Path, legacy: bool) -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    state = OrderedDict(
        turned=x.permute(2, 0, 1)[1:, :, ::2], part=x[1, 1:], scalar=torch.tensor(2.5),
        double=x.double() / 3, half=(x / 3).half(), brain=(x / 3).bfloat16(),
        brain_turned=(x / 3).bfloat16().mT, brain_scalar=torch.tensor(0.3).bfloat16(),
        count=torch.tensor(7), parameter=torch.nn.Parameter(x), empty=torch.zeros(0, 3),
        same=x, yes=torch.tensor([True, False]),
    )  # fmt: skip
    path = published.save(state, tmp_path / "state.pt", legacy=legacy)
    assert same(read(path).tensors, torch.load(path, weights_only=True))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_any_protocol_of_python_3_is_read(tmp_path: Path, protocol: int) -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(300)}
    torch.save(state, tmp_path / "state.pt", pickle_protocol=protocol)
    assert same(read(tmp_path / "state.pt").tensors, state)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("generation", published.PLACES)
def test_a_whole_network_of_any_generation_gives_its_tensors(
    tmp_path: Path, generation: str, legacy: bool
) -> None:
    net = published.network(SMALL, 8)
    path = published.save_module(net, tmp_path / "net.pt", generation, legacy=legacy)
    found = read(path)
    assert same(found.tensors, net.state_dict())
    assert found.of == "timm.models.efficientnet.EfficientNet"


def test_a_state_dict_within_a_training_s_own_is_found(tmp_path: Path) -> None:
    state = {f"module.{name}": torch.ones(2) for name in "ab"}
    whole = {"epoch": 3, "best": 0.6, "state_dict": state, "optimizer": {"lr": [0.1]}}
    path = published.save(whole, tmp_path / "net.pt")
    assert sorted(read(path).tensors) == ["a", "b"]


def test_a_buffer_that_is_not_saved_is_left_out(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 3)
    net.register_buffer("kept", torch.ones(2))
    net.register_buffer("not_kept", torch.ones(2), persistent=False)
    found = read(published.save(net, tmp_path / "net.pt"))
    assert sorted(found.tensors) == ["bias", "kept", "weight"]


def test_bytes_in_the_other_order_are_turned(tmp_path: Path) -> None:
    numbers = np.arange(6, dtype=">f4").tobytes()
    blob = published.archive(published.tensor(), {"0": numbers})
    (tmp_path / "net.pt").write_bytes(blob.replace(b"little", b"bigbig"))
    with pytest.raises(CorruptModel):  # the sum of the member is not right any more
        read(tmp_path / "net.pt")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("x/data.pkl", published.tensor())
        file.writestr("x/byteorder", b"big")
        file.writestr("x/data/0", numbers)
    (tmp_path / "net.pt").write_bytes(out.getvalue())
    assert read(tmp_path / "net.pt").tensors["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


# --- what would be run, if it were loaded ------------------------------------------------------


def evil(marker: Path) -> dict[str, bytes]:
    """Return pickles that make the file `marker` when Python loads them, by their ways."""
    command = f"touch {marker}"
    text = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    said = {
        "reduce": Calls(os.system, command),
        "eval": Calls(builtins.eval, text),
        "exec": Calls(builtins.exec, text),
        "partial": partial(os.system, command),
        "inside a state dict": {"w": Calls(os.system, command)},
        "as a key": {Calls(builtins.eval, f"str({text})"): 1},
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "map": Calls(list, Calls(map, os.system, [command])),
        "torch.load": Calls(torch.load, str(marker)),
        "torch.hub": Calls(torch.hub.load, "a/b", "c"),
    }
    blobs = {name: pickle.dumps(tree, 2) for name, tree in said.items()}
    unicode = b"X" + struct.pack("<I", len(command)) + command.encode()
    blobs |= {
        "inst": b"(" + unicode + b"ios\nsystem\n.",
        "obj": b"(cos\nsystem\n" + unicode + b"o.",
        "newobj": b"\x80\x02cos\nsystem\n" + unicode + b"\x85\x81.",
        "newobj_ex": b"\x80\x04cos\nsystem\n" + unicode + b"\x85}\x92.",
        "stack_global": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + unicode + b"\x85R.",
        "protocol 0": b"cos\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "copyreg": b"\x80\x02ccopyreg\n_reconstructor\ncos\nsystem\nc__builtin__\nobject\nN\x87R.",
        "extension": b"\x80\x02ccopyreg\nadd_extension\n(X\x02\x00\x00\x00osX\x06\x00\x00\x00"
        b"systemK\x01tR0\x82\x01" + unicode + b"\x85R.",
        "nested name": b"\x80\x04\x8c\x05timm.\x8c\x02os\x93\x8c\x02os\x8c\x06system\x93.",
        "storage type": b"\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000"
        b"X\x03\x00\x00\x00cpuK\x01tQ.",
        "state of a stub": b"\x80\x02ctorch.nn\nLinear\n)\x81}X\x0c\x00\x00\x00__setstate__"
        b"cos\nsystem\nsb" + unicode + b"b.",
        "state of a class": b"\x80\x02ctorch.nn\nLinear\n}X\x0a\x00\x00\x00__reduce__"
        b"cos\nsystem\nsb.",
        "call of what a call gave": b"\x80\x02ctorch.nn\nLinear\n)R" + unicode + b"\x85R.",
        "persistent": b"\x80\x02cos\nsystem\nQ.",
    }  # fmt: skip
    return blobs


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("way", evil(Path("marker")))
def test_nothing_in_a_file_is_run(tmp_path: Path, way: str, legacy: bool) -> None:
    marker = tmp_path / "marker"
    path = file_of(tmp_path, evil(marker)[way], legacy)
    with pytest.raises(ModelError) as caught:
        read(path)
    assert not marker.exists()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("way", ["reduce", "eval", "exec", "inst", "obj", "stack_global"])
def test_the_same_files_do_run_where_python_loads_them(tmp_path: Path, way: str) -> None:
    pickle.loads(evil(tmp_path / "marker")[way])
    assert (tmp_path / "marker").exists()


def test_what_was_asked_for_is_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, pickle.dumps(Calls(os.system, "true"), 2))
    with pytest.raises(ModelError, match=r"'posix\.system', which no network needs"):
        read(path)


def test_a_module_whose_setstate_is_a_trap_is_only_data(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    class Trap(torch.nn.Module):
        def __setstate__(self, state: Any) -> None:
            marker.write_text("run")

    Trap.__module__, Trap.__qualname__ = "timm.models.trap", "Trap"
    net = Trap()
    net.weight = torch.nn.Parameter(torch.ones(2))
    with published.pretended({"timm.models.trap": {"Trap": Trap}}):
        path = published.save(net, tmp_path / "net.pt")
        assert read(path).tensors["weight"].tolist() == [1, 1]
        assert not marker.exists()
        torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_class_of_a_network_is_never_imported(tmp_path: Path) -> None:
    said = b"\x80\x02ctimm.there_is_no_such_module\nNet\n)\x81}b."
    with pytest.raises(CorruptModel, match="no module of torch"):
        read(file_of(tmp_path, said))


def test_a_name_that_only_begins_like_a_network_s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"timmy\.Net"):
        read(file_of(tmp_path, b"\x80\x02ctimmy\nNet\n."))


@pytest.mark.parametrize(
    "code",
    [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"\x96" + bytes(8), b"\x97", b"\x98",
     b"Pid\n", b"\xff"],
)  # fmt: skip
def test_an_instruction_that_torch_does_not_write_is_refused(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(CorruptModel, match="the instruction"):
        read(file_of(tmp_path, b"\x80\x02" + code + b"."))


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}.")
        file.writestr("net/code/__torch__.py", "import os")
    with pytest.raises(CorruptModel, match="TorchScript"):
        read(tmp_path / "net.pt")


# --- what would take memory or time for ever ---------------------------------------------------


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    blob = published.archive(published.tensor(), {"0": bytes(1 << 20)}, compressed=True)
    (tmp_path / "net.pt").write_bytes(blob)
    with pytest.raises(CorruptModel, match="compressed member"):
        read(tmp_path / "net.pt")


def test_members_over_one_another_are_refused(tmp_path: Path) -> None:
    blob = published.archive(published.tensor(), {"0": bytes(24), "1": bytes(100_000)})
    directory = blob.rindex(b"PK\x05\x06")
    first = blob.index(b"PK\x01\x02")
    entries = blob[first:directory]
    third = entries[entries.rindex(b"PK\x01\x02") :]  # of the large member, again and again
    more = [third.replace(b"archive/data/1", b"archive/data/%c" % c) for c in b"abcdefgh"]
    end = bytearray(blob[directory:])
    count, size = len(more) + 4, len(entries) + sum(map(len, more))
    struct.pack_into("<HHI", end, 8, count, count, size)
    (tmp_path / "net.pt").write_bytes(blob[:directory] + b"".join(more) + bytes(end))
    with pytest.raises(CorruptModel, match="larger than the file"):
        read(tmp_path / "net.pt")


@pytest.mark.parametrize(
    "facts",
    [
        {"shape": (3, 3)},
        {"stride": (4, 1)},
        {"offset": 1},
        {"offset": 1 << 59},
        {"stride": (0, 0), "shape": (1 << 40, 1 << 18)},
        {"stride": (0, 1), "shape": (1000, 3)},
        {"stride": (-3, 1)},
        {"shape": (-2, 3)},
        {"shape": (2,)},
        {"shape": (1,) * 70, "stride": (1,) * 70},
        {"shape": (0, 1 << 50), "stride": (1, 1)},
        {"shape": (2.0, 3)},
        {"shape": [2, 3]},
        {"count": -6},
        {"count": 1 << 50},
        {"count": 7},
        {"key": "../0"},
        {"key": "1"},
    ],
    ids=str,
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path: Path, facts: dict[str, Any]) -> None:
    blob = published.archive(published.tensor(**facts), {"0": bytes(24)})
    (tmp_path / "net.pt").write_bytes(blob)
    with pytest.raises(CorruptModel):
        read(tmp_path / "net.pt")


def test_the_same_tensor_within_its_storage_is_read(tmp_path: Path) -> None:
    numbers = np.arange(6, dtype="<f4").tobytes()
    for number, blob in enumerate(
        [
            published.archive(published.tensor(shape=(2, 2), stride=(1, 3)), {"0": numbers}),
            published.chain(
                published.tensor(shape=(2, 2), stride=(1, 3)), ("0",),
                struct.pack("<q", 6) + numbers,
            ),
        ]
    ):  # fmt: skip
        path = tmp_path / f"{number}.pt"
        path.write_bytes(blob)
        assert read(path).tensors["w"].tolist() == [[0, 3], [1, 4]]


@pytest.mark.parametrize(
    "said",
    [
        b"\x80\x02" + b"(" * 300_000 + b".",
        b"\x80\x02" + b"]" * 300_000 + b".",
        b"\x80\x02)" + b"\x85" * 300_000 + b".",
        b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02X\xff\xff\xff\x7f.",
        b"\x80\x04\x8e" + b"\xff" * 8 + b".",
        b"\x80\x02Nr\xff\xff\xff\xff.",
        b"\x80\x02c" + b"a" * 10_000 + b"\nb\n.",
    ],
    ids=["marks", "lists", "depth", "tuples", "number", "text", "bytes", "memo", "name"],
)
def test_a_pickle_that_asks_for_much_gets_little(
    tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpickle, "MAX_STEPS", 200_000)
    with pytest.raises(CorruptModel):
        read(file_of(tmp_path, said))


def module(children: dict[str, Any]) -> Any:
    net = torch.nn.Module()
    net._modules.update(children)
    return net


def test_a_chain_of_parts_without_end_is_let_go_again(tmp_path: Path) -> None:
    part = b"ctorch.nn\nModule\n)\x81q\x01" + b"ctorch.nn\nModule\n)\x81h\x01bq\x01" * 20_000
    with pytest.raises(CorruptModel, match="no module of torch"):
        read(file_of(tmp_path, b"\x80\x02" + part + b"."))


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "x" * 300])
def test_names_that_would_spoil_a_terminal_are_refused(tmp_path: Path, name: str) -> None:
    path = published.save({name: torch.ones(2)}, tmp_path / "net.pt")
    with pytest.raises(CorruptModel, match="names are no text"):
        read(path)
    net = module({name: torch.nn.ReLU(), "b": torch.nn.Module()})
    net._modules["b"].__dict__["_parameters"] = None
    with pytest.raises(CorruptModel) as caught:
        read(published.save(net, path))
    assert str(caught.value).isprintable()


def test_a_network_that_holds_itself_is_refused(tmp_path: Path) -> None:
    net = module({})
    net._modules["again"] = net
    with pytest.raises(CorruptModel, match="too many parts"):
        read(published.save(net, tmp_path / "net.pt"))


def test_a_network_that_doubles_in_every_layer_is_refused(tmp_path: Path) -> None:
    net: Any = torch.nn.Linear(1, 1)
    for _ in range(40):
        net = module({"a": net, "b": net})
    with pytest.raises(CorruptModel, match="too many parts"):
        read(published.save(net, tmp_path / "net.pt"))


def test_one_storage_many_times_does_not_fill_memory(tmp_path: Path) -> None:
    x = torch.zeros(100_000)
    path = published.save({str(i): x for i in range(1000)}, tmp_path / "net.pt")
    with pytest.raises(CorruptModel, match="tensors of"):
        read(path)


# --- what is broken ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, bytes]:
    """A small network in both containers."""
    net, folder = published.network(SMALL, 2, block_args=None), tmp_path_factory.mktemp("good")
    small = torch.nn.Sequential(net.conv_stem, net.bn1, torch.nn.Linear(3, 2))
    return {
        legacy: published.save(small, folder / "net.pt", legacy=legacy).read_bytes()
        for legacy in (False, True)
    }


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_that_breaks_off_is_refused(
    tmp_path: Path, good: dict[bool, bytes], legacy: bool
) -> None:
    path, whole = tmp_path / "net.pt", good[legacy]
    path.write_bytes(whole)
    assert read(path).tensors
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptModel):
            read(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@settings(max_examples=150, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1,
                        max_size=6))  # fmt: skip
def test_a_damaged_file_is_an_error_of_ours_or_none(
    tmp_path_factory: pytest.TempPathFactory,
    good: dict[bool, bytes],
    legacy: bool,
    changes: list[tuple[int, int]],
) -> None:
    blob = bytearray(good[legacy])
    for at, value in changes:
        blob[at % min(len(blob), 6000)] = value  # where the pickle is
    path = tmp_path_factory.getbasetemp() / "damaged.pt"
    path.write_bytes(blob)
    try:
        read(path)
    except VidemoError as error:
        assert "\n" not in str(error)


@settings(max_examples=300, deadline=None)
@given(said=st.binary(max_size=200), legacy=st.booleans())
def test_noise_is_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, said: bytes, legacy: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.pt"
    path.write_bytes(published.chain(said) if legacy else published.archive(said))
    with pytest.raises(VidemoError):
        read(path)
