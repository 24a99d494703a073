"""The rows of MPNet's table against Transformers' own."""

import numpy as np
import torch

from likewise.checkpoint.distance_buckets import distance_buckets


def test_every_distance_has_the_row_that_transformers_gives_it() -> None:
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distances = np.arange(-2000, 2001)
    expected = MPNetEncoder.relative_position_bucket(torch.from_numpy(distances), 32).numpy()
    np.testing.assert_array_equal(distance_buckets(distances, 32), expected)
