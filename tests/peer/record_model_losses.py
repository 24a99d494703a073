"""Record losses and gradients of tiny models in sentence-transformers, so that tests compare where it is not installed.

Run at the root of the checkout, with the Python of an environment that holds sentence-transformers 6.2.0:
    python -m tests.peer.record_model_losses [--into FILE]
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from sentence_transformers import SentenceTransformer, models
from sentence_transformers.sentence_transformer import losses

from tests.peer.model_losses import LOSSES, checkpoints, draw_by_name, told


def computed(name: str, folder: Path, guide_folder: Path) -> dict[str, list[float]]:
    """The loss called ``name`` and its gradients, those of the encoder under Transformers' names."""
    arguments, columns = LOSSES[name]
    model = SentenceTransformer(modules=[models.Transformer(str(folder)), models.Pooling(32)], device="cpu")
    if "GIST" in name:
        guide = [models.Transformer(str(guide_folder)), models.Pooling(32)]
        arguments = arguments | {"guide": SentenceTransformer(modules=guide, device="cpu")}
    loss = getattr(losses, name)(model, **arguments).eval()
    encoder = model.transformers_model
    own = {}
    if name == "DenoisingAutoEncoderLoss":
        shared = {id(weight) for weight in encoder.parameters()}
        own = {part: weight for part, weight in loss.decoder.named_parameters() if id(weight) not in shared}
        draw_by_name(loss.decoder, set(own))
    value = loss([model.preprocess(texts) for texts in columns], None)
    value.backward()
    named = dict(encoder.named_parameters()) | own
    return told(value, {part: weight.grad for part, weight in named.items() if weight.grad is not None})


def main() -> None:
    """Write one JSON for all losses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "model_losses.json")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        folders = checkpoints(Path(folder))
        found = {name: computed(name, *folders) for name in LOSSES}
    chosen.into.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
