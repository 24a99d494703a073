"""The description of a reranker that is a language model: it scores a pair by which token it would write next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.checkpoint.chat_template import ChatTemplate, has_chat_template
from likewise.checkpoint.locate import Location
from likewise.checkpoint.other_settings import OtherSettings
from likewise.checkpoint.settings import ModuleEntry
from likewise.checkpoint.values import about, listed, shortened, whole_number
from likewise.checkpoint.write import Layout, ModuleFiles
from likewise.models.reading import transformer_arguments
from likewise.models.transformer import Transformer
from likewise.tokens import TokenBatch, TokenizerError, tokenize

LOGITS = "causal_logits"  # what the language model gives, in sentence_bert_config.json
OUTPUT = {"method": "forward", "method_output_name": "logits"}
NOT_RENDERED = ("padding", "truncation", "max_length", "return_tensors", "chat_template")  # what is no template's value
TAKEN = ("padding", "max_length")  # of what a tokenizer may be told; padding has no effect here
DEFAULT_TOKENS = ("yes", "no")  # of a language model that does not say which


class LogitScorer(Transformer):
    """A language model and its tokenizer: a pair of texts → the logit of one token, less that of another, as the next.

    A pair is rendered by the checkpoint's chat template where ``is_chat``, ``is_structured`` and ``arguments`` being
    those of ``ChatTemplate``; else its texts follow each other, with the tokenizer's special tokens. Of a chat that is
    too long the end is cut, but for what the template puts behind the texts, which ``restores_end``.
    """

    def __init__(
        self,
        folder: Path,
        true_token_id: int | None = None,
        false_token_id: int | None = None,
        *,
        is_chat: bool,
        is_structured: bool | None = None,
        arguments: Mapping[str, Any] | None = None,
        restores_end: bool = True,
        **named: Any,
    ):
        super().__init__(folder, **named)
        self.is_chat = is_chat
        self.restores_end = restores_end
        self._is_structured, self._arguments = is_structured, dict(arguments or {})
        if not isinstance(self.settings, OtherSettings):
            kind = shortened(self.settings.model_type)
            raise ValueError(f"{folder}: to score by the next token of the architecture {kind} is not supported")
        if true_token_id is None:
            true_token_id, false_token_id = map(self._id_of, DEFAULT_TOKENS)
        with about(folder):
            self.tokens = tuple(  # the true one and, unless the score is its logit alone, the false one
                whole_number(token, name, least=0, most=self.vocabulary - 1)
                for name, token in (("true_token_id", true_token_id), ("false_token_id", false_token_id))
                if name == "true_token_id" or token is not None
            )

    def __repr__(self) -> str:
        tokens = " or ".join(repr(self.tokenizer.id_to_token(token)) for token in self.tokens)
        return f"LogitScorer({self.settings.model_type}, {tokens})"

    def get_embedding_dimension(self) -> int:
        """The number of scores."""
        return 1

    @cached_property
    def template(self) -> ChatTemplate:
        """The chat template, where it ``is_chat``."""
        return ChatTemplate(self.tokenizer_folder, self.settings.model_type, self._is_structured, self._arguments)

    def tokenize_pairs(self, pairs: Sequence[Sequence[str]], instruction: str | None = None) -> TokenBatch:
        """The pairs as packed tokens, as the chat template shows them, cut to ``max_seq_length``."""
        tokens = self._tokenized(self.template.texts(pairs, instruction), self.max_seq_length)
        cut = np.flatnonzero(tokens.full_lengths >= self.max_seq_length)
        if len(cut) and self.restores_end:
            end = self._end(instruction)[-self.max_seq_length :]
            tokens.ids[tokens.offsets[cut + 1][:, None] - np.arange(len(end), 0, -1)] = end
        return tokens

    def files(self, weights: Mapping[str, NDArray[Any]], layout: Layout) -> ModuleFiles:
        """What the module's folder holds; ``weights`` have the checkpoint's names."""
        files = super().files({}, layout)
        modalities: dict[str, Any] = {"text": OUTPUT}
        if self.is_chat:
            modalities["message"] = OUTPUT | {"format": "structured" if self.template.is_structured else "flat"}
        settings: dict[str, Any] = {
            "transformer_task": "text-generation",
            "modality_config": modalities,
            "module_output_name": LOGITS,
        }
        arguments = self._arguments | ({} if self.restores_end else {"restore_suffix": False})
        if arguments:
            settings["processing_kwargs"] = {"chat_template": arguments}
        return replace(files, json={**files.json, "sentence_bert_config.json": settings}, arrays=weights)

    def _tokenized(self, texts: Sequence[str], limit: int | None = None) -> TokenBatch:
        with about(self.tokenizer_folder, TokenizerError):
            return tokenize(self.tokenizer, texts, limit, special=False, vocabulary=self.vocabulary)

    def _end(self, instruction: str | None) -> NDArray[np.int32]:
        """The tokens that every chat ends with: what chats of two unlike pairs have in common."""
        chats = self._tokenized(self.template.texts([("0", "0"), ("1 2 3 4", "1 2 3 4")], instruction))
        first, second = chats.ids[: chats.offsets[1]], chats.ids[chats.offsets[1] :]
        shorter = min(len(first), len(second))
        differs = np.flatnonzero(first[::-1][:shorter] != second[::-1][:shorter])
        return first[len(first) - differs[0] :] if len(differs) else first[:0]

    def _id_of(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(
                f"{self.tokenizer_folder} has no token {token!r}: a language model whose checkpoint does not say by "
                f"which tokens it scores pairs does so by {' and '.join(map(repr, DEFAULT_TOKENS))}"
            )
        return int(found)


def read_logit_scorer(
    encoder: ModuleEntry, scoring: ModuleEntry, origin: str, changes: Mapping[str, Any]
) -> LogitScorer:
    """The language model of a saved reranker: a Transformer and the LogitScore behind it; ``changes`` its config.json.

    Raises:
        ValueError: A setting is not right, or asks for what is not supported.
    """
    settings = encoder.settings
    task, output = settings.get("transformer_task"), settings.get("module_output_name", LOGITS)
    wanted = scoring.settings.get("module_input_name", LOGITS)
    if task != "text-generation" or output != LOGITS or wanted != LOGITS:
        raise ValueError(
            f"{encoder.folder}: LogitScore needs a Transformer whose transformer_task is 'text-generation' and gives "
            f"'{LOGITS}', not {shortened(task)}, {shortened(output)}, {shortened(wanted)}"
        )
    with about(encoder.folder):
        modalities = settings.get("modality_config", {"text": OUTPUT})
        asked = modalities.get("message", modalities.get("text")) if isinstance(modalities, dict) else None
        if not isinstance(asked, dict) or OUTPUT.items() - {k: asked.get(k) for k in OUTPUT}.items():
            raise ValueError(f"modality_config does not ask for the logits of a text: {shortened(modalities)}")
        chat, text = _processing(settings)
        arguments = transformer_arguments(encoder)
        limit = text.get("max_length", arguments["max_seq_length"])
        message_format = asked.get("format")
        scorer = LogitScorer(
            encoder.folder,
            whole_number(scoring.settings.get("true_token_id"), "true_token_id", least=0),
            scoring.settings.get("false_token_id"),
            is_chat="message" in modalities,
            is_structured=None if message_format is None else message_format == "structured",
            restores_end=bool(chat.pop("restore_suffix", True)),
            arguments=chat,
            **arguments | {"config_kwargs": {**arguments["config_kwargs"], **changes}, "max_seq_length": limit},
        )
    scorer.location = Location(encoder.folder, origin)
    return scorer


def plain_logit_scorer(folder: Path, origin: str, changes: Mapping[str, Any]) -> LogitScorer:
    """The language model in ``folder``, which says nothing of scoring: by its tokens "yes" and "no".

    Raises:
        ValueError: It has no such tokens.
    """
    scorer = LogitScorer(folder, is_chat=has_chat_template(folder), config_kwargs=changes)
    scorer.location = Location(folder, origin)
    return scorer


def _processing(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the checkpoint hands to its chat template, and to its tokenizer."""
    given = settings.get("processing_kwargs") or {}
    if not isinstance(given, dict) or not all(isinstance(part, dict) for part in given.values()):
        raise ValueError(f"processing_kwargs must be an object of objects, not {shortened(given)}")
    chat, text = dict(given.get("chat_template", {})), {**given.get("text", {}), **given.get("common", {})}
    unknown = [name for name in chat if name in NOT_RENDERED] + [name for name in text if name not in TAKEN]
    if unknown:
        raise ValueError(f"processing_kwargs holds {listed(unknown)}, which is not supported")
    return chat, text
