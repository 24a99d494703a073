"""The cross-encoder: both sentences at once, a score for the pair."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.arguments import (
    check_whole_numbers,
    only,
    refuse_pickles,
    refuse_unsupported,
    with_older_names,
)
from likewise.checkpoint.locate import locate
from likewise.checkpoint.model_card import Score, TrainingFacts
from likewise.checkpoint.model_settings import ModelSettings
from likewise.cross_encoder.activation import (
    activation_in_numpy,
    activation_of,
    named_activation,
    softmax,
    stored_activation,
)
from likewise.cross_encoder.pairs import PairTemplate, joined, pair_template, pairs_of
from likewise.cross_encoder.reading import read_cross_encoder
from likewise.cross_encoder.saving import save_cross_encoder, write_copy
from likewise.encoding.embed import Batching, embed_tokenized
from likewise.engine import dtype_name
from likewise.engine.live import LiveModel
from likewise.extras import extra
from likewise.model import Model
from likewise.saving import StoredForm
from likewise.tokens import LoneSurrogate, TokenBatch, each_of, texts_of

if TYPE_CHECKING:
    import torch

    from likewise.encoding.processes import ProcessPool

logger = logging.getLogger(__name__)

Pair = Sequence[str]

OLDER_NAMES = {
    "model_name": "model_name_or_path",
    "automodel_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "tokenizer_kwargs": "processor_kwargs",
    "config_args": "config_kwargs",
    "cache_dir": "cache_folder",
    "default_activation_function": "activation_fn",
}
OLDER_NAMES_IN_PREDICT = {"sentences": "inputs", "activation_fct": "activation_fn"}


class CrossEncoder(Model):
    """A model that reads two texts at once and scores them: how alike they are, whether one answers the other.

    ``model_name_or_path`` is a folder or a name on the Hugging Face Hub, a plain one among the models of
    "cross-encoder". An encoder without a classification head gets a new one with ``num_labels`` labels, by default 1.
    ``activation_fn`` makes scores of the last layer's numbers: by default what the checkpoint says, else the sigmoid
    for one label and nothing for several.

    Raises:
        FileNotFoundError: There is no such model, or a file of it is missing.
        ValueError: A file is damaged, or an argument asks for what is not supported; the message says what to do.
    """

    @with_older_names(OLDER_NAMES)
    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: Callable[[Any], Any] | None = None,
        device: str | torch.device | None = None,
        *,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        model_card_data: object = None,
        backend: str = "torch",
        dtype: str | torch.dtype = "auto",
        engine: Literal["auto", "native", "torch"] = "auto",
        threads: int | None = None,
        classifier_dropout: float | None = None,
    ):
        refuse_unsupported(trust_remote_code, None, model_card_data, backend, engine)
        chosen_dtype = dtype_name(only(model_kwargs, "model_kwargs", ("dtype", "torch_dtype")) or dtype)
        self.name = os.fspath(model_name_or_path)
        location = locate(self.name, cache_folder, revision, local_files_only, token, organisation="cross-encoder")
        changes = dict(config_kwargs or {})
        if classifier_dropout is not None:
            changes["classifier_dropout"] = classifier_dropout
        checkpoint = read_cross_encoder(location, num_labels, changes)
        self._chain = checkpoint.chain
        check_whole_numbers(threads=threads)
        routes = models.Routes({"": self._chain})
        live = LiveModel(routes, None if device is None else str(device), chosen_dtype, engine, threads)
        super().__init__(live, checkpoint.settings, prompts, default_prompt_name)
        limit = only(processor_kwargs, "processor_kwargs", ("model_max_length",))
        if (limit := max_length or limit) is not None:
            self.max_seq_length = limit
        self._activation_fn = activation_fn
        self._stored_activation = checkpoint.activation
        self._template: PairTemplate | None = None

    # Scoring

    @with_older_names(OLDER_NAMES_IN_PREDICT)
    def predict(
        self,
        inputs: Pair | Iterable[Pair] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Any], Any] | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | torch.device | Sequence[str | torch.device] | None = None,
        pool: ProcessPool | None = None,
        chunk_size: int | None = None,
        *,
        token_budget: int | None = None,
        num_workers: int = 0,
    ) -> Any:
        """Score one pair of texts, or each of an iterable of pairs, in their order.

        Several pairs give an array of float32, (pairs,) with one label and (pairs, labels) with several; one pair gives
        its row. ``convert_to_tensor=True`` gives a tensor on the model's device, ``convert_to_numpy=False`` a list of
        tensors. ``apply_softmax`` makes the scores of several labels sum to 1. ``prompt``, or the prompt called
        ``prompt_name``, is put before the first text of each pair.

        Pairs are sorted by their number of tokens and computed without padding in batches of at most ``token_budget``
        tokens, and of at most ``batch_size`` pairs where that is given; neither changes the scores. Of a pair over
        ``max_seq_length`` tokens the longer text loses its end; how many were cut is logged as a warning.

        A ``pool`` of processes computes chunks of ``chunk_size`` pairs at once; a list of devices as ``device`` starts
        one for this call. The scores are the same; tensors are then on the CPU.

        Raises:
            TypeError: What is no pair of texts; the message names its position.
            ValueError: An argument is not right, or a text cannot be written as UTF-8.
        """
        if num_workers:
            logger.warning("num_workers has no effect: texts are tokenised in parallel anyway")
        check_whole_numbers(batch_size=batch_size, token_budget=token_budget, chunk_size=chunk_size)
        in_processes = pool is not None or isinstance(device, list | tuple)
        if device is not None and not in_processes:
            self.to(cast(str, device))
        is_single, pairs = pairs_of(inputs)
        if show_progress_bar is None:
            show_progress_bar = logger.isEnabledFor(logging.INFO)
        prompt = self._resolved_prompt(prompt, prompt_name)
        if pairs and in_processes:
            settings = {"prompt": prompt, "batching": Batching(token_budget, batch_size, shows_progress=False)}
            progress = "Scoring" if show_progress_bar else None
            logits = np.empty((len(pairs), self.num_labels), dtype=np.float32)
            with self._workers(pool, device) as workers:
                for place, found in workers.computed(CrossEncoder._logits, pairs, settings, chunk_size, progress):
                    logits[place] = found
        else:
            logits = self._logits(pairs, prompt, Batching(token_budget, batch_size, show_progress_bar, "Scoring"))
        scores = self._scores(logits, activation_fn or self._activation_fn)
        if self.num_labels == 1:
            scores = scores.squeeze(-1)
        elif apply_softmax and len(pairs):
            scores = softmax(scores)
        rows: Any = scores if len(pairs) else np.empty(0, dtype=np.float32)
        if convert_to_tensor or not convert_to_numpy:
            with extra("torch", "predict that gives tensors"):
                import torch

            tensor = torch.from_numpy(scores)
            rows = tensor.to("cpu" if in_processes else self.device) if convert_to_tensor else list(tensor)
        return rows[0] if is_single else rows

    @with_older_names(OLDER_NAMES_IN_PREDICT)
    def rank(
        self,
        query: str | Iterable[str],
        documents: Iterable[str] | Iterable[Iterable[str]],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Any], Any] | None = None,
        device: str | torch.device | Sequence[str | torch.device] | None = None,
        pool: ProcessPool | None = None,
        chunk_size: int | None = None,
        *,
        token_budget: int | None = None,
    ) -> Any:
        """The ``documents`` that fit ``query`` best, best first: ``[{"corpus_id": 3, "score": 0.9}, …]``.

        At most ``top_k`` of them, with their "text" where ``return_documents`` is set. Several queries give a list for
        each; ``documents`` is then one list for all of them, or a list for each query.

        Raises:
            ValueError: The model has several labels, or there is not one list of documents for each query.
        """
        if self.num_labels != 1:
            raise ValueError(f"rank needs a model with one label, and this one has {self.num_labels}; use predict")
        queries = [query] if isinstance(query, str) else texts_of(query)
        given = [documents] if isinstance(documents, str) else list(each_of(documents))
        is_shared = isinstance(query, str) or not given or isinstance(given[0], str)
        lists = [texts_of(given)] * len(queries) if is_shared else [texts_of(of_query) for of_query in given]
        if len(lists) != len(queries):
            raise ValueError(f"there are {len(queries)} queries, but {len(lists)} lists of documents")
        if not queries:
            return []
        scores = self.predict(
            [(one, text) for one, texts in zip(queries, lists, strict=True) for text in texts],
            *(prompt_name, prompt, batch_size, show_progress_bar, activation_fn),
            device=device,
            pool=pool,
            chunk_size=chunk_size,
            token_budget=token_budget,
        )
        ends = np.cumsum([len(texts) for texts in lists])[:-1]
        ranked = [
            _ranked(texts, of_query, top_k, return_documents)
            for texts, of_query in zip(lists, np.split(scores, ends), strict=True)
        ]
        return ranked[0] if isinstance(query, str) else ranked

    def tokenize(self, inputs: Iterable[Pair], prompt: str | None = None) -> TokenBatch:
        """The pairs as packed tokens, cut to ``max_seq_length``; nothing is padded."""
        pairs = pairs_of(inputs)[1]
        if isinstance(self._source, models.LogitScorer) and self._source.is_chat:
            return self._source.tokenize_pairs(pairs, prompt)
        texts: dict[str, int] = {}  # each different text is tokenised once: a query stands before many documents
        sides = [
            np.array([texts.setdefault(text, len(texts)) for text in side], dtype=np.intp)
            for side in ([(prompt or "") + first for first, _ in pairs], [second for _, second in pairs])
        ]
        try:
            tokens = self.tokenize_texts(list(texts))
        except LoneSurrogate as error:
            raise error.at(
                int(np.flatnonzero((sides[0] == error.position) | (sides[1] == error.position))[0])
            ) from None
        return joined(tokens.take(sides[0]), tokens.take(sides[1]), self.pair_template, self.max_seq_length)

    def tokenize_texts(self, texts: Sequence[str]) -> TokenBatch:
        """The texts as packed tokens without special ones, for ``pairs.joined``; none longer than a pair can be."""
        return self._source.tokenize_parts(texts)

    # What it is

    @property
    def num_labels(self) -> int:
        """How many scores a pair gets."""
        return self._chain.dimension

    @property
    def is_language_model(self) -> bool:
        """Whether the score is that of the next token, as a language model gives it."""
        return isinstance(self._source, models.LogitScorer)

    @property
    def activation_fn(self) -> Callable[[Any], Any]:
        """What makes scores of the last layer's numbers: a torch module, or any function of a tensor."""
        return self._activation_fn or self._own_activation

    @activation_fn.setter
    def activation_fn(self, function: Callable[[Any], Any]) -> None:
        self._activation_fn = function

    default_activation_function = activation_fn  # the older name

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of the tokenizers library."""
        return self._source.tokenizer

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return self._source.config

    @property
    def max_seq_length(self) -> int:
        """The limit of a pair in tokens, special ones included."""
        return self._source.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        longest = self._source.settings.longest
        if not 1 <= limit <= longest:
            raise ValueError(f"max_length must be between 1 and {longest}, the positions of this model, not {limit}")
        self._source.max_seq_length = limit

    max_length = max_seq_length  # the older name

    @property
    def pair_template(self) -> PairTemplate:
        """The special tokens around two texts."""
        if self._template is None:
            self._template = pair_template(self.tokenizer, self._source.has_segments)
        return self._template

    def __repr__(self) -> str:
        activation = self._activation_fn or named_activation(self._stored_activation, self.num_labels)
        lines = [*map(repr, self._chain.modules), f"activation: {activation}", f"engine: {self._live!r}"]
        return "CrossEncoder(\n  " + "\n  ".join(lines) + "\n)"

    # Training

    def fit(self, train_dataloader: Any, *arguments: Any, **named: Any) -> None:
        """Train on a DataLoader of InputExample; the arguments are those of ``likewise.cross_encoder.fit``.

        For scripts that have it; CrossEncoderTrainer does the same and more.
        """
        from likewise.cross_encoder.fit import fit  # whoever calls this has torch

        fit(self, train_dataloader, *arguments, **named)

    # Saving

    def save_pretrained(
        self,
        path: str | os.PathLike[str],
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: Sequence[str] | None = None,
        safe_serialization: bool = True,
        *,
        dtype: str | None = None,
        calibration: Sequence[str] = (),
        packed: bool = False,
        training: TrainingFacts | None = None,
        scores: Sequence[Score] | None = None,
    ) -> None:
        """Write the model into the folder ``path``, whole or not at all, as every sentence-transformers reads it.

        Transformers reads it too, and so do inference servers. The arguments are those of
        ``SentenceTransformer.save_pretrained``.

        Raises:
            ValueError: There is no such dtype, the kernels do not compute a model that is to be stored for them,
                ``safe_serialization`` is off, or the activation is a function of your
                own, which no file can hold.
        """
        refuse_pickles(safe_serialization)
        settings = ModelSettings(
            self.prompts,
            self.default_prompt_name,
            model_type="CrossEncoder",
            activation_fn=stored_activation(self.activation_fn),
        )
        card = self._card(model_name, train_datasets, training, scores) if create_model_card else None
        form = StoredForm(dtype, calibration, packed)
        save_cross_encoder(self._chain, self._live, settings, path, form, card)

    save = save_pretrained

    # Inside

    def _write_copy(self, folder: Path, for_cpu: bool) -> None:
        write_copy(self._chain, self._live, folder, for_cpu)

    @cached_property
    def _own_activation(self) -> Callable[[Any], Any]:
        """What the checkpoint names, made when it is first wanted: that takes torch."""
        return activation_of(self._stored_activation, self.num_labels)

    def _scores(self, logits: NDArray[np.float32], activation_fn: Callable[[Any], Any] | None) -> NDArray[np.float32]:
        """(pairs, labels) → (pairs, labels), by a function of tensors or else by the checkpoint's activation."""
        in_numpy = None if activation_fn else activation_in_numpy(self._stored_activation, self.num_labels)
        if in_numpy is not None:
            with np.errstate(over="ignore"):  # a sigmoid of a very negative number is 0
                return np.asarray(in_numpy(logits), dtype=np.float32)
        with extra("torch", "an activation that is a torch module"):
            import torch

        scores: NDArray[np.float32] = (activation_fn or self._own_activation)(torch.from_numpy(logits)).detach().numpy()
        return scores

    @property
    def _source(self) -> models.Transformer:
        source = self._chain.source
        assert isinstance(source, models.Transformer)
        return source

    def _logits(self, pairs: Sequence[Pair], prompt: str | None, batching: Batching) -> NDArray[np.float32]:
        """The last layer's numbers, (pairs, labels)."""
        if not pairs:
            return np.empty((0, self.num_labels), dtype=np.float32)
        tokens = self.tokenize(pairs, prompt)
        if cut := int((tokens.full_lengths > tokens.lengths).sum()):
            logger.warning(
                "%d of %d pairs were longer than %d tokens and lost %d tokens in all",
                *(cut, len(pairs), self.max_seq_length, int((tokens.full_lengths - tokens.lengths).sum())),
            )
        return embed_tokenized(self.engine, tokens, self.num_labels, batching)


def _ranked(
    documents: Sequence[str], scores: NDArray[np.float32], top_k: int | None, has_text: bool
) -> list[dict[str, Any]]:
    order = np.argsort(-scores, kind="stable")[:top_k].tolist()
    return [
        {"corpus_id": place, "score": float(scores[place])} | ({"text": documents[place]} if has_text else {})
        for place in order
    ]
