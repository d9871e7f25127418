"""The benchmarks run; what they measure is nobody's to test."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parent / "benchmarks"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_device_is_compared_with_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="pip install 'videmo[torch]'")
    pytest.importorskip("timm", reason="pip install 'videmo[torch]'")
    script("device").main(
        ["--device", "cpu", "--end", "0.5", "--batches", "2", "--seconds", "0",
         "--precisions", "fp32"]
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "3 faces; parity" in said and "cpu fp32: least cosine 1.000000, 3 labels equal" in said
    assert said.count("whole clip") == said.count("frames/s, Happy") == 2


def test_kinds_take_turns() -> None:
    order: list[str] = []

    def kind(name: str):  # type: ignore[no-untyped-def]
        return lambda: [float(order.append(name) or len(order))]  # type: ignore[func-returns-value]

    found = script("ratios").in_turns({"a": kind("a"), "b": kind("b")}, 3)
    assert order == ["a", "b"] * 3
    assert found == {"a": [[1.0], [3.0], [5.0]], "b": [[2.0], [4.0], [6.0]]}
    assert script("ratios").shown([3, 1, 2]) == "2.00 (1.00-3.00)"
