"""The chat template of a language model: a query and a document → the text that the model continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from likewise.checkpoint.tokenizer import tokenizer_settings
from likewise.checkpoint.values import reason
from likewise.extras import extra

FILE = "chat_template.jinja"  # where Transformers 5 keeps it; before, it was a key of tokenizer_config.json
ROLES = ("query", "document")
# As sentence-transformers 6.2 tells: templates with these read a message's content as a list of parts, each of a type.
STRUCTURED = ("content[0]", ".type", "'type'", '"type"', "message.content[")
FLAT_TYPES = frozenset({"apertus", "deepseek_v3", "gpt_oss", "seed_oss"})  # and these do not, whatever they look like


class ChatTemplate:
    """The template in ``folder``, rendered by Transformers, in a sandbox, with ``arguments`` of the checkpoint.

    ``is_structured`` says how it reads a message's content; without it the template itself tells.

    Raises:
        ImportError: Transformers is not installed.
        ValueError: There is no template, or it does not show the model both texts of a pair.
    """

    def __init__(self, folder: Path, model_type: str, is_structured: bool | None, arguments: Mapping[str, Any]):
        self.folder = folder
        self.arguments = arguments
        with extra("transformers", f"The chat template of {folder}"):
            from transformers import AutoTokenizer
        try:
            self._renderer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # each tokenizer class fails in its own way
            raise ValueError(f"{folder} makes no tokenizer of Transformers: {reason(error)}") from error
        template = self._renderer.chat_template
        if not template:
            raise ValueError(f"{folder} is to be asked by a chat template, but has none; put it into {FILE} there")
        if is_structured is None:
            is_structured = model_type not in FLAT_TYPES and (
                not isinstance(template, str) or any(pattern in template for pattern in STRUCTURED)
            )
        self.is_structured = is_structured
        plain, *changed = self.texts([("tea", "rain"), ("kettle", "rain"), ("tea", "river")])
        if lost := [role for role, text in zip(ROLES, changed, strict=True) if text == plain]:
            raise ValueError(
                f"the chat template of {folder} leaves out messages of the role {' and '.join(map(repr, lost))}; give "
                f"the model one that shows both, 'query' and 'document', in {FILE}"
            )

    def texts(self, pairs: Sequence[Sequence[str]], instruction: str | None = None) -> list[str]:
        """What the model reads of each query and document; ``instruction`` is a system message before them.

        Raises:
            ValueError: The template fails, or refuses such messages.
        """
        before = [("system", instruction)] if instruction else []
        chats = [
            [{"role": role, "content": self._content(text)} for role, text in (*before, *zip(ROLES, pair, strict=True))]
            for pair in pairs
        ]
        try:
            rendered: list[str] = self._renderer.apply_chat_template(chats, tokenize=False, **self.arguments)
        except Exception as error:  # a template may raise anything
            roles = ", ".join([*(role for role, _ in before), *ROLES])
            raise ValueError(
                f"the chat template of {self.folder} takes no messages of the roles {roles}: {reason(error)}; put one "
                f"that does into {FILE}"
            ) from error
        return rendered

    def _content(self, text: str) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": text}] if self.is_structured else text


def has_chat_template(folder: Path) -> bool:
    """Whether a chat template lies in ``folder``."""
    return (folder / FILE).is_file() or bool(tokenizer_settings(folder).get("chat_template"))
