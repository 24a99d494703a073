"""What sentence-transformers mines of vectors; run by its Python: python -m tests.peer.mine VECTORS.npy FOUND.json"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import util

from tests.peer.mining_cases import COMMUNITIES, MINING, SEARCH

vectors = torch.from_numpy(np.load(sys.argv[1]))
found = {
    "pairs": [util.paraphrase_mining_embeddings(vectors, **case) for case in MINING],
    "communities": [util.community_detection(vectors, **case) for case in COMMUNITIES],
    "search": [util.semantic_search(vectors[:50], vectors, **case) for case in SEARCH],
}
Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
