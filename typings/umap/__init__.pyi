"""What is used of umap, which has no types: inferring them from its code takes pyright longer than
all of ours."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

class UMAP:
    def __init__(self, **settings: Any) -> None: ...
    def fit_transform(self, X: ArrayLike) -> np.ndarray: ...
