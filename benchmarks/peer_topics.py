"""The peer's half of topics.py, in an environment of its own: BERTopic's default recipe on vectors from a file.

UMAP to 5 dimensions (15 neighbours, cosine), then HDBSCAN with at least 10 questions in a topic.
"""

import sys
import time

import numpy as np
import umap
from sklearn.cluster import HDBSCAN


def main() -> None:
    vectors = np.load(sys.argv[1])
    began = time.perf_counter()
    points = umap.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=1).fit_transform(
        vectors
    )
    labels = HDBSCAN(min_cluster_size=10, copy=True).fit_predict(points)
    np.savez(sys.argv[2], labels=labels, seconds=time.perf_counter() - began)


if __name__ == "__main__":
    main()
