"""GGUF files: read with every bound checked, and brought to another tensor type in bounded memory.

Place: `models` reads what it fetched through `read_gguf` and writes what `converted` yields. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Key-values travel as the bytes they were, but for the two that
name the type; the arithmetic is `gguf.quants`. `gguf.GGUFReader` is the slow twin of the parser: it agrees on sound files,
but checks no bounds.

It does not download, place or delete anything, and it merges no weights.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from sixfold.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

GGUF_TYPES = {"Q8_0": 7, "Q4_0": 2, "F16": 1}
"""What a model can be brought to, and the number that `general.file_type` has for it."""
ARCHITECTURES = ("gemma", "gemma2", "gemma3", "llama", "phi3", "qwen2", "qwen3", "smollm3")
"""Whose tensors can all be converted by one rule. Mistral files call themselves llama."""

_CHUNK_FLOATS = 1 << 22
_BLOCK = 32
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_UINT32, _STRING, _ARRAY = 4, 8, 9
_NESTING, _DIMS, _ALIGNMENT, _MOST_ALIGNMENT = 4, 4, 32, 1 << 16
_AGAIN = "pull it again; if that does not help, the file at its source is not what it should be"


@dataclass(frozen=True, slots=True)
class Tensor:
    """`dims` are innermost first, as in the file; `kind` is ggml's number for a type; `start` is an offset in the file."""

    name: str
    dims: tuple[int, ...]
    kind: int
    start: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Gguf:
    """`values` are the key-values read; `entries` has each as the bytes it is in the file, key and type included."""

    version: int
    alignment: int
    values: dict[str, Any]
    entries: dict[str, bytes]
    tensors: tuple[Tensor, ...]


class _FormatError(Exception):
    """What is wrong with the bytes."""


def read_gguf(path: Path, what: str) -> Gguf:
    """The header of a GGUF file, versions 2 and 3, little-endian. `what` names the file in messages.

    Raises `ModelError` where the file is cut short or is not GGUF: every offset and count is checked against its size.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise _FormatError("it does not begin with GGUF")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(data)
    except (_FormatError, struct.error, UnicodeDecodeError) as error:
        problem = "it ends in the middle of its header" if isinstance(error, struct.error) else str(error)
        raise ModelError(f"{what} is not a whole GGUF file: {problem}", hint=_AGAIN) from error
    except FileNotFoundError as error:
        raise ModelError(f"the file of {what} is gone: {path}", hint="pull it again") from error


def type_name(kind: int) -> str:
    """The name of ggml's type number.

    >>> type_name(8)
    'Q8_0'
    """
    from gguf import GGMLQuantizationType

    return GGMLQuantizationType(kind).name


def main_type(gguf: Gguf) -> str:
    """The type that most weights have."""
    weights: Counter[int] = Counter()
    for tensor in gguf.tensors:
        weights[tensor.kind] += prod(tensor.dims)
    return type_name(weights.most_common(1)[0][0])


def converted_size(gguf: Gguf, kind: str) -> int:
    """How many bytes `converted` yields."""
    targets = [_make_target(tensor, kind) for tensor in gguf.tensors]
    return len(_make_header(gguf, targets, kind)) + sum(_padded(size, gguf.alignment) for _, size in targets)


def converted(gguf: Gguf, source: Path, kind: str) -> Iterator[bytes]:
    """The file at `source` with its weights as `kind` (a key of `GGUF_TYPES`), in pieces.

    Tensors with one dimension become F32, rows that no block of 32 fits F16, and whole numbers stay. Raises `ModelError`
    where a weight is not finite, or `kind` cannot hold it.
    """
    targets = [_make_target(tensor, kind) for tensor in gguf.tensors]
    yield _make_header(gguf, targets, kind)
    with source.open("rb") as file:
        for tensor, (target, size) in zip(gguf.tensors, targets, strict=True):
            yield from _tensor_pieces(file, tensor, target)
            yield bytes(_padded(size, gguf.alignment) - size)


def _parse(data: mmap.mmap) -> Gguf:
    version, tensor_count, entry_count = struct.unpack_from("<IQQ", data, 4)
    if version & 0xFFFF == 0:
        raise _FormatError("it is big-endian")
    if version not in (2, 3):
        raise _FormatError(f"its version is {version}, and only 2 and 3 are known")
    at = 24
    values: dict[str, Any] = {}
    entries: dict[str, bytes] = {}
    for _ in range(entry_count):
        begin = at
        name, at = _read_text(data, at, strict=True)
        (kind,) = struct.unpack_from("<I", data, at)
        value, at = _read_value(data, at + 4, kind, _NESTING)
        if name in values:
            raise _FormatError(f"it has {name!r} twice")
        values[name], entries[name] = value, data[begin:at]
    alignment = values.get("general.alignment", _ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= _MOST_ALIGNMENT or alignment & (alignment - 1):
        raise _FormatError(f"its alignment is {alignment}")
    infos = []
    for _ in range(tensor_count):
        info, at = _read_info(data, at)
        infos.append(info)
    start = _padded(at, alignment)
    tensors = tuple(_make_tensor(info, start, alignment, len(data)) for info in infos)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _FormatError("it has two tensors of one name")
    if not tensors:
        raise _FormatError("it holds no weights")
    return Gguf(version, alignment, values, entries, tensors)


def _read_text(data: mmap.mmap, at: int, *, strict: bool = False) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        _cut()
    return data[at + 8 : end].decode("utf-8", "strict" if strict else "replace"), end


def _read_value(data: mmap.mmap, at: int, kind: int, nesting: int) -> tuple[Any, int]:
    if code := _SCALARS.get(kind):
        (value,) = struct.unpack_from(f"<{code}", data, at)
        return value, at + struct.calcsize(f"<{code}")
    if kind == _STRING:
        return _read_text(data, at)
    if kind != _ARRAY or not nesting:
        raise _FormatError(f"it has a value of the unknown type {kind}, or arrays too deep")
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if code := _SCALARS.get(inner):
        end = at + count * struct.calcsize(f"<{code}")
        if end > len(data):
            _cut()
        return list(struct.unpack_from(f"<{count}{code}", data, at)), end
    # Each element takes eight bytes or more of the file, so what lies about its count is found out early.
    if at + 8 * count > len(data):
        _cut()
    items = []
    for _ in range(count):
        item, at = _read_value(data, at, inner, nesting - 1)
        items.append(item)
    return items, at


def _read_info(data: mmap.mmap, at: int) -> tuple[tuple[str, tuple[int, ...], int, int], int]:
    name, at = _read_text(data, at, strict=True)
    (count,) = struct.unpack_from("<I", data, at)
    if count > _DIMS:
        raise _FormatError(f"{name!r} has {count} dimensions")
    *dims, kind, offset = struct.unpack_from(f"<{count}QIQ", data, at + 4)
    return (name, tuple(dims), kind, offset), at + 16 + 8 * count


def _make_tensor(info: tuple[str, tuple[int, ...], int, int], start: int, alignment: int, limit: int) -> Tensor:
    name, dims, kind, offset = info
    row = dims[0] if dims else 1
    try:
        block, block_bytes = _block(kind)
    except ValueError:
        raise _FormatError(f"{name!r} has the unknown type {kind}") from None
    if 0 in dims or row % block or offset % alignment:
        raise _FormatError(f"the dimensions or the place of {name!r} are impossible")
    size = prod(dims) // block * block_bytes
    if start + offset + size > limit:
        raise _FormatError(f"it ends before {name!r} does")
    return Tensor(name, dims, kind, start + offset, size)


def _block(kind: int) -> tuple[int, int]:
    """Weights and bytes per block of a type."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    return GGML_QUANT_SIZES[GGMLQuantizationType(kind)]


def _make_target(tensor: Tensor, kind: str) -> tuple[int, int]:
    """The type that a tensor gets, and its bytes."""
    from gguf import GGMLQuantizationType as Type

    if tensor.kind in (Type.I8, Type.I16, Type.I32, Type.I64):
        return tensor.kind, tensor.size_bytes
    target = Type[kind] if tensor.dims and tensor.dims[0] % _BLOCK == 0 else Type.F16
    target = Type.F32 if len(tensor.dims) < 2 else target
    block, block_bytes = _block(target)
    return int(target), prod(tensor.dims) // block * block_bytes


def _make_header(gguf: Gguf, targets: list[tuple[int, int]], kind: str) -> bytes:
    """Everything before the first tensor's bytes, padded."""
    from gguf import GGML_QUANT_VERSION

    numbers = {"general.file_type": GGUF_TYPES[kind], "general.quantization_version": GGML_QUANT_VERSION}
    ours = {key: _text(key) + struct.pack("<II", _UINT32, number) for key, number in numbers.items()}
    entries = gguf.entries | ours
    parts = [b"GGUF", struct.pack("<IQQ", gguf.version, len(gguf.tensors), len(entries)), *entries.values()]
    offset = 0
    for tensor, (target, size) in zip(gguf.tensors, targets, strict=True):
        dims = struct.pack(f"<I{len(tensor.dims)}Q", len(tensor.dims), *tensor.dims)
        parts += [_text(tensor.name), dims, struct.pack("<IQ", target, offset)]
        offset += _padded(size, gguf.alignment)
    header = b"".join(parts)
    return header.ljust(_padded(len(header), gguf.alignment), b"\0")


def _tensor_pieces(file: IO[bytes], tensor: Tensor, target: int) -> Iterator[bytes]:
    """One tensor as `target`, some rows at a time."""
    import numpy as np

    row = tensor.dims[0] if tensor.dims else 1
    rows = prod(tensor.dims) // row
    row_bytes = tensor.size_bytes // rows
    step = max(1, _CHUNK_FLOATS // row)
    file.seek(tensor.start)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        piece = file.read(count * row_bytes)
        if len(piece) != count * row_bytes:
            raise ModelError(f"{file.name} became shorter while it was read", hint=_AGAIN)
        if tensor.kind == target:
            yield piece
        else:
            yield _requantize(np.frombuffer(piece, np.uint8).reshape(count, row_bytes), tensor, target)


def _requantize(blocks: np.ndarray[Any, np.dtype[np.uint8]], tensor: Tensor, target: int) -> bytes:
    import numpy as np
    from gguf import GGMLQuantizationType as Type
    from gguf.quants import dequantize, quantize

    # Scales so small that their inverse overflows become zero blocks, which is right; numpy would warn.
    with np.errstate(all="ignore"):
        try:
            weights = blocks.view(np.float64) if tensor.kind == Type.F64 else dequantize(blocks, Type(tensor.kind))
        except NotImplementedError as error:
            raise ModelError(
                f"{tensor.name} has the type {type_name(tensor.kind)}, which cannot be converted",
                hint="take the model in another type, such as F16, BF16 or Q8_0",
            ) from error
        weights = weights.astype(np.float32, copy=False)
        # In blocks the scale is an F16 number: the largest weight over 127 or 8.
        largest = float(np.abs(weights).max())
        room = {Type.F16: 1, Type.Q8_0: 127, Type.Q4_0: 8}.get(Type(target))
        if not np.isfinite(largest) or (room and largest > room * float(np.finfo(np.float16).max)):
            raise ModelError(f"{tensor.name} has weights that {type_name(target)} cannot hold", hint=_AGAIN)
        return bytes(quantize(weights, Type(target)).tobytes())


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _cut() -> NoReturn:
    raise _FormatError("it ends in the middle of its header")
