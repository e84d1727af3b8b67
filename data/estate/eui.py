"""EUI-64s and key identifiers: numbers inside, DUIS text outside."""

import numpy as np
import pyarrow as pa

# Locally administered (second hex digit E), so no manufacturer's.
DEVICE_OUI = 0x0E5D1A
PARTY_OUI = 0x0E5D1B
MASK_40 = np.uint64((1 << 40) - 1)
TEXT_LENGTH = 23
PAIRS = np.frombuffer("".join(f"{byte:02X}-" for byte in range(256)).encode(), np.uint8).reshape(256, 3)


def euis(oui: int, numbers: np.ndarray, seed: int) -> np.ndarray:
    apart = np.uint64(seed * 0x9E3779B97F4A7C15 % (1 << 40))
    return np.uint64(oui << 40) | scatter_40(numbers.astype(np.uint64) + apart)


def scatter_40(values: np.ndarray) -> np.ndarray:
    """A bijection of 40-bit numbers, so that neither order nor gaps of EUIs tell anything."""
    values = values * np.uint64(0x9E3779B97F4A7C15) & MASK_40
    values ^= values >> np.uint64(19)
    values = values * np.uint64(0xD6E8FEB86659FD93) & MASK_40
    return values ^ values >> np.uint64(21)


def key_identifiers(codes: np.ndarray, seed: int) -> np.ndarray:
    """RFC 5280 4.2.1.2 method 2: four bits 0100, then 60 bits of a hash."""
    values = codes.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % (1 << 64))
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return (values ^ values >> np.uint64(31)) & np.uint64((1 << 60) - 1) | np.uint64(4 << 60)


def as_text(values: np.ndarray) -> pa.StringArray:
    octets = values.astype(">u8").view(np.uint8).reshape(-1, 8)
    letters = np.ascontiguousarray(PAIRS[octets].reshape(-1, 24)[:, :TEXT_LENGTH])
    offsets = np.arange(0, (len(values) + 1) * TEXT_LENGTH, TEXT_LENGTH, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(letters))
