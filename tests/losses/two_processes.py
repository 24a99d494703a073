"""One of several processes that share a batch: the gradients of losses, averaged as DistributedDataParallel does.

Run as: python -m tests.losses.two_processes MODEL GUIDE MEETING_POINT OUTPUT RANK PROCESSES
"""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from likewise import SentenceTransformer, losses, models
from likewise.losses.gathering import gathered

ANCHORS = ["the kettle boils", "a train is late in winter", "rain on the river", "small garden", "music, and tea", "we"]
POSITIVES = ["water boiling", "the train was at the station", "the river is in the rain", "green", "tea", "it is us"]
NEGATIVES = ["it is not paper", "a bridge", "the garden was small", "rain of the garden", "we boil", "the late train"]
SCORES = [0.9, 0.8, 0.1, 0.4, 0.3, 0.6]
DIRECTIONS: Any = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")


def model_of(folder: str) -> SentenceTransformer:
    """Without dropout, whose masks differ between processes."""
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(32)]
    return SentenceTransformer(modules=modules, device="cpu", dtype="float32")


def made(folder: str, guide: str) -> dict[str, nn.Module]:
    """Each loss for a model of its own."""
    gathers: dict[str, Any] = {"gather_across_devices": True}
    ranks: dict[str, Any] = {"scale": 5.0, **gathers}  # the scale multiplies what float32 rounds
    guided: dict[str, Any] = {"guide": model_of(guide), "temperature": 0.1, **gathers}

    def matryoshka(model: SentenceTransformer) -> losses.Loss:
        inner = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=2, **ranks)
        return losses.MatryoshkaLoss(model, inner, [32, 8])

    makers: dict[str, Any] = {
        "ranking": lambda model: losses.MultipleNegativesRankingLoss(
            model, directions=DIRECTIONS, hardness_mode="all_negatives", hardness_strength=2.0, **ranks
        ),
        "cached ranking": lambda model: losses.CachedMultipleNegativesRankingLoss(
            model, mini_batch_size=2, directions=DIRECTIONS, **ranks
        ),
        "symmetric": lambda model: losses.MultipleNegativesSymmetricRankingLoss(model, **ranks),
        "guided": lambda model: losses.GISTEmbedLoss(model, **guided),
        "cached guided": lambda model: losses.CachedGISTEmbedLoss(model, mini_batch_size=2, **guided),
        "parts": matryoshka,
        "cosine": losses.CosineSimilarityLoss,
    }
    return {name: make(model_of(folder)).eval() for name, make in makers.items()}


def gradients(loss: nn.Module, rows: slice, has_labels: bool) -> dict[str, Tensor]:
    """Of the weights, and the loss itself, on these rows."""
    columns = [ANCHORS[rows], POSITIVES[rows]] + ([] if has_labels else [NEGATIVES[rows]])
    value = loss(columns, SCORES[rows] if has_labels else None)
    value.backward()
    found = {name.removeprefix("module."): weight.grad for name, weight in loss.named_parameters()}
    return {name: gradient for name, gradient in found.items() if gradient is not None} | {"loss": value.detach()}


def uneven(rank: int) -> dict[str, Tensor]:
    """What the first process has of 2 columns with 3 rows of its own, and 2 of the second's; and its gradient."""
    columns = torch.arange(20.0).reshape(2, 5, 2)
    own = (columns[:, :3] if rank == 0 else columns[:, 3:]).clone().requires_grad_()
    found, rows = gathered(list(own))
    ((rank + 1) * torch.stack(found) ** 2).sum().backward()
    assert own.grad is not None
    return {"columns": torch.stack(found).detach(), "rows": rows, "gradient": own.grad}


def main() -> None:
    """Write the averaged gradients of every loss, from the first process."""
    folder, guide, meeting_point, output, rank, processes = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=int(rank), world_size=int(processes))
    share = len(ANCHORS) // int(processes)
    rows = slice(int(rank) * share, (int(rank) + 1) * share)
    found = {
        name: gradients(DistributedDataParallel(loss), rows, name == "cosine")
        for name, loss in made(folder, guide).items()
    }
    for of_loss in found.values():
        dist.all_reduce(of_loss["loss"], dist.ReduceOp.SUM)
        of_loss["loss"] /= int(processes)
    found["uneven"] = uneven(int(rank))
    if int(rank) == 0:
        torch.save(found, Path(output))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
