"""Reads and writes the footer of a Parquet file (Thrift's compact protocol) as a tree, so that a test can make it lie.

A struct is {field number: (type, value)}, a list (type of its elements, [values]).
"""

import struct
from pathlib import Path

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12


def lying(file: Path, lie) -> Path:
    """Rewrites the file's footer as `lie` changes the tree of it."""
    content = file.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    tree, end = _struct(content[-8 - size : -8], 0)
    assert end == size
    lie(tree)
    footer = _of_struct(tree)
    file.write_bytes(content[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return file


def row_groups(tree: dict) -> list[dict]:
    return tree[4][1][1]


def columns(group: dict) -> list[dict]:
    """The metadata of each column of a row group."""
    return [chunk[3][1] for chunk in group[1][1][1]]


def put(tree: dict, number: int, value) -> None:
    tree[number] = (tree[number][0], value)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _of_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _struct(data: bytes, at: int) -> tuple[dict, int]:
    fields, number = {}, 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            number += step
        else:
            coded, at = _varint(data, at)
            number = coded >> 1 ^ -(coded & 1)
        if kind in (TRUE, FALSE):
            fields[number] = (kind, None)
        else:
            value, at = _value(data, at, kind)
            fields[number] = (kind, value)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int):
    if kind in (TRUE, FALSE, BYTE):
        return data[at], at + 1
    if kind in (I16, I32, I64):
        coded, at = _varint(data, at)
        return coded >> 1 ^ -(coded & 1), at
    if kind == DOUBLE:
        return struct.unpack("<d", data[at : at + 8])[0], at + 8
    if kind == BINARY:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if kind == STRUCT:
        return _struct(data, at)
    assert kind == LIST, kind
    size, of = data[at] >> 4, data[at] & 15
    at += 1
    if size == 15:
        size, at = _varint(data, at)
    values = []
    for _ in range(size):
        value, at = _value(data, at, of)
        values.append(value)
    return (of, values), at


def _of_struct(fields: dict) -> bytes:
    out, last = b"", 0
    for number, (kind, value) in sorted(fields.items()):
        step = number - last
        head = bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _of_value(I16, number)
        out += head + (b"" if kind in (TRUE, FALSE) else _of_value(kind, value))
        last = number
    return out + b"\0"


def _of_value(kind: int, value) -> bytes:
    if kind in (TRUE, FALSE, BYTE):
        return bytes([value])
    if kind in (I16, I32, I64):
        return _of_varint((value << 1 ^ value >> 63) & (1 << 64) - 1)
    if kind == DOUBLE:
        return struct.pack("<d", value)
    if kind == BINARY:
        return _of_varint(len(value)) + value
    if kind == STRUCT:
        return _of_struct(value)
    of, values = value
    size = len(values)
    head = bytes([size << 4 | of]) if size < 15 else bytes([15 << 4 | of]) + _of_varint(size)
    return head + b"".join(_of_value(of, one) for one in values)
