"""Names of array types."""

from numpy import float32, float64, int64, uint8, uint32
from numpy.typing import NDArray

Floats = NDArray[float64]
Singles = NDArray[float32]
Ints = NDArray[int64]
Bytes = NDArray[uint8]
Words = NDArray[uint32]
