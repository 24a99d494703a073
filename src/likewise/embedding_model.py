"""What a bi-encoder does: texts in, vectors out."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.arguments import (
    check_choice,
    check_encode_arguments,
    check_whole_numbers,
    refuse_others,
    without_task,
)
from likewise.checkpoint.model_settings import ModelSettings
from likewise.encoding.cache import EmbeddingCache, check_cache
from likewise.encoding.embed import LONG_TEXTS, Batching
from likewise.encoding.late_chunking import Chunks, embed_chunks
from likewise.encoding.report import Tally
from likewise.encoding.streams import WINDOW, stream
from likewise.encoding.work import Work, computer
from likewise.engine.live import LiveModel
from likewise.extras import extra
from likewise.model import Model
from likewise.quantize import SCALAR, Precision, quantize_embeddings
from likewise.saving import fingerprint_of, write_copy
from likewise.similarity import normalize_embeddings
from likewise.tokens import TokenBatch, each_of, texts_of

if TYPE_CHECKING:
    import torch

    from likewise.encoding.processes import ProcessPool


logger = logging.getLogger(__name__)

CHUNK_TOKENS = 128  # of encode_chunks: a paragraph
QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # what encode_document looks for, in this order


@dataclass(frozen=True)
class Given:
    """What a call is to embed, and by which way."""

    texts: list[str]
    is_single: bool  # one text, which gives one result
    prompt: str | None
    route: str
    chain: models.Chain


class EmbeddingModel(Model):
    """A model that gives each text a vector."""

    truncate_dim: int | None  # how many dimensions of a vector are kept; None: all

    def __init__(
        self,
        modules: Sequence[models.Module],
        live: LiveModel,
        settings: ModelSettings,
        prompts: Mapping[str, str] | None,
        default_prompt_name: str | None,
    ):
        super().__init__(live, settings, prompts, default_prompt_name)
        self._modules = modules
        self._fingerprints: dict[str, str] = {}  # by the modules' settings

    def encode(
        self,
        inputs: str | Iterable[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: Literal["sentence_embedding", "token_embeddings"] = "sentence_embedding",
        precision: Precision = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | torch.device | Sequence[str | torch.device] | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: ProcessPool | None = None,
        chunk_size: int | None = None,
        *,
        task: str | None = None,
        token_budget: int | None = None,
        deterministic: bool = False,
        cache: EmbeddingCache | None = None,
        long_texts: Literal["truncate", "chunk", "error"] = "truncate",
        return_report: bool = False,
        sentences: str | Iterable[str] | None = None,
        **others: Any,
    ) -> Any:
        """Embed one text, or each of an iterable of texts, in their order.

        One text gives a vector (dim,), several an array (texts, dim) of float32, none an empty array (0,). Another
        ``precision`` makes them smaller, as ``quantize.quantize_embeddings`` does, with the ranges of these very texts.
        ``convert_to_tensor=True`` gives a tensor on the model's device, ``convert_to_numpy=False`` a list of tensors.
        ``output_value="token_embeddings"`` gives, for each text, its token vectors (tokens, hidden) before the pooling.

        Texts are sorted by their number of tokens and computed without padding in batches of at most ``token_budget``
        tokens, by default as many as suit the engine, and of at most ``batch_size`` texts where that is given; neither
        changes the vectors beyond the last bits, and with ``deterministic=True`` no bit of them. ``prompt``, or the
        prompt called ``prompt_name``, is put before each text. ``task`` chooses the route of a model that has a
        Router; texts may then also come as ``{task: text}``.

        A text of more than ``max_seq_length`` tokens loses its end; a warning with counts is logged, once a call.
        ``long_texts="chunk"`` cuts it into chunks instead, at sentence borders where it can and with some overlap, and
        gives the mean of their vectors, weighted by their tokens; "error" refuses it. ``return_report=True`` gives
        the vectors and, instead of the warning, an ``EncodingReport`` of the tokens of each text.

        ``cache`` keeps what is computed, and what is in it is not computed again.

        A ``pool`` of processes computes chunks of ``chunk_size`` texts at once; a list of devices as ``device`` starts
        one for this call. The vectors are the same; tensors are then on the CPU.

        Raises:
            OSError: The cache cannot be read.
            TypeError: A text is no string, or an argument is not known.
            ValueError: An argument is not right, a text cannot be written as UTF-8, or it is too long where that is
                an error.
        """
        refuse_others(others)
        if inputs is not None and sentences is not None:
            raise TypeError("give the texts once: sentences is the older name of inputs")
        inputs = inputs if sentences is None else sentences
        if inputs is None:
            raise TypeError("encode needs a text or an iterable of texts, but got None")
        truncate_dim = self.truncate_dim if truncate_dim is None else truncate_dim
        check_encode_arguments(batch_size, token_budget, truncate_dim, prompt, output_value, precision, chunk_size)
        check_choice("long_texts", long_texts, LONG_TEXTS)
        check_cache(cache, output_value)
        of_tokens = output_value == "token_embeddings"
        if of_tokens and long_texts == "chunk":
            raise ValueError('long_texts="chunk" is for sentence vectors; encode_chunks gives those of the chunks')
        in_processes = pool is not None or isinstance(device, list | tuple)
        if device is not None and not in_processes:
            self.to(cast(str, device))
        given = self._given(inputs, task, prompt, prompt_name)
        batching = self._batching(token_budget, batch_size, show_progress_bar)
        work = Work(given.route, given.prompt, batching, of_tokens, deterministic, long_texts)
        needs_workers = in_processes and (pool is not None or given.texts)  # none is started for nothing
        with self._workers(pool, device) if needs_workers else nullcontext() as workers:
            computed, report = computer(self, workers, chunk_size, cache)(given.texts, work)
        if not return_report:
            _tell(Tally(report))
        result: Any = computed if of_tokens else np.empty(0, dtype=np.float32)
        if given.texts and not of_tokens:
            result = _finished(computed, truncate_dim, normalize_embeddings, given.chain.is_normalized)
        if precision not in ("float32", None):
            result = quantize_embeddings(result, precision)
        if convert_to_tensor:
            place = "cpu" if in_processes else self.device
            result = [_tensor(vectors, place) for vectors in result] if of_tokens else _tensor(result, place)
        elif not convert_to_numpy and not of_tokens:
            result = list(_tensor(result, "cpu"))
        if given.is_single:
            result = result[0]
        return (result, report) if return_report else result

    def encode_stream(
        self, inputs: Iterable[Any], *, window: int = WINDOW, **arguments: Any
    ) -> Generator[Any, None, None]:
        """Yield the vector (dim,) of each text, in order, in constant memory: for inputs of any length, endless too.

        Texts are read as they are needed, ``window`` at a time; each window is sorted and computed as ``encode`` does
        it, with the same ``arguments``. The first vector comes after one window: give a small one to texts that come
        slowly. An item that is no text, and an error of ``inputs``, is raised after all vectors before it.

        Raises:
            TypeError: ``inputs`` or an item is not right; an item's position counts from the start of the stream.
            ValueError: An argument is not right, or a text cannot be written as UTF-8.
        """
        if isinstance(inputs, str):
            raise TypeError(f"encode_stream takes an iterable of texts, not one; use encode({inputs[:40]!r})")
        check_whole_numbers(window=window)
        if (precision := arguments.get("precision")) in SCALAR:
            raise ValueError(
                f"precision={precision!r} needs the ranges of all vectors, and a stream does not know them; leave it "
                "out, and give each vector to quantize_embeddings with ranges= of many"
            )
        if arguments.get("return_report"):
            raise ValueError("a stream yields vectors and no report; leave return_report out")
        arguments = {"show_progress_bar": False} | arguments  # the end of a stream is not known
        self.encode([], **arguments)  # what is wrong with the arguments is said here, not at the first vector

        items = each_of(inputs)
        devices = arguments.get("device")
        has_devices = isinstance(devices, list | tuple) and arguments.get("pool") is None

        def encoded() -> Generator[Any, None, None]:
            tally = Tally()
            with self._workers(None, devices) if has_devices else nullcontext() as workers:
                of_all = {"device": None, "pool": workers} if has_devices else {}  # one pool for all windows
                try:
                    yield from stream(tally.of(partial(self.encode, **arguments | of_all)), items, window)
                finally:
                    _tell(tally)

        return encoded()

    def encode_chunks(
        self,
        inputs: str | Iterable[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        *,
        chunk_tokens: int = CHUNK_TOKENS,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        task: str | None = None,
        token_budget: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> Any:
        """Cut each text into chunks of at most ``chunk_tokens`` tokens, and embed these: ``Chunks`` for each text.

        They end with a sentence where they can. Each is seen in the context of the whole text, if the model can read
        that at once, and of as much of it as it can, if not (late chunking, Günther et al. 2024). Where the pooling
        reads a single token, as "cls" does, or the model sees no context, each chunk is seen by itself. A text that is
        one chunk has the vector that ``encode`` gives it.

        Raises:
            TypeError: A text is no string.
            ValueError: An argument is not right, a text cannot be written as UTF-8, or the tokenizer does not tell
                where its tokens stand.
        """
        check_whole_numbers(chunk_tokens=chunk_tokens, token_budget=token_budget, truncate_dim=truncate_dim)
        given = self._given(inputs, task, prompt, prompt_name)
        engine, batching = self._live.engine(given.route), self._batching(token_budget, None, show_progress_bar)
        truncate_dim = self.truncate_dim if truncate_dim is None else truncate_dim
        found = [
            Chunks(
                chunks.spans, _finished(chunks.vectors, truncate_dim, normalize_embeddings, given.chain.is_normalized)
            )
            for chunks in embed_chunks(given.chain, engine, given.texts, given.prompt, batching, chunk_tokens)
        ]
        return found[0] if given.is_single else found

    def encode_query(
        self,
        inputs: str | Iterable[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> Any:
        """``encode`` for queries: with the prompt called "query" and by the route "query", where the model has them."""
        return self._encode_as("query", QUERY_PROMPTS, inputs, prompt_name, prompt, arguments)

    def encode_document(
        self,
        inputs: str | Iterable[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **arguments: Any,
    ) -> Any:
        """``encode`` for what queries search: by the route "document", where the model has a Router.

        The prompt is the model's first among "document", "passage" and "corpus"; without one there is none.
        """
        return self._encode_as("document", DOCUMENT_PROMPTS, inputs, prompt_name, prompt, arguments)

    def encode_multi_process(
        self,
        sentences: Iterable[str],
        pool: ProcessPool,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
        show_progress_bar: bool | None = None,
        precision: Precision = "float32",
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Any:
        """``encode`` with a pool, by its older name."""
        return self.encode(
            sentences,
            *(prompt_name, prompt, batch_size, show_progress_bar),
            precision=precision,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
            pool=pool,
            chunk_size=chunk_size,
        )

    def tokenize(self, texts: Iterable[str]) -> TokenBatch:
        """The texts as packed tokens, cut to ``max_seq_length``; nothing is padded."""
        return self._live.routes.first.source.tokenize(texts_of(texts))

    # What it is

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that tell this model from every other: its settings, its tokenizer, every weight.

        Neither the device nor the dtype that it computes in is told, nor prompts. Of a model whose network is being
        trained it is made anew each time, else once.
        """
        if self._live.has_network:
            return fingerprint_of(self._modules, self._live)
        settings = repr(self._modules)  # what can be changed without the network, such as max_seq_length
        if settings not in self._fingerprints:
            self._fingerprints[settings] = fingerprint_of(self._modules, self._live)
        return self._fingerprints[settings]

    # Inside

    def _write_copy(self, folder: Path, for_cpu: bool) -> None:
        write_copy(self._modules, self._live, folder, for_cpu)

    def _given(self, inputs: Any, task: str | None, prompt: str | None, prompt_name: str | None) -> Given:
        has_routes = self._live.routes.router is not None
        is_single = isinstance(inputs, str) or (has_routes and isinstance(inputs, Mapping))
        texts = [inputs] if is_single else inputs
        if has_routes:
            texts, task = without_task(texts, task)
        route = self._live.routes.name(task)
        prompt = self._resolved_prompt(prompt, prompt_name)
        return Given(texts_of(texts), is_single, prompt, route, self._live.routes.chains[route])

    def _batching(self, token_budget: int | None, batch_size: int | None, shows_progress: bool | None) -> Batching:
        is_asked = logger.isEnabledFor(logging.INFO) if shows_progress is None else shows_progress
        return Batching(token_budget, batch_size, is_asked)

    def _encode_as(
        self,
        task: str,
        names: Sequence[str],
        inputs: str | Iterable[str] | None,
        prompt_name: str | None,
        prompt: str | None,
        arguments: dict[str, Any],
    ) -> Any:
        if prompt is None and prompt_name is None:
            # The empty prompt keeps the default one away: that is meant for texts which are neither.
            prompt = next((self.prompts[name] for name in names if self.prompts.get(name)), "")
        return self.encode(inputs, prompt_name, prompt, **({"task": task} | arguments))


def _tell(tally: Tally) -> None:
    if tally.cut:
        logger.warning('%s; long_texts="chunk" reads all of them, and return_report=True tells which', tally)


def _tensor(vectors: NDArray[Any], device: torch.device | str) -> torch.Tensor:
    with extra("torch", "encode that gives tensors"):
        import torch

    return torch.from_numpy(vectors).to(device)


def _finished(
    vectors: NDArray[np.float32], truncate_dim: int | None, normalize: bool, is_normalized: bool
) -> NDArray[np.float32]:
    if truncate_dim is not None and truncate_dim < vectors.shape[1]:
        vectors = np.ascontiguousarray(vectors[:, :truncate_dim])
        # A part of a unit vector is shorter than 1, and what follows may rely on unit length.
        normalize = normalize or is_normalized
    return normalize_embeddings(vectors) if normalize else vectors
