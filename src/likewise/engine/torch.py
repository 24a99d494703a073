"""The network on CPU, CUDA or MPS, on packed batches."""

import copy
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise import models
from likewise.engine import TOKEN_BUDGET, Engine
from likewise.engine.processor import has_native_bfloat16
from likewise.engine.workers import in_threads
from likewise.network.encoder import Encoder
from likewise.network.packed import packed_tokens
from likewise.network.prepacked import prepack
from likewise.network.sentence_network import SentenceNetwork, build_network
from likewise.network.transformers import TransformersEncoder
from likewise.tokens import TokenBatch

logger = logging.getLogger(__name__)

# A GPU must have computed longer than Python takes to ask for the next batch; not measured yet.
GPU_TOKEN_BUDGET = 32_768
IN_FLIGHT = 3  # batches that a GPU has been given, and whose results are not collected
OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "can't allocate memory")


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
        self.is_on_cpu = self.network.device.type == "cpu"
        self.threads = threads or torch.get_num_threads() if self.is_on_cpu else 1
        self.most_tokens = math.inf  # computed at once: fewer than memory was seen not to hold
        self.is_deterministic = False  # whether each text is computed alone

    @property
    def token_budget(self) -> int:
        """How many tokens it computes together best."""
        budget = TOKEN_BUDGET if self.is_on_cpu else GPU_TOKEN_BUDGET
        return int(max(min(budget, self.most_tokens), 1))

    def deterministic(self) -> Engine:
        """An engine on the same network that computes each text alone: the same bits, whatever else comes.

        Kernels cut their work by the shape of what they are given, and where they cut otherwise they add in another
        order. A text alone, computed by one thread, always has the same shape.
        """
        alone = copy.copy(self)
        alone.is_deterministic = True
        return alone

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch one vector per text, (texts, dim)."""
        return self._computed(self._sentence_vectors, batches)

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        """For each batch one vector per token, before the pooling, (tokens, hidden)."""
        return self._computed(self._token_vectors, batches)

    def finish(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """What follows the pooling: (texts, pooled) → (texts, dim)."""
        with self._inference():
            vectors: NDArray[np.float32] = (
                self.network.heads(torch.tensor(pooled).to(self.device)).float().cpu().numpy()
            )
        return vectors

    def _computed(
        self, compute: Callable[[TokenBatch], Tensor], batches: Iterable[TokenBatch]
    ) -> Iterator[NDArray[np.float32]]:
        if not self.is_on_cpu:
            return in_flight(partial(self._fitting, compute), batches)

        def computed(batch: TokenBatch) -> NDArray[np.float32]:
            vectors: NDArray[np.float32] = self._fitting(compute, batch).numpy()
            return vectors

        return in_threads(computed, batches, self.threads, one_thread_each(), always=self.is_deterministic)

    def _fitting(self, compute: Callable[[TokenBatch], Tensor], batch: TokenBatch) -> Tensor:
        """What ``compute`` makes of the batch, cut in two again and again where memory does not hold it at once."""
        if len(batch) < 2 or (len(batch.ids) <= self.most_tokens and not self.is_deterministic):
            try:
                return compute(batch)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) < 2:
                    error.add_note(f"A single text of {len(batch.ids):,} tokens is more than {self.device} holds.")
                    raise
            # Here, not above: what the failed attempt holds is let go with its error.
            self._remember(len(batch.ids) // 2)
        middle = len(batch) // 2
        halves = np.arange(middle), np.arange(middle, len(batch))
        return torch.cat([self._fitting(compute, batch.take(half)) for half in halves])

    def _remember(self, tokens: int) -> None:
        """Compute at most so many tokens at once from now on."""
        self.most_tokens = min(self.most_tokens, tokens)
        logger.warning("out of memory on %s: at most %d tokens are computed at once from now on", self.device, tokens)
        if torch.device(self.device).type == "cuda":
            torch.cuda.empty_cache()  # what is left of larger batches lies in pieces

    def _sentence_vectors(self, batch: TokenBatch) -> Tensor:
        with self._inference():
            vectors: Tensor = self.network(batch)
        return vectors

    def _token_vectors(self, batch: TokenBatch) -> Tensor:
        with self._inference():
            hidden, _ = self.network.token_states(packed_tokens(batch, self.network.device))
            return hidden.float()

    @contextmanager
    def _inference(self) -> Iterator[None]:
        self.network.eval()  # a network in training has dropout on
        with torch.inference_mode(), self._precision():
            yield

    def _precision(self) -> AbstractContextManager[object]:
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=getattr(torch, self.dtype))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether ``error`` says that the device's memory is full; MPS and cuBLAS have no class for it."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY)


def in_flight(compute: Callable[[TokenBatch], Tensor], batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
    """``compute`` of each batch, in order; a GPU computes some while others are prepared and collected here."""
    waiting: deque[Callable[[], NDArray[np.float32]]] = deque()
    for batch in batches:
        waiting.append(on_its_way(compute(batch)))
        if len(waiting) > IN_FLIGHT:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def on_its_way(vectors: Tensor) -> Callable[[], NDArray[np.float32]]:
    """Begin to bring ``vectors`` from the device; what waits for them, and for nothing that was asked for later."""
    if vectors.device.type != "cuda":
        return lambda: vectors.cpu().numpy()
    here = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
    here.copy_(vectors, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(vectors.device))

    def collected() -> NDArray[np.float32]:
        copied.synchronize()
        found: NDArray[np.float32] = here.numpy()
        return found

    return collected


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
    if engine.is_on_cpu and isinstance(engine.network.encoder, Encoder | TransformersEncoder):
        prepack(engine.network.encoder)
    return engine
