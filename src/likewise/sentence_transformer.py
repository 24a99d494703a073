"""The bi-encoder: sentences in, vectors out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from likewise import models
from likewise.arguments import (
    check_encode_arguments,
    check_whole_numbers,
    only,
    refuse_others,
    refuse_pickles,
    refuse_unsupported,
    without_task,
)
from likewise.checkpoint.locate import locate
from likewise.checkpoint.model_card import Score, TrainingFacts
from likewise.checkpoint.model_settings import ModelSettings, read_model_settings
from likewise.checkpoint.settings import read_checkpoint
from likewise.checkpoint.values import about, shortened
from likewise.checkpoint.write import Layout
from likewise.description import ModelDescription, describe
from likewise.encoding.embed import Batching, embed, embed_tokens
from likewise.engine import dtype_name
from likewise.engine.live import LiveModel
from likewise.extras import extra
from likewise.model import Model
from likewise.models.reading import read_modules
from likewise.saving import StoredForm, fingerprint_of, save_model
from likewise.similarity import SimilarityFunction, normalize_embeddings
from likewise.tokens import TokenBatch, texts_of

if TYPE_CHECKING:
    import torch


logger = logging.getLogger(__name__)

QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # what encode_document looks for, in this order


class SentenceTransformer(Model):
    """A sentence embedding model.

    ``model_name_or_path`` is a folder or a name on the Hugging Face Hub; or ``modules`` puts a model together. The
    weights are computed in ``dtype``: "auto" is bfloat16 where the hardware multiplies it and float32 elsewhere.

    Raises:
        FileNotFoundError: There is no such model, or a file of it is missing.
        ValueError: A file is damaged, or an argument asks for what is not supported; the message says what to do.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        modules: Sequence[models.Module] | None = None,
        device: str | torch.device | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        use_auth_token: bool | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        model_card_data: object = None,
        backend: str = "torch",
        similarity_fn_name: str | SimilarityFunction | None = None,
        truncate_dim: int | None = None,
        dtype: str | torch.dtype = "auto",
        engine: Literal["auto", "native", "torch"] = "auto",
        threads: int | None = None,
    ):
        refuse_unsupported(trust_remote_code, config_kwargs, model_card_data, backend, engine)
        chosen_dtype = dtype_name(only(model_kwargs, "model_kwargs", ("dtype", "torch_dtype")) or dtype)
        if modules is not None and model_name_or_path is not None:
            raise ValueError("give a model's name or folder, or modules=, not both: modules= puts a new model together")
        if modules is not None:
            self._modules, settings, self._layout = list(modules), ModelSettings(), "none"
            self._routes = models.routes_of(self._modules)
            self.name = " + ".join(type(module).__name__ for module in modules)
        elif model_name_or_path is not None:
            self.name = os.fspath(model_name_or_path)
            credentials = token if token is not None else use_auth_token
            location = locate(self.name, cache_folder, revision, local_files_only, credentials)
            settings = read_model_settings(location.folder)
            is_other = settings.model_type != "SentenceTransformer"
            checkpoint = read_checkpoint(location.folder)
            self._modules = read_modules(checkpoint, location.origin, encoder_only=is_other)
            with about(location.folder):
                self._routes = models.routes_of(self._modules)
            self._layout = checkpoint.layout
        else:
            raise ValueError("give a model's name or folder, or modules=[models.Transformer(…), models.Pooling(…)]")
        check_whole_numbers(threads=threads)
        self._fingerprints: dict[str, str] = {}  # by the modules' settings
        live = LiveModel(self._routes, None if device is None else str(device), chosen_dtype, engine, threads)
        super().__init__(live, settings, prompts, default_prompt_name)
        self.similarity_fn_name = similarity_fn_name or settings.similarity_fn_name or SimilarityFunction.COSINE
        self.truncate_dim = truncate_dim if truncate_dim is not None else settings.truncate_dim
        limit = only(processor_kwargs or tokenizer_kwargs, "processor_kwargs", ("model_max_length",))
        if limit is not None:
            self.max_seq_length = limit

    # Encoding

    def encode(
        self,
        inputs: str | Iterable[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: Literal["sentence_embedding", "token_embeddings"] = "sentence_embedding",
        precision: Literal["float32"] = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | torch.device | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: None = None,
        chunk_size: None = None,
        *,
        task: str | None = None,
        token_budget: int | None = None,
        deterministic: bool = False,
        sentences: str | Iterable[str] | None = None,
        **others: Any,
    ) -> Any:
        """Embed one text, or each of an iterable of texts, in their order.

        One text gives a vector (dim,), several an array (texts, dim) of float32, none an empty array (0,).
        ``convert_to_tensor=True`` gives a tensor on the model's device, ``convert_to_numpy=False`` a list of tensors.
        ``output_value="token_embeddings"`` gives, for each text, its token vectors (tokens, hidden) before the pooling.

        Texts are sorted by their number of tokens and computed without padding in batches of at most ``token_budget``
        tokens, by default as many as suit the engine, and of at most ``batch_size`` texts where that is given; neither
        changes the vectors beyond the last bits, and with ``deterministic=True`` no bit of them. ``prompt``, or the
        prompt called ``prompt_name``, is put before each text. ``task`` chooses the route of a model that has a
        Router; texts may then also come as ``{task: text}``.

        Raises:
            TypeError: A text is no string, or an argument is not known.
            ValueError: An argument is not right, or a text cannot be written as UTF-8.
        """
        refuse_others(others)
        if inputs is not None and sentences is not None:
            raise TypeError("give the texts once: sentences is the older name of inputs")
        inputs = inputs if sentences is None else sentences
        if inputs is None:
            raise TypeError("encode needs a text or an iterable of texts, but got None")
        truncate_dim = self.truncate_dim if truncate_dim is None else truncate_dim
        check_encode_arguments(
            batch_size, token_budget, truncate_dim, prompt, output_value, precision, pool, chunk_size, device
        )
        if device is not None:
            self.to(device)
        has_routes = self._routes.router is not None
        is_single = isinstance(inputs, str) or (has_routes and isinstance(inputs, Mapping))
        given = [inputs] if is_single else inputs
        if has_routes:
            given, task = without_task(given, task)
        texts = texts_of(given)
        route = self._routes.name(task)
        chain, engine = self._routes.chains[route], self._live.engine(route)
        token_budget = engine.token_budget if token_budget is None else token_budget
        engine = engine.deterministic() if deterministic else engine
        prompt = self._resolved_prompt(prompt, prompt_name)
        if show_progress_bar is None:
            show_progress_bar = logger.isEnabledFor(logging.INFO)
        batching = Batching(token_budget, batch_size, show_progress_bar)
        if output_value == "token_embeddings":
            tokens: list[Any] = embed_tokens(chain, engine, texts, prompt, batching)
            if convert_to_tensor:
                with extra("torch", "convert_to_tensor"):
                    import torch

                tokens = [torch.from_numpy(vectors).to(self.device) for vectors in tokens]
            return tokens[0] if is_single else tokens
        vectors = np.empty(0, dtype=np.float32)
        if texts:
            vectors = embed(chain, engine, texts, prompt, batching)
            vectors = _finished(vectors, truncate_dim, normalize_embeddings, chain.is_normalized)
        if convert_to_tensor or not convert_to_numpy:
            with extra("torch", "encode that gives tensors"):
                import torch

            tensor = torch.from_numpy(vectors).to(self.device if convert_to_tensor else "cpu")
            rows = tensor if convert_to_tensor else list(tensor)
            return rows[0] if is_single else rows
        return vectors[0] if is_single else vectors

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

    def tokenize(self, texts: Iterable[str]) -> TokenBatch:
        """The texts as packed tokens, cut to ``max_seq_length``; nothing is padded."""
        return self._routes.first.source.tokenize(texts_of(texts))

    # Comparing

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The similarity of all pairs: (n, dim) × (m, dim) → (n, m); arrays for arrays, tensors for tensors."""
        return SimilarityFunction.to_similarity_fn(self.similarity_fn_name)(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The similarity of each pair: (n, dim) × (n, dim) → (n,); arrays for arrays, tensors for tensors."""
        return SimilarityFunction.to_similarity_pairwise_fn(self.similarity_fn_name)(embeddings1, embeddings2)

    # What it is

    @property
    def similarity_fn_name(self) -> str:
        """The function that ``similarity`` uses: "cosine", "dot", "euclidean" or "manhattan"."""
        return self._similarity_fn_name

    @similarity_fn_name.setter
    def similarity_fn_name(self, name: str | SimilarityFunction) -> None:
        try:
            self._similarity_fn_name = SimilarityFunction(name).value
        except ValueError:
            known = ", ".join(SimilarityFunction.possible_values())
            raise ValueError(f"similarity_fn_name {shortened(name)} is not known; use one of {known}") from None

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, mostly of the tokenizers library; with a Router, the default route's."""
        return self._routes.first.source.tokenizer

    @property
    def max_seq_length(self) -> int | float:
        """The limit in tokens, special ones included; a longer text loses its end. Infinite without a limit."""
        return max(chain.source.max_seq_length for chain in self._routes.chains.values())

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        for chain in self._routes.chains.values():
            source = chain.source
            if isinstance(source, models.Transformer):
                longest = source.settings.longest
                if not 1 <= limit <= longest:
                    raise ValueError(
                        f"max_seq_length must be between 1 and {longest}, the positions of this model, not {limit}"
                    )
            if isinstance(source, models.Transformer | models.WordEmbeddings):
                source.max_seq_length = limit

    def get_max_seq_length(self) -> int | float:
        """``max_seq_length``, by its older name."""
        return self.max_seq_length

    def get_embedding_dimension(self) -> int:
        """The width of the vectors that ``encode`` gives."""
        dimension = self._routes.first.dimension
        return min(dimension, self.truncate_dim or dimension)

    get_sentence_embedding_dimension = get_embedding_dimension

    @contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Within this context, ``encode`` gives the first ``truncate_dim`` dimensions."""
        before, self.truncate_dim = self.truncate_dim, truncate_dim
        try:
            yield
        finally:
            self.truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings

    @property
    def description(self) -> ModelDescription:
        """What the model is, where it came from and what computes it."""
        return describe(
            self._modules,
            self._live,
            name=self.name,
            dimension=self.get_embedding_dimension(),
            prompts=self.prompts,
            default_prompt_name=self.default_prompt_name,
            similarity=self.similarity_fn_name,
            layout=self._layout,
        )

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

    def __repr__(self) -> str:
        lines = [repr(module) for module in self._modules] + [f"engine: {self._live!r}"]
        return "SentenceTransformer(\n  " + "\n  ".join(lines) + "\n)"

    # Who computes, beside what every model has

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Say whether the poolings count the prompt's tokens."""
        for chain in self._routes.chains.values():
            if chain.pooling is not None:
                chain.pooling.include_prompt = include_prompt

    # Training and evaluating

    def fit(self, train_objectives: Sequence[tuple[Any, Any]], *arguments: Any, **named: Any) -> None:
        """Train on each ``(DataLoader of InputExample, loss)``; the arguments are those of ``likewise.training.fit``.

        For scripts that have it; SentenceTransformerTrainer does the same and more.
        """
        from likewise.training.fit import fit  # the one import of a room below: whoever calls this has torch

        fit(self, train_objectives, *arguments, **named)

    # Saving

    def save_pretrained(
        self,
        path: str | os.PathLike[str],
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: Sequence[str] | None = None,
        safe_serialization: bool = True,
        *,
        layout: Layout = "legacy",
        dtype: str | None = None,
        calibration: Sequence[str] = (),
        packed: bool = False,
        training: TrainingFacts | None = None,
        scores: Sequence[Score] | None = None,
    ) -> None:
        """Write the model into the folder ``path``, whole or not at all.

        The "legacy" layout is the one that sentence-transformers 3.4 to 6.x and the inference servers read; "6" is what
        sentence-transformers writes since 5.4, which its older versions cannot read. Weights are stored in ``dtype``
        ("float32", "float16", "bfloat16"); without it as the checkpoint has them, or in float32 once the network is the
        model. What ``path`` held before is replaced; other files there stay.

        ``dtype="int8"`` stores them as without it and puts beside them what the texts of ``calibration``, or texts that
        ship with the package, make of the model: loaded again, it is computed in int8 by default. ``packed`` also keeps
        the weights as the native engine reads them on machines like this one, which all processes then share in memory.

        The model card, README.md, calls the model ``model_name`` and tells what it was trained on (``training``, or the
        names ``train_datasets``) and its ``scores``; after a run, by default, the trainer's. One that somebody has
        written stays.

        Raises:
            ValueError: There is no such layout or dtype, the kernels do not compute a model that is to be stored for
                them, or ``safe_serialization`` is off.
        """
        refuse_pickles(safe_serialization)
        settings = ModelSettings(self.prompts, self.default_prompt_name, self.similarity_fn_name, self.truncate_dim)
        card = self._card(model_name, train_datasets, training, scores) if create_model_card else None
        form = StoredForm(dtype, calibration, packed)
        save_model(self._modules, self._live, settings, path, layout, form, card)

    save = save_pretrained

    # Inside

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


def _finished(
    vectors: NDArray[np.float32], truncate_dim: int | None, normalize: bool, is_normalized: bool
) -> NDArray[np.float32]:
    if truncate_dim is not None and truncate_dim < vectors.shape[1]:
        vectors = np.ascontiguousarray(vectors[:, :truncate_dim])
        # A part of a unit vector is shorter than 1, and what follows may rely on unit length.
        normalize = normalize or is_normalized
    return normalize_embeddings(vectors) if normalize else vectors
