"""Types of the arrays that the searching structure is made of."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Terms64: TypeAlias = npt.NDArray[np.uint64]
Counts: TypeAlias = npt.NDArray[np.unsignedinteger]
Whole: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.int32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Scores: TypeAlias = npt.NDArray[np.float32]
Names: TypeAlias = npt.NDArray[np.bytes_]
Vectors: TypeAlias = npt.NDArray[np.float32]
