"""Philox-4x32-10: random words that depend on a key and a counter, the same on every device.

Salmon, Moraes, Dror & Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3". This is the
generator for the CPU; Triton's `tl.philox` is the same function, which a test asserts.
"""

import numpy as np
import numpy.typing as npt

ROUNDS = 10
_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_KEY_STEPS = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)


def words(key: tuple[int, int], counter: tuple[npt.ArrayLike, ...]) -> npt.NDArray[np.uint32]:
    """Four random words for each counter: (n, 4).

    Args:
        key: two numbers below 2^32.
        counter: four of them, or arrays of them; the longest has length n.
    """
    (n,) = np.broadcast_shapes(*(np.shape(part) for part in counter))
    # Words 0 and 2 are multiplied in each round and words 1 and 3 are not: two rows each.
    even, odd, high = (np.empty((2, n), np.uint64) for _ in range(3))
    even[0], odd[0], even[1], odd[1] = counter
    round_key = np.array(key, np.uint64)[:, None]
    for _ in range(ROUNDS):
        even *= _MULTIPLIERS
        np.right_shift(even, 32, out=high)
        np.bitwise_xor(high[::-1], odd, out=high)
        high ^= round_key
        np.bitwise_and(even[::-1], _LOW, out=odd)
        even, high = high, even
        round_key = (round_key + _KEY_STEPS) & _LOW
    result = np.empty((n, 4), np.uint32)
    result[:, 0::2], result[:, 1::2] = even.T, odd.T
    return result
