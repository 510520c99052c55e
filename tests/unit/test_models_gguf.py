"""The GGUF parser against gguf.GGUFReader and against broken files; the converter against numpy."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gguf import SHAPES, read_weights, write_tiny

from sixfold.engine import gguf_file, models
from sixfold.engine.gguf_file import converted, converted_size, main_type, read_gguf
from sixfold.errors import ModelError

LARGEST_ERROR = {"Q8_0": 0.57 / 127, "Q4_0": 1.02 / 8, "F16": 2**-11}
"""Of a weight, over the largest weight of its block: half a step and the scale rounded to F16; at one end of Q4_0 a step."""


def assert_same_as_twin(path: Path) -> None:
    ours, twin = read_gguf(path, "it"), gguf.GGUFReader(path)
    values = {key: field.contents() for key, field in twin.fields.items() if not key.startswith("GGUF.")}
    assert ours.values == values
    assert [(t.name, t.dims, t.kind, t.start, t.size_bytes) for t in ours.tensors] == [
        (t.name, tuple(t.shape.tolist()), int(t.tensor_type), t.data_offset, t.n_bytes) for t in twin.tensors
    ]


def convert(source: Path, target: Path, kind: str) -> Path:
    parsed = read_gguf(source, "it")
    target.write_bytes(b"".join(converted(parsed, source, kind)))
    assert target.stat().st_size == converted_size(parsed, kind)
    return target


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_parser_agrees_with_its_slow_twin(tmp_path: Path, kind: str) -> None:
    write_tiny(tmp_path / "a.gguf", kind)
    assert_same_as_twin(tmp_path / "a.gguf")
    assert main_type(read_gguf(tmp_path / "a.gguf", "it")) == kind


@pytest.mark.parametrize("alignment", [8, 32, 256])
def test_converted_files_keep_key_values_and_alignment(tmp_path: Path, alignment: int) -> None:
    write_tiny(tmp_path / "a.gguf", extra={"general.alignment": alignment} if alignment != 32 else {})
    before = read_gguf(realign(tmp_path / "a.gguf", alignment), "it")
    after = read_gguf(convert(tmp_path / "a.gguf", tmp_path / "b.gguf", "Q8_0"), "it")
    assert_same_as_twin(tmp_path / "b.gguf")
    assert after.values == before.values | {"general.file_type": 7, "general.quantization_version": 2}
    changed = ("general.file_type", "general.quantization_version")
    assert {k: v for k, v in after.entries.items() if k not in changed} == {
        k: v for k, v in before.entries.items() if k not in changed
    }
    assert all(tensor.start % alignment == 0 for tensor in after.tensors)


def realign(path: Path, alignment: int) -> Path:
    """gguf's writer puts tensors at multiples of 32 whatever the key-value says; ours is used to write what it says."""
    if alignment != 32:
        data = path.read_bytes()
        key = gguf_file._text("general.alignment") + struct.pack("<I", 4)
        assert key in data
        path.write_bytes(data.replace(key + struct.pack("<I", alignment), key + struct.pack("<I", 32)))
        parsed = read_gguf(path, "it")
        entries = parsed.entries | {"general.alignment": key + struct.pack("<I", alignment)}
        values = parsed.values | {"general.alignment": alignment}
        moved = gguf_file.Gguf(parsed.version, alignment, values, entries, parsed.tensors)
        path.write_bytes(b"".join(converted(moved, path, "F16")))
    return path


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "F16"])
def test_conversion_is_as_near_as_the_type_allows(tmp_path: Path, kind: str) -> None:
    weights = write_tiny(tmp_path / "a.gguf")
    after = read_weights(convert(tmp_path / "a.gguf", tmp_path / "b.gguf", kind))
    for name, before in weights.items():
        if before.ndim == 1:
            assert np.array_equal(after[name], before)
        elif before.shape[-1] % 32:
            assert np.array_equal(after[name], before.astype(np.float16).astype(np.float32))
        else:
            blocks, error = before.reshape(-1, 32), np.abs(after[name] - before).reshape(-1, 32)
            assert (error <= np.abs(blocks).max(axis=1, keepdims=True) * LARGEST_ERROR[kind]).all()


@pytest.mark.parametrize("source_kind", ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0"])
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "F16"])
def test_pieces_give_the_same_bytes_as_whole_tensors(
    tmp_path: Path, source_kind: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny(tmp_path / "a.gguf", source_kind)
    monkeypatch.setattr(gguf_file, "_CHUNK_FLOATS", 300)
    convert(tmp_path / "a.gguf", tmp_path / "b.gguf", kind)
    weights, target = read_weights(tmp_path / "a.gguf"), gguf.GGMLQuantizationType[kind]
    for tensor in gguf.GGUFReader(tmp_path / "b.gguf").tensors:
        shape = SHAPES[tensor.name]
        own = target if len(shape) == 2 and shape[-1] % 32 == 0 else gguf.GGMLQuantizationType.F16
        own = gguf.GGMLQuantizationType.F32 if len(shape) == 1 else own
        assert tensor.tensor_type == own
        assert tensor.data.tobytes() == gguf.quants.quantize(weights[tensor.name], own).tobytes()


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "Q8_0"), (np.inf, "F16"), (1e6, "F16"), (1e7, "Q8_0")])
def test_weights_that_a_type_cannot_hold_are_refused(tmp_path: Path, value: float, kind: str) -> None:
    write_tiny(tmp_path / "a.gguf")
    data, tensor = bytearray((tmp_path / "a.gguf").read_bytes()), read_gguf(tmp_path / "a.gguf", "it").tensors[0]
    data[tensor.start : tensor.start + 4] = struct.pack("<f", value)
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(ModelError, match=f"{tensor.name} has weights that {kind} cannot hold"):
        convert(tmp_path / "a.gguf", tmp_path / "b.gguf", kind)


def test_tiny_weights_become_zero_without_a_warning(tmp_path: Path) -> None:
    write_tiny(tmp_path / "a.gguf")
    data, tensor = bytearray((tmp_path / "a.gguf").read_bytes()), read_gguf(tmp_path / "a.gguf", "it").tensors[0]
    data[tensor.start : tensor.start + 128] = struct.pack("<32f", *[1e-42, -1e-44] * 16)
    (tmp_path / "a.gguf").write_bytes(data)
    for kind in ("Q8_0", "Q4_0", "F16"):
        after = read_weights(convert(tmp_path / "a.gguf", tmp_path / "b.gguf", kind))
        assert not after[tensor.name][0, :32].any()


def broken(header: bytes, **counts: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, counts.get("tensors", 0), counts.get("entries", 0)) + header


TEXT = struct.pack("<Q", 1) + b"k"
BROKEN = {
    "empty": b"",
    "web page": b"<html>not here</html>",
    "only its magic": b"GGUF",
    "version 1": b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1),
    "no tensors": broken(b""),
    "counts without end": broken(b"", tensors=2**64 - 1, entries=2**64 - 1),
    "a text without end": broken(struct.pack("<Q", 2**64 - 1), entries=1),
    "an array without end": broken(TEXT + struct.pack("<IIQ", 9, 4, 2**62), entries=1),
    "texts without end": broken(TEXT + struct.pack("<IIQ", 9, 8, 2**62), entries=1),
    "arrays in arrays": broken(TEXT + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 99, entries=1),
    "unknown value type": broken(TEXT + struct.pack("<II", 77, 1), entries=1),
    "a key twice": broken((TEXT + struct.pack("<IB", 7, 1)) * 2, entries=2),
    "a key that is no UTF-8": broken(struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 7, 1), entries=1),
    "alignment 3": broken(gguf_file._text("general.alignment") + struct.pack("<II", 4, 3), entries=1),
    "alignment 0": broken(gguf_file._text("general.alignment") + struct.pack("<II", 4, 0), entries=1),
    "nine dimensions": broken(TEXT + struct.pack("<I", 9) + bytes(99), tensors=1),
    "no elements": broken(TEXT + struct.pack("<IQIQ", 1, 0, 0, 0) + bytes(99), tensors=1),
    "unknown tensor type": broken(TEXT + struct.pack("<IQIQ", 1, 1, 12345, 0) + bytes(99), tensors=1),
    "half a block": broken(TEXT + struct.pack("<IQIQ", 1, 33, 8, 0) + bytes(99), tensors=1),
    "a crooked place": broken(TEXT + struct.pack("<IQIQ", 1, 1, 0, 3) + bytes(99), tensors=1),
    "too large": broken(TEXT + struct.pack("<IQQIQ", 2, 2**63, 2**63, 0, 0) + bytes(99), tensors=1),
    "one name twice": broken((TEXT + struct.pack("<IQIQ", 1, 1, 0, 0)) * 2 + bytes(99), tensors=2),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.gguf").write_bytes(BROKEN[name])
    with pytest.raises(ModelError, match=r"the file that I gave is not a whole GGUF file: .*\n  next: pull it again"):
        read_gguf(tmp_path / "a.gguf", "the file that I gave")


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    write_tiny(tmp_path / "a.gguf")
    data = (tmp_path / "a.gguf").read_bytes()
    last = read_gguf(tmp_path / "a.gguf", "it").tensors[-1]
    for cut in (*range(0, 1500, 7), last.start, last.start + last.size_bytes - 1):
        (tmp_path / "b.gguf").write_bytes(data[:cut])
        with pytest.raises(ModelError, match="not a whole GGUF file"):
            read_gguf(tmp_path / "b.gguf", "it")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_headers_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.gguf"
        write_tiny(path)
        data = bytearray(path.read_bytes())
        for at, byte in changes:
            data[at] = byte
        path.write_bytes(data)
        try:
            parsed = read_gguf(path, "it")
        except ModelError:
            return
        assert all(0 < tensor.start <= len(data) - tensor.size_bytes for tensor in parsed.tensors)


@pytest.mark.model
def test_parser_agrees_with_its_slow_twin_on_the_embedded_model(model_path: Path) -> None:
    assert_same_as_twin(model_path)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "F16"])
async def test_converted_models_speak(tmp_path: Path, model_path: Path, kind: str) -> None:
    from sixfold.core import Message, Request, Sampling
    from sixfold.engine.llamacpp import Settings, open_llamacpp

    model = models.pull(str(model_path), home=tmp_path, gguf_type=kind)
    engine = await open_llamacpp(Settings(str(model.path), slots=1, context_tokens=512))
    try:
        question = Message("user", "What is the capital of France? Answer in one sentence.")
        request = Request(messages=(question,), sampling=Sampling(temperature=0, max_tokens=24, seed=1))
        text = "".join([chunk.text async for chunk in engine.stream(request)])
    finally:
        await engine.aclose()
    assert "Paris" in text
