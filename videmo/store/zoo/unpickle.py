"""Pickles read as data: a stack machine of our own that can call nothing.

Python's unpickler calls whatever a file names. This one knows a closed list of names. A few
stand for tensors and containers, which it builds itself; those that a network's file may hold
besides (modules of timm and torch, their functions) become `Inert`, which keeps what the file
says of them and never runs. Any other name ends the reading before anything is built of it.

The instructions are those of pickletools.py in Python, protocols 2 to 5; names and arguments of
tensors are those of torch/_utils.py and torch/serialization.py.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from videmo.errors import CorruptModel, ModelError

STEPS = 500_000  # instructions of one pickle; EfficientNet-B7 has 154,973
LONGEST = 256  # characters of one name
LARGEST = 1 << 60  # of a whole number as a key: larger ones may be made to collide

_WORD = re.compile(r"[A-Za-z0-9_.]{1,256}")

STORAGES = {  # classes of torch -> type of NumPy; bfloat16 is the upper half of a float32
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "bf16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "u1",
}  # fmt: skip
NETWORKS = (  # packages in which a network's classes and functions lie
    "timm", "torch.nn", "torch._C._nn", "torchvision.models", "torchvision.ops", "geffnet",
    "efficientnet_pytorch", "mobilefacenet", "__main__",
)  # fmt: skip
INERT = {
    "functools.partial", "torch.device", "torch.memory_format", "torch.float16", "torch.float32",
    "torch.float64", "torch.bfloat16", "torch.int64", "torch.sigmoid", "torch.tanh", "torch.relu",
}  # fmt: skip


@dataclass(frozen=True)
class Name:
    """What a pickle calls by module and name; no more than these two words."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Inert:
    """Stands for an object that was not made: its class, its arguments, its state."""

    of: Name
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass(frozen=True, eq=False)
class Storage:
    """Where numbers of one type lie in the file."""

    dtype: str  # of NumPy, or bf16
    key: str
    count: int  # elements
    begin: int = 0  # elements to leave out at the front


@dataclass(frozen=True, eq=False)
class Tensor:
    """A part of a storage; offset and strides in elements, not yet compared with its size."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Machine:
    """Reads one pickle of `data` after another.

    source: the file's name, for errors
    at: where in `data` the next pickle begins, moved on by `read`
    storages: those named so far, by key
    """

    def __init__(self, source: str, data: bytes, at: int = 0) -> None:
        self.source, self.data, self.at = source, data, at
        self.storages: dict[str, Storage] = {}

    def read(self) -> Any:
        """Return what the next pickle says.

        Raises CorruptModel where it breaks off or says nonsense, ModelError for a name that no
        network needs.
        """
        self.left = STEPS
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks that wait below a mark
        self.memo: dict[int, Any] = {}
        try:
            while (code := self.take(1)[0]) != _STOP:
                self.spend(1)
                self.step(code)
            return self.stack.pop()
        except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            raise self.wrong(f"nonsense ({type(error).__name__}) at byte {self.at}") from error

    def step(self, code: int) -> None:
        """Carry out one instruction."""
        if code not in CODES:
            raise self.wrong(f"the instruction {bytes([code])!r} at byte {self.at - 1}")
        CODES[code](self)

    def wrong(self, got: str) -> CorruptModel:
        """Return the error for a pickle that cannot be followed."""
        return CorruptModel(self.source, "a pickle that torch wrote", got)

    def spend(self, steps: int) -> None:
        """Count what is done, so that a small file cannot ask for much."""
        self.left -= steps
        if self.left < 0:
            raise self.wrong(f"more than {STEPS} steps")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count > len(self.data) - self.at:
            raise self.wrong(f"its end at byte {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str) -> int:
        """Return the next number, as `struct` knows its form."""
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def line(self) -> str:
        """Return the text up to the next line end."""
        end = self.data.find(b"\n", self.at, self.at + LONGEST)
        if end < 0:
            raise self.wrong(f"a name without an end at byte {self.at}")
        return self.take(end + 1 - self.at)[:-1].decode()

    def marked(self) -> list[Any]:
        """Return what stands above the last mark, and go back below it."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def find(self, module: str, name: str) -> Name:
        """Return a name that a network's file may use; raises ModelError for any other."""
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in (module, name)):
            raise self.wrong("a name that is none")
        module = {"__builtin__": "builtins"}.get(module, module)  # as Python 2 called it
        asked = Name(module, name)
        known = str(asked) in BUILDERS or str(asked) in INERT or _is_storage(asked)
        if not known and not any(f"{module}.".startswith(f"{n}.") for n in NETWORKS):
            raise ModelError(
                f"{self.source}: names {str(asked)!r}, which no network needs; nothing of it was "
                "run; do not trust this file"
            )
        return asked

    def call(self, of: Any, arguments: Any) -> Any:
        """Return what a name stands for with these arguments."""
        if not isinstance(of, Name) or not isinstance(arguments, tuple):
            raise self.wrong("a call of what is no name")
        build = BUILDERS.get(str(of))
        return build(self, *arguments) if build else Inert(of, arguments)

    def persistent(self, said: Any) -> Any:
        """Return the storage, or the class, that torch keeps outside the pickle."""
        kind, *facts = said
        if kind == "module":  # a class, its file and its source, which nobody reads
            return facts[0]
        of, key, _, count, *view = facts
        whole = isinstance(of, Name) and _is_storage(of) and isinstance(key, str)
        if kind != "storage" or not whole or not _are_sizes([count]):
            raise self.wrong("a storage of an unknown kind")
        storage = Storage(STORAGES[of.name], key, count)
        if self.storages.setdefault(key, storage) is not storage:
            seen = self.storages[key]
            if (seen.dtype, seen.count) != (storage.dtype, storage.count):
                raise self.wrong(f"two accounts of storage {key[:LONGEST]!r}")
        return _viewed(self, storage, view[0] if view else None)


def _is_storage(name: Name) -> bool:
    return name.module in ("torch", "torch.cuda") and name.name in STORAGES


def _are_sizes(values: Any) -> bool:
    return all(type(value) is int and 0 <= value < LARGEST for value in values)


def _viewed(machine: Machine, storage: Storage, view: Any) -> Storage:
    """Return the part of a storage that a legacy file names: key, offset, size."""
    if view is None:
        return storage
    _, begin, count = view
    if not _are_sizes([begin, count]) or begin + count > storage.count:
        raise machine.wrong("a view outside its storage")
    return Storage(storage.dtype, storage.key, count, begin)


def _tensor(
    machine: Machine, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any
) -> Tensor:
    right = isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(stride, tuple)
    if not right or not _are_sizes([offset, *shape, *stride]) or len(shape) != len(stride):
        raise machine.wrong("a tensor without storage, shape or strides")
    return Tensor(storage, offset, shape, stride)


def _tensor_of_a_class(machine: Machine, of: Any, _: Any, arguments: Any, *__: Any) -> Any:
    if not isinstance(of, Name) or str(of) not in TENSORS:
        raise machine.wrong("a tensor of an unknown kind")
    return machine.call(of, arguments)


def _parameter(machine: Machine, data: Any, *_: Any) -> Any:
    return data


def _dict(machine: Machine, pairs: Any = (), *_: Any) -> dict[Any, Any]:
    machine.spend(len(pairs))
    made: dict[Any, Any] = {}
    for key, value in pairs:
        _put(machine, made, key, value)
    return made


def _items(machine: Machine, items: Any = None, *_: Any) -> Any:
    return [] if items is None else items  # not copied: a pickle could ask for that for ever


def _encoded(machine: Machine, text: Any, *_: Any) -> bytes:
    machine.spend(len(text))
    return bytes(text, "latin1")


Builder = Callable[..., Any]
TENSORS: dict[str, Builder] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
BUILDERS: dict[str, Builder] = {
    **TENSORS,
    "torch._tensor._rebuild_from_type_v2": _tensor_of_a_class,
    "torch.Size": _items,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": lambda machine, *_: {},
    "collections.deque": lambda machine, *_: [],
    "builtins.set": _items,
    "builtins.frozenset": _items,
    "_codecs.encode": _encoded,
}


def _put(machine: Machine, into: Any, key: Any, value: Any) -> None:
    """Set an item of a dict that this machine made; keys have no code of their own."""
    plain = isinstance(key, (str, bytes, bool, float, Name)) or key is None
    small = isinstance(key, int) and abs(key) < LARGEST
    if type(into) is not dict or not (plain or small):
        raise machine.wrong("an item of what is no table")
    into[key] = value


def _extend(machine: Machine, items: list[Any]) -> None:
    into = machine.stack[-1]
    if type(into) is not list:
        raise machine.wrong("an item of what is no list")
    into.extend(items)


def _fill(machine: Machine, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        _put(machine, machine.stack[-1], key, value)


def _state(machine: Machine) -> None:
    state, of = machine.stack.pop(), machine.stack[-1]
    if isinstance(of, Inert):
        of.state = state
    elif type(of) not in (dict, list, Tensor):  # what else a real one would keep is not needed
        raise machine.wrong("a state of what has none")


def _binary(form: str, text: bool) -> Callable[[Machine], None]:
    def run(machine: Machine) -> None:
        raw = machine.take(machine.number(form))
        machine.stack.append(raw.decode("utf-8", "surrogatepass") if text else raw)

    return run


def _whole(form: str) -> Callable[[Machine], None]:
    """The instruction for a long whole number: its length in bytes, then those."""

    def run(machine: Machine) -> None:
        raw = machine.take(machine.number(form))
        machine.stack.append(int.from_bytes(raw, "little", signed=True))

    return run


def _number(form: str) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(machine.number(form))


def _constant(value: Any) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(value)


def _fresh(make: Callable[[], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(make())


def _tuple(count: int) -> Callable[[Machine], None]:
    def run(machine: Machine) -> None:
        items = [machine.stack.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(items)))

    return run


def _keep(form: str) -> Callable[[Machine], None]:
    def run(machine: Machine) -> None:
        machine.memo[machine.number(form)] = machine.stack[-1]

    return run


def _recall(form: str) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(machine.memo[machine.number(form)])


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _mark(machine: Machine) -> None:
    machine.outer.append(machine.stack)
    machine.stack = []


def _close(make: Callable[[list[Any]], Any]) -> Callable[[Machine], None]:
    """The instruction that makes one thing of what stands above the mark."""

    def run(machine: Machine) -> None:
        items = machine.marked()
        machine.stack.append(make(items))

    return run


def _dict_of_marked(machine: Machine) -> None:
    items = machine.marked()
    machine.stack.append({})
    _fill(machine, items)


def _drop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.marked()


def _one(machine: Machine) -> None:
    item = machine.stack.pop()
    _extend(machine, [item])


def _pair(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _put(machine, machine.stack[-1], key, value)


def _named(machine: Machine) -> None:
    module, name = machine.line(), machine.line()
    machine.stack.append(machine.find(module, name))


def _named_by_stack(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.find(module, name))


def _called(machine: Machine) -> None:
    arguments, of = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(of, arguments))


def _called_with_keywords(machine: Machine) -> None:
    keywords, arguments, of = (machine.stack.pop() for _ in range(3))
    machine.stack.append(machine.call(of, (*arguments, keywords)))


def _instance(machine: Machine) -> None:
    module, name = machine.line(), machine.line()
    of = machine.find(module, name)
    machine.stack.append(machine.call(of, tuple(machine.marked())))


def _object(machine: Machine) -> None:
    of, *arguments = machine.marked()
    machine.stack.append(machine.call(of, tuple(arguments)))


def _persistent(machine: Machine) -> None:
    machine.stack.append(machine.persistent(machine.stack.pop()))


def _protocol(machine: Machine) -> None:
    if (protocol := machine.take(1)[0]) > 5:
        raise machine.wrong(f"protocol {protocol}")


_STOP = ord(".")
CODES: dict[int, Callable[[Machine], None]] = {
    ord(code): run
    for code, run in {
        "\x80": _protocol, "\x95": lambda machine: _ignore(machine, 8),
        "(": _mark, "0": _drop, "1": lambda machine: _ignore_marked(machine),
        "2": lambda machine: machine.stack.append(machine.stack[-1]),
        "N": _constant(None), "\x88": _constant(True), "\x89": _constant(False),
        "K": _number("<B"), "M": _number("<H"), "J": _number("<i"), "G": _number(">d"),
        "\x8a": _whole("<B"), "\x8b": _whole("<I"),
        "X": _binary("<I", True), "\x8c": _binary("<B", True), "\x8d": _binary("<Q", True),
        "B": _binary("<I", False), "C": _binary("<B", False), "\x8e": _binary("<Q", False),
        "]": _fresh(list), "}": _fresh(dict), "\x8f": _fresh(list), ")": _constant(()),
        "\x85": _tuple(1), "\x86": _tuple(2), "\x87": _tuple(3), "t": _close(tuple),
        "l": _close(list), "\x91": _close(list), "d": _dict_of_marked,
        "a": _one, "e": lambda machine: _extend(machine, machine.marked()),
        "\x90": lambda machine: _extend(machine, machine.marked()),
        "s": _pair, "u": lambda machine: _fill(machine, machine.marked()),
        "q": _keep("<B"), "r": _keep("<I"), "\x94": _memoize,
        "h": _recall("<B"), "j": _recall("<I"),
        "c": _named, "\x93": _named_by_stack, "R": _called, "\x81": _called,
        "\x92": _called_with_keywords, "i": _instance, "o": _object, "b": _state,
        "Q": _persistent,
    }.items()
}  # fmt: skip


def _ignore(machine: Machine, count: int) -> None:
    machine.take(count)


def _ignore_marked(machine: Machine) -> None:
    machine.marked()
