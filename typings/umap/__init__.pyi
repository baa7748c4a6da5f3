"""What is used of umap, which has no types: to infer them from its code takes many seconds."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

class UMAP:
    def __init__(self, **settings: Any) -> None: ...
    def fit_transform(self, X: ArrayLike) -> np.ndarray: ...
