"""TFRecord framing, which event files have: read with every checksum, and written.

A record is its length (uint64), the masked CRC-32C of those 8 bytes, the data, and the masked
CRC-32C of the data; integers are little-endian. The format is that of TensorFlow's
`tensorflow/core/lib/io/record_writer.h`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

HEADER, FOOTER = 12, 4
"""Bytes before and after the data of a record."""
LONGEST = 1 << 20
"""Bytes of a record: a longer one is an image or a graph, and is passed over, whatever it holds."""


@dataclass(frozen=True)
class Records:
    """What a file holds.

    Attributes:
        data: of each record of at most `LONGEST` bytes with good checksums, in order.
        bad: such records with a bad checksum. One whose data alone is bad is skipped; after a bad
            length nothing can be found, and the rest of the file is lost.
        lost: bytes at the end that are no whole record, or follow a bad length.
    """

    data: list[bytes]
    bad: int
    lost: int


@njit(nogil=True)
def _crc(octets: NDArray[np.uint8]) -> int:
    """Compute the masked CRC-32C of bytes (n,)."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read(content: bytes) -> Records:
    """The records of a file, whatever its state."""
    octets = np.frombuffer(content, np.uint8)
    data, bad, place = [], 0, 0
    while place + HEADER <= len(content):
        length, crc = struct.unpack_from("<QI", content, place)
        if _crc(octets[place : place + 8]) != crc:
            bad += 1
            break
        start, end = place + HEADER, place + HEADER + length
        if end + FOOTER > len(content):
            break
        if length <= LONGEST:
            if _crc(octets[start:end]) == struct.unpack_from("<I", content, end)[0]:
                data.append(content[start:end])
            else:
                bad += 1
        place = end + FOOTER
    return Records(data, bad, len(content) - place)


def frame(data: Sequence[bytes]) -> bytes:
    """The content of a file of these records."""
    pieces = [piece for part in data for piece in (struct.pack("<Q", len(part)), part)]
    crcs = [_crc(np.frombuffer(piece, np.uint8)) for piece in pieces]
    return b"".join(piece + struct.pack("<I", crc) for piece, crc in zip(pieces, crcs, strict=True))
