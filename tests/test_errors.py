"""Each error keeps its facts, says them in one line, and survives the way between processes."""

from __future__ import annotations

import copy
import pickle
from multiprocessing import get_context

import pytest

from videmo import errors
from videmo.errors import (
    CorruptModel,
    FewFacesError,
    InputError,
    ManifestError,
    MergeError,
    MissingDependency,
    ModelError,
    ModelNotFound,
    NoFaceError,
    NothingToDo,
    OutputError,
    RecipeMismatch,
    UnknownName,
    VidemoError,
    VideoError,
)

EXAMPLES = [
    VidemoError("something"),
    InputError("fps is 0; give a number above 0"),
    VideoError("clip.mp4", "has no picture"),
    NoFaceError("clip.mp4", 150),
    FewFacesError("clip.mp4", 87, 128),
    ManifestError("list.csv", 3, "no path"),
    UnknownName("detector", "retinafce", ("retinaface", "whole")),
    NothingToDo("no clip in ./empty"),
    ModelError("the card is not sound"),
    ModelNotFound("afew", ("afew7", "vgaf3")),
    CorruptModel("card.json", "JSON", "bytes"),
    RecipeMismatch(["sampling.fps None -> 5", "pooling.normalise l2 -> None"]),
    MissingDependency("ray", "cluster"),
    OutputError("out.csv", "is a folder"),
    MergeError("b.mp4: is in no part; run its shard again"),
    errors.OutOfMemory("std::bad_alloc"),
    errors.ReaderGone("standard output"),
    errors.InputGone("clips"),
]
each = pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)


def fail(number: int) -> None:
    raise EXAMPLES[number]


def test_there_is_an_example_of_every_error() -> None:
    tree = {x for x in vars(errors).values() if isinstance(x, type) and issubclass(x, Exception)}
    assert tree == {type(e) for e in EXAMPLES}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    stack, drawn = [], {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.split()
        if words and hasattr(errors, words[0]):
            depth = (len(line) - len(line.lstrip())) // 2
            stack[depth:] = [words[0]]
            drawn[words[0]] = stack[depth - 1] if depth else "Exception"
    assert drawn == {type(e).__name__: type(e).__base__.__name__ for e in EXAMPLES}


@each
def test_an_error_says_it_in_one_line(error: VidemoError) -> None:
    assert str(error) and "\n" not in str(error)


@each
@pytest.mark.parametrize("how", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_an_error_survives_a_copy_with_its_facts(error: VidemoError, how) -> None:
    again = how(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_an_error_crosses_from_another_process() -> None:
    number = next(i for i, e in enumerate(EXAMPLES) if type(e) is UnknownName)
    with get_context("fork").Pool(1) as workers, pytest.raises(UnknownName) as caught:
        workers.apply(fail, (number,))
    assert caught.value.known == ("retinaface", "whole")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (VideoError("a.mp4", "is empty"), "a.mp4: is empty"),
        (NoFaceError("a.mp4", 1), "a.mp4: no face in 1 sampled frame;"),
        (NoFaceError("a.mp4", 2), "a.mp4: no face in 2 sampled frames;"),
        (FewFacesError("a.mp4", 87, 128), "a.mp4: 87 face frames, the head needs 128; give a lo"),
        (FewFacesError("a.mp4", 1, 128), "a.mp4: 1 face frame, the head needs 128;"),
        (ManifestError("l.csv", 3, "no path"), "l.csv:3: no path"),
        (UnknownName("head", "x", ("a", "b")), "no head is called 'x'; there is a, b"),
        (ModelNotFound("afew", ("afew7",)), "did you mean afew7?"),
        (ModelNotFound("x", ("afew7", "vgaf3")), "there is afew7, vgaf3"),
        (ModelNotFound("x", ()), "none is installed"),
        (MissingDependency("ray", "cluster"), "pip install 'videmo[cluster]'"),
        (MissingDependency("torch"), "pip install torch"),
        (RecipeMismatch(["a 1 -> 2", "b 3 -> 4"]), "(a 1 -> 2; b 3 -> 4)"),
        (CorruptModel("w", "10 bytes", "9"), "w: expected 10 bytes, got 9"),
    ],
)
def test_an_error_names_the_thing_the_fact_and_the_next_step(error: VidemoError, text: str) -> None:
    assert text in str(error)


def test_names_may_come_from_any_iterable_and_are_kept() -> None:
    error = UnknownName("head", "x", (name for name in ("a", "b")))
    assert error.known == ("a", "b") and "a, b" in str(error)
