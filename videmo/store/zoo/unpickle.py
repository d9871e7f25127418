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

MAX_STEPS = 500_000  # instructions of one pickle; EfficientNet-B7 has 154,973
MAX_NAME = 256  # characters of one name
MAX_KEY = 1 << 60  # of a whole number as a key: larger ones may be made to collide

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
class GlobalName:
    """What a pickle calls by module and name; no more than these two words."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Inert:
    """Stands for an object that was not made: its class, its arguments, its state."""

    of: GlobalName
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


class PickleMachine:
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
        self.left = MAX_STEPS
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
        if code not in OPCODES:
            raise self.wrong(f"the instruction {bytes([code])!r} at byte {self.at - 1}")
        OPCODES[code](self)

    def wrong(self, got: str) -> CorruptModel:
        """Return the error for a pickle that cannot be followed."""
        return CorruptModel(self.source, "a pickle that torch wrote", got)

    def spend(self, steps: int) -> None:
        """Count what is done, so that a small file cannot ask for much."""
        self.left -= steps
        if self.left < 0:
            raise self.wrong(f"more than {MAX_STEPS} steps")

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
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME)
        if end < 0:
            raise self.wrong(f"a name without an end at byte {self.at}")
        return self.take(end + 1 - self.at)[:-1].decode()

    def pop_mark(self) -> list[Any]:
        """Return what stands above the last mark, and go back below it."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def find_class(self, module: str, name: str) -> GlobalName:
        """Return a name that a network's file may use; raises ModelError for any other."""
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in (module, name)):
            raise self.wrong("a name that is none")
        module = {"__builtin__": "builtins"}.get(module, module)  # as Python 2 called it
        asked = GlobalName(module, name)
        known = str(asked) in BUILDERS or str(asked) in INERT or _is_storage(asked)
        if not known and not any(f"{module}.".startswith(f"{n}.") for n in NETWORKS):
            raise ModelError(
                f"{self.source}: names {str(asked)!r}, which no network needs; nothing of it was "
                "run; do not trust this file"
            )
        return asked

    def call(self, of: Any, arguments: Any) -> Any:
        """Return what a name stands for with these arguments."""
        if not isinstance(of, GlobalName) or not isinstance(arguments, tuple):
            raise self.wrong("a call of what is no name")
        build = BUILDERS.get(str(of))
        return build(self, *arguments) if build else Inert(of, arguments)

    def persistent_load(self, said: Any) -> Any:
        """Return the storage, or the class, that torch keeps outside the pickle."""
        kind, *facts = said
        if kind == "module":  # a class, its file and its source, which nobody reads
            return facts[0]
        of, key, _, count, *view = facts
        whole = isinstance(of, GlobalName) and _is_storage(of) and isinstance(key, str)
        if kind != "storage" or not whole or not _are_sizes([count]):
            raise self.wrong("a storage of an unknown kind")
        storage = Storage(STORAGES[of.name], key, count)
        if self.storages.setdefault(key, storage) is not storage:
            seen = self.storages[key]
            if (seen.dtype, seen.count) != (storage.dtype, storage.count):
                raise self.wrong(f"two accounts of storage {key[:MAX_NAME]!r}")
        return _viewed(self, storage, view[0] if view else None)


def _is_storage(name: GlobalName) -> bool:
    return name.module in ("torch", "torch.cuda") and name.name in STORAGES


def _are_sizes(values: Any) -> bool:
    return all(type(value) is int and 0 <= value < MAX_KEY for value in values)


def _viewed(machine: PickleMachine, storage: Storage, view: Any) -> Storage:
    """Return the part of a storage that a legacy file names: key, offset, size."""
    if view is None:
        return storage
    _, begin, count = view
    if not _are_sizes([begin, count]) or begin + count > storage.count:
        raise machine.wrong("a view outside its storage")
    return Storage(storage.dtype, storage.key, count, begin)


def _tensor(
    machine: PickleMachine, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any
) -> Tensor:
    right = isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(stride, tuple)
    if not right or not _are_sizes([offset, *shape, *stride]) or len(shape) != len(stride):
        raise machine.wrong("a tensor without storage, shape or strides")
    return Tensor(storage, offset, shape, stride)


def _tensor_of_a_class(machine: PickleMachine, of: Any, _: Any, arguments: Any, *__: Any) -> Any:
    if not isinstance(of, GlobalName) or str(of) not in TENSORS:
        raise machine.wrong("a tensor of an unknown kind")
    return machine.call(of, arguments)


def _parameter(machine: PickleMachine, data: Any, *_: Any) -> Any:
    return data


def _ordered_dict(machine: PickleMachine, pairs: Any = (), *_: Any) -> dict[Any, Any]:
    machine.spend(len(pairs))
    made: dict[Any, Any] = {}
    for key, value in pairs:
        _put(machine, made, key, value)
    return made


def _sequence(machine: PickleMachine, items: Any = None, *_: Any) -> Any:
    return [] if items is None else items  # not copied: a pickle could ask for that for ever


def _encoded(machine: PickleMachine, text: Any, *_: Any) -> bytes:
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
    "torch.Size": _sequence,
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": lambda machine, *_: {},
    "collections.deque": lambda machine, *_: [],
    "builtins.set": _sequence,
    "builtins.frozenset": _sequence,
    "_codecs.encode": _encoded,
}


def _put(machine: PickleMachine, into: Any, key: Any, value: Any) -> None:
    """Set an item of a dict that this machine made; keys have no code of their own."""
    plain = isinstance(key, (str, bytes, bool, float, GlobalName)) or key is None
    small = isinstance(key, int) and abs(key) < MAX_KEY
    if type(into) is not dict or not (plain or small):
        raise machine.wrong("an item of what is no table")
    into[key] = value


def _appends(machine: PickleMachine, items: list[Any]) -> None:
    into = machine.stack[-1]
    if type(into) is not list:
        raise machine.wrong("an item of what is no list")
    into.extend(items)


def _setitems(machine: PickleMachine, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        _put(machine, machine.stack[-1], key, value)


def _build(machine: PickleMachine) -> None:
    state, of = machine.stack.pop(), machine.stack[-1]
    if isinstance(of, Inert):
        of.state = state
    elif type(of) not in (dict, list, Tensor):  # what else a real one would keep is not needed
        raise machine.wrong("a state of what has none")


def _string(form: str, text: bool) -> Callable[[PickleMachine], None]:
    def run(machine: PickleMachine) -> None:
        raw = machine.take(machine.number(form))
        machine.stack.append(raw.decode("utf-8", "surrogatepass") if text else raw)

    return run


def _long(form: str) -> Callable[[PickleMachine], None]:
    """The instruction for a long whole number: its length in bytes, then those."""

    def run(machine: PickleMachine) -> None:
        raw = machine.take(machine.number(form))
        machine.stack.append(int.from_bytes(raw, "little", signed=True))

    return run


def _number(form: str) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(machine.number(form))


def _constant(value: Any) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(value)


def _empty(make: Callable[[], Any]) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(make())


def _tuple(count: int) -> Callable[[PickleMachine], None]:
    def run(machine: PickleMachine) -> None:
        items = [machine.stack.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(items)))

    return run


def _memo_put(form: str) -> Callable[[PickleMachine], None]:
    def run(machine: PickleMachine) -> None:
        machine.memo[machine.number(form)] = machine.stack[-1]

    return run


def _memo_get(form: str) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(machine.memo[machine.number(form)])


def _memoize(machine: PickleMachine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _mark(machine: PickleMachine) -> None:
    machine.outer.append(machine.stack)
    machine.stack = []


def _from_mark(make: Callable[[list[Any]], Any]) -> Callable[[PickleMachine], None]:
    """The instruction that makes one thing of what stands above the mark."""

    def run(machine: PickleMachine) -> None:
        items = machine.pop_mark()
        machine.stack.append(make(items))

    return run


def _dict_from_mark(machine: PickleMachine) -> None:
    items = machine.pop_mark()
    machine.stack.append({})
    _setitems(machine, items)


def _pop(machine: PickleMachine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _append(machine: PickleMachine) -> None:
    item = machine.stack.pop()
    _appends(machine, [item])


def _setitem(machine: PickleMachine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _put(machine, machine.stack[-1], key, value)


def _global(machine: PickleMachine) -> None:
    module, name = machine.line(), machine.line()
    machine.stack.append(machine.find_class(module, name))


def _stack_global(machine: PickleMachine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.find_class(module, name))


def _reduce(machine: PickleMachine) -> None:
    arguments, of = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(of, arguments))


def _newobj_ex(machine: PickleMachine) -> None:
    keywords, arguments, of = (machine.stack.pop() for _ in range(3))
    machine.stack.append(machine.call(of, (*arguments, keywords)))


def _inst(machine: PickleMachine) -> None:
    module, name = machine.line(), machine.line()
    of = machine.find_class(module, name)
    machine.stack.append(machine.call(of, tuple(machine.pop_mark())))


def _obj(machine: PickleMachine) -> None:
    of, *arguments = machine.pop_mark()
    machine.stack.append(machine.call(of, tuple(arguments)))


def _persistent_id(machine: PickleMachine) -> None:
    machine.stack.append(machine.persistent_load(machine.stack.pop()))


def _protocol(machine: PickleMachine) -> None:
    if (protocol := machine.take(1)[0]) > 5:
        raise machine.wrong(f"protocol {protocol}")


_STOP = ord(".")
OPCODES: dict[int, Callable[[PickleMachine], None]] = {
    ord(code): run
    for code, run in {
        "\x80": _protocol, "\x95": lambda machine: _ignore(machine, 8),
        "(": _mark, "0": _pop, "1": lambda machine: _ignore_marked(machine),
        "2": lambda machine: machine.stack.append(machine.stack[-1]),
        "N": _constant(None), "\x88": _constant(True), "\x89": _constant(False),
        "K": _number("<B"), "M": _number("<H"), "J": _number("<i"), "G": _number(">d"),
        "\x8a": _long("<B"), "\x8b": _long("<I"),
        "X": _string("<I", True), "\x8c": _string("<B", True), "\x8d": _string("<Q", True),
        "B": _string("<I", False), "C": _string("<B", False), "\x8e": _string("<Q", False),
        "]": _empty(list), "}": _empty(dict), "\x8f": _empty(list), ")": _constant(()),
        "\x85": _tuple(1), "\x86": _tuple(2), "\x87": _tuple(3), "t": _from_mark(tuple),
        "l": _from_mark(list), "\x91": _from_mark(list), "d": _dict_from_mark,
        "a": _append, "e": lambda machine: _appends(machine, machine.pop_mark()),
        "\x90": lambda machine: _appends(machine, machine.pop_mark()),
        "s": _setitem, "u": lambda machine: _setitems(machine, machine.pop_mark()),
        "q": _memo_put("<B"), "r": _memo_put("<I"), "\x94": _memoize,
        "h": _memo_get("<B"), "j": _memo_get("<I"),
        "c": _global, "\x93": _stack_global, "R": _reduce, "\x81": _reduce,
        "\x92": _newobj_ex, "i": _inst, "o": _obj, "b": _build,
        "Q": _persistent_id,
    }.items()
}  # fmt: skip


def _ignore(machine: PickleMachine, count: int) -> None:
    machine.take(count)


def _ignore_marked(machine: PickleMachine) -> None:
    machine.pop_mark()
