"""The network on CPU, CUDA or MPS, on packed batches."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from likewise import models
from likewise.engine.processor import has_native_bfloat16
from likewise.engine.workers import in_threads
from likewise.network.packed import packed_tokens
from likewise.network.sentence_network import SentenceNetwork, build_network
from likewise.tokens import TokenBatch


def default_device() -> str:
    """ "cuda" where there is a GPU, "mps" on an Apple one, else "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def chosen_dtype(dtype: str, device: str) -> str:
    """What "auto" means on ``device``: bfloat16 where the hardware multiplies it, else float32."""
    if dtype != "auto":
        return dtype
    kind = torch.device(device).type
    native = torch.cuda.is_bf16_supported(including_emulation=False) if kind == "cuda" else has_native_bfloat16()
    return "bfloat16" if native and kind in ("cuda", "cpu") else "float32"


_lock = Lock()
_running = 0  # calls that have workers now
_before = 0  # torch's number of threads before the first of them


@contextmanager
def one_thread_each() -> Iterator[Callable[[], object]]:
    """Within, workers that begin with what this gives compute in one thread each.

    A thread that computes a whole batch waits for nobody. torch's own way, all threads on each product, makes them
    wait for each other some forty times a batch, and where other programs run too, each wait lasts until the slowest
    thread gets its turn.
    """
    global _running, _before
    with _lock:
        if _running == 0:
            _before = torch.get_num_threads()
        _running += 1
    try:
        yield partial(torch.set_num_threads, 1)
    finally:
        # A worker's single thread is also what later threads of the process would begin with, so the last call to end
        # puts back what the first one found.
        with _lock:
            _running -= 1
            if _running == 0:
                torch.set_num_threads(_before)


class TorchEngine:
    """Computes with a network under autocast: products in ``dtype``, norms, softmax, sums and pooling in float32."""

    name = "torch"
    by_length = True

    def __init__(self, network: SentenceNetwork, device: str, dtype: str, threads: int | None = None):
        self.network = network.to(device)
        self.device = device
        self.dtype = chosen_dtype(dtype, device)
        self.threads = threads or torch.get_num_threads() if self.network.device.type == "cpu" else 1

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch one vector per text, (texts, dim)."""
        return in_threads(self._sentence_vectors, batches, self.threads, one_thread_each())

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch one vector per token, before the pooling, (tokens, hidden)."""
        return in_threads(self._token_vectors, batches, self.threads, one_thread_each())

    def finish(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """What follows the pooling: (texts, pooled) → (texts, dim)."""
        with self._inference():
            vectors: NDArray[np.float32] = (
                self.network.heads(torch.tensor(pooled).to(self.device)).float().cpu().numpy()
            )
        return vectors

    def _sentence_vectors(self, batch: TokenBatch) -> NDArray[np.float32]:
        with self._inference():
            vectors: NDArray[np.float32] = self.network(batch).cpu().numpy()
        return vectors

    def _token_vectors(self, batch: TokenBatch) -> NDArray[np.float32]:
        with self._inference():
            hidden, _ = self.network.token_states(packed_tokens(batch, self.network.device))
            vectors: NDArray[np.float32] = hidden.float().cpu().numpy()
        return vectors

    @contextmanager
    def _inference(self) -> Iterator[None]:
        self.network.eval()  # a network in training has dropout on
        with torch.inference_mode(), self._precision():
            yield

    def _precision(self) -> AbstractContextManager[object]:
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=getattr(torch, self.dtype))


def network_engine(network: SentenceNetwork, device: str | None, dtype: str, threads: int | None = None) -> TorchEngine:
    """An engine on a network that lives on, to be trained or changed.

    Raises:
        ValueError: The device is not there.
    """
    device = device or default_device()
    check_device(device)
    return TorchEngine(network, device, dtype, threads)


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ValueError: torch cannot use it.
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"the device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error


def torch_engine(
    chain: models.Chain,
    device: str | None,
    dtype: str,
    parts: dict[int, nn.Module] | None = None,
    threads: int | None = None,
) -> TorchEngine:
    """An engine for inference: its weights of the products are kept in the engine's dtype, half the memory of float32.

    ``parts`` remembers the torch module of each description for other chains that share it.

    Raises:
        ValueError: The device is not there, or an array is missing or has the wrong shape.
    """
    engine = network_engine(build_network(chain, shared=True, parts=parts), device, dtype, threads)
    if not getattr(engine.network.encoder, "float32_only", False):
        for part in engine.network.encoder.modules():
            if isinstance(part, nn.Linear):
                part.to(getattr(torch, engine.dtype))
    engine.network.requires_grad_(False)
    return engine
