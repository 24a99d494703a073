"""Every architecture that has no module of its own here, computed by Hugging Face Transformers.

Packed tokens come in and one vector per token goes out, as with the library's own encoders, in one of three ways:
- packed, where Transformers lets us compute the attention ourselves, text by text (PACKED);
- padded, where padding is known to change no result (PADDED);
- texts of one length at a time, for any other architecture: this is right whatever it does with padding.
"""

import copy
import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.checkpoint.arrays import NamedArrays
from likewise.checkpoint.classification import is_classifier
from likewise.checkpoint.other_settings import OtherSettings
from likewise.checkpoint.values import about, shortened
from likewise.extras import extra
from likewise.network.packed import PackedTokens, Runs, on_device, rows_of
from likewise.network.registered_attention import NAME, attention_by_text
from likewise.tokens import offsets_of

logger = logging.getLogger(__name__)

# "model_type" in config.json; each of these is held to Transformers' own result by tests/network/test_transformers.py.
PACKED = frozenset(
    {"eurobert", "gemma", "gemma2", "gemma3_text", "granite", "llama", "mistral", "olmo", "olmo2", "phi", "phi3"}
    | {"qwen2", "qwen3", "smollm3", "starcoder2"}
)
PADDED = frozenset(
    {"albert", "bart", "data2vec-text", "deberta", "deberta-v2", "gpt2", "gpt_neox", "longt5", "marian", "mt5", "opt"}
    | {"roformer", "t5", "t5gemma", "umt5", "xlm", "xlnet"}
)

# The heads of these take the first token's vector, which padding does not move; those of others may take the last.
READS_FIRST_TOKEN = frozenset({"albert", "data2vec-text", "deberta", "deberta-v2", "roformer"})

# A padded batch is cut where padding would add more than this share of its tokens: another pass then costs less.
MOST_PADDING = 1 / 8

# Under autocast these put values of one precision into an array of another, which torch refuses: DeBERTa the mask of
# its scores, the others what their adapters or experts give.
FLOAT32_ONLY = frozenset({"deberta", "switch_transformers", "xmod"})

# Of these encoder-decoders only the encoder is computed: "model_type" → (module of Transformers, class).
ENCODER_ONLY: dict[str, tuple[str, str]] = {
    "blenderbot": ("blenderbot", "BlenderbotEncoder"),
    "blenderbot-small": ("blenderbot_small", "BlenderbotSmallEncoder"),
    "longt5": ("longt5", "LongT5EncoderModel"),
    "m2m_100": ("m2m_100", "M2M100Encoder"),
    "marian": ("marian", "MarianEncoder"),
    "mt5": ("mt5", "MT5EncoderModel"),
    "pegasus": ("pegasus", "PegasusEncoder"),
    "pegasus_x": ("pegasus_x", "PegasusXEncoder"),
    "prophetnet": ("prophetnet", "ProphetNetEncoder"),
    "switch_transformers": ("switch_transformers", "SwitchTransformersEncoderModel"),
    "t5": ("t5", "T5EncoderModel"),
    "t5gemma": ("t5gemma", "T5GemmaEncoderModel"),
    "umt5": ("umt5", "UMT5EncoderModel"),
}

# Keys of config.json that count parts of the model …
COUNTS = re.compile("(num|n)_.*(layer|group|block|expert)|layers$|group_num$|depth$")
SIZES = re.compile("(size|dim|width|inner|ff|d_model|embd)$")  # … and those that are lengths of its arrays

# Some configurations make Transformers change a module while it computes; then one thread at a time computes.
_ALONE = RLock()


ONE_TOKEN = PackedTokens(torch.tensor([1], dtype=torch.int32), torch.tensor([0, 1], dtype=torch.int32), [(1, 1)])
NOTHING = PackedTokens(
    torch.empty(0, dtype=torch.int32), torch.zeros(2, dtype=torch.int32), [(1, 0)]
)  # one text, empty


class TransformersEncoder(nn.Module):
    """Packed tokens → one vector per token, by a model of Transformers."""

    def __init__(self, settings: OtherSettings, backbone: nn.Module):
        super().__init__()
        self.settings = settings
        self.backbone: Any = backbone
        self.accepted = frozenset(inspect.signature(backbone.forward).parameters)
        self.changes_itself = changes_itself(backbone.config)
        self.float32_only = settings.model_type in FLOAT32_ONLY

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden), float32."""
        with _ALONE if self.changes_itself else nullcontext():
            return self._states(tokens, all_layers=False)[0]

    def all_layers(self, tokens: PackedTokens) -> list[Tensor]:
        """(tokens,) → (layers + 1) times (tokens, hidden), float32: the embeddings and what each layer gives."""
        with _ALONE:  # Transformers 4 replaces the forward of each layer to collect what it gives
            return self._states(tokens, all_layers=True)

    @staticmethod
    def parted(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """This module's arrays → named arrays, as they are stored."""
        return {name.removeprefix("backbone."): array for name, array in arrays.items()}

    def _states(self, tokens: PackedTokens, all_layers: bool) -> list[Tensor]:
        if not len(tokens.ids):  # its shapes are those of any text
            one = torch.full((1,), self.settings.padding_id, dtype=torch.int32, device=tokens.ids.device)
            text = PackedTokens(one, torch.tensor([0, 1], dtype=torch.int32, device=one.device), [(1, 1)])
            return [states[:0] for states in self._states(text, all_layers)]
        runs = runs_of(tokens)
        if self.backbone.config._attn_implementation == NAME:
            return self._packed(tokens, runs, all_layers)
        most_padding = MOST_PADDING if self.settings.model_type in PADDED else 0
        states = [
            [states.flatten(0, 1)[places] for states in self._computed(inputs, all_layers)]
            for inputs, places in self._rows(tokens, runs, most_padding)
        ]
        return [torch.cat(layer) for layer in zip(*states, strict=True)]

    def _packed(self, tokens: PackedTokens, runs: Runs, all_layers: bool) -> list[Tensor]:
        """All texts as one row, which the attention alone takes apart."""
        inputs = {"input_ids": tokens.ids.long()[None], "position_ids": tokens.places().long()[None]}
        packed = {"packed_runs": runs, "packed_offsets": tokens.offsets}
        return [states[0] for states in self._computed(inputs | packed, all_layers)]

    def _rows(
        self, tokens: PackedTokens, runs: Runs, most_padding: float
    ) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Batches with each text as a row: what Transformers is given, and the place of each token in them.

        Padding adds at most ``most_padding`` of a batch's tokens.
        """
        segments = self._segments(tokens)
        start = 0
        for batch in batches(runs, most_padding):
            part = slice(start, start + sum(texts * length for texts, length in batch))
            yield self._padded(tokens.ids[part], None if segments is None else segments[part], batch)
            start = part.stop

    def _padded(self, ids: Tensor, segments: Tensor | None, runs: Runs) -> tuple[dict[str, Tensor], Tensor]:
        """``ids`` and ``segments`` (tokens,)."""
        lengths = np.array([length for texts, length in runs for _ in range(texts)], dtype=np.int32)
        rows = rows_of(on_device(offsets_of(lengths), ids.device), int(lengths.max()), len(ids))
        # A mask of ones too: without one, some architectures take each padding token spelt out in a text for padding.
        mask = rows.is_token

        def padded(values: Tensor, filler: int) -> Tensor:  # (tokens,) → (texts, longest)
            return values.long()[rows.sources].view(mask.shape).masked_fill(~mask, filler)

        inputs = {"input_ids": padded(ids, self.settings.padding_id)}
        if "attention_mask" in self.accepted:
            inputs["attention_mask"] = mask.long()
        if segments is not None and "token_type_ids" in self.accepted:
            inputs["token_type_ids"] = padded(segments, 0)
        return inputs, rows.places

    def _computed(self, inputs: dict[str, Any], all_layers: bool) -> list[Tensor]:
        outputs = self._outputs(inputs, output_hidden_states=all_layers)
        if not all_layers:
            return [outputs.last_hidden_state.float()]
        states = getattr(outputs, "decoder_hidden_states", None) or outputs.hidden_states
        return [layer.float() for layer in states]

    def _outputs(self, inputs: Mapping[str, Any], **options: Any) -> Any:
        """What the model of Transformers gives."""
        kind = inputs["input_ids"].device.type
        with torch.autocast(kind, enabled=False) if self.float32_only else nullcontext():
            return self.backbone(**inputs, return_dict=True, **options)

    def _segments(self, tokens: PackedTokens) -> Tensor | None:
        """(tokens,): XLNet's tokenizer puts the last token of each text, <cls>, into a segment of its own, 2."""
        if tokens.segments is not None or self.settings.model_type != "xlnet":
            return tokens.segments
        is_last = tokens.places() == tokens.of_each_token(tokens.lengths) - 1
        return is_last.to(tokens.ids.dtype) * 2


class TransformersClassifier(TransformersEncoder):
    """Packed tokens of pairs → a score for each label, by a model of Transformers with its own head."""

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (pairs, labels), float32."""
        most_padding = MOST_PADDING if self.settings.model_type in READS_FIRST_TOKEN else 0
        rows = self._rows(tokens, runs_of(tokens), most_padding)
        return torch.cat([self._outputs(inputs).logits.float() for inputs, _ in rows])


def runs_of(tokens: PackedTokens) -> Runs:
    """How many neighbouring texts are of one length, and which; without texts that have no tokens."""
    return [(texts, length) for texts, length in tokens.runs if length]


def batches(runs: Runs, most_padding: float) -> Iterator[Runs]:
    """Cut ``runs`` into batches to which padding adds at most ``most_padding`` of their tokens: none, where it is 0."""
    batch: list[tuple[int, int]] = []
    rows = tokens = longest = 0  # of the batch with the run at hand
    for texts, length in runs:
        rows, tokens, longest = rows + texts, tokens + texts * length, max(longest, length)
        if batch and rows * longest > (1 + most_padding) * tokens:
            yield batch
            batch, rows, tokens, longest = [], texts, texts * length, length
        batch.append((texts, length))
    yield batch


def changes_itself(config: Any) -> bool:
    """Whether the module keeps other position frequencies once it has seen a long text (LongRoPE, Ding et al. 2024)."""
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    return "longrope" in str(rope)


def read_encoder(
    settings: OtherSettings, arrays: NamedArrays, config: Mapping[str, Any], labels: int | None = None
) -> TransformersEncoder:
    """The encoder that ``config``, its config.json, describes, with the weights ``arrays``, in float32.

    With ``labels`` it has a head that gives so many scores; one that the checkpoint lacks is drawn anew. No code of the
    checkpoint is run, and nothing is fetched.

    Raises:
        ImportError: Transformers is not installed.
        ValueError: Transformers does not know the architecture, or weights are missing or of other shapes.
    """
    if labels is None:
        backbone, report = read_backbone(settings, arrays, config, _model_class)
        check_weights(report, str(arrays.origin))
        encoder = TransformersEncoder(settings, backbone)
        check_computes(encoder, NOTHING, arrays.origin)
    else:
        changes = {"num_labels": labels, "pad_token_id": settings.padding_id}
        backbone, report = read_backbone(settings, arrays, config, _classifier_class, changes, is_packed=False)
        _check_classifier(report, arrays.origin, backbone, is_classifier(config))
        encoder = TransformersClassifier(settings, backbone)
        check_computes(encoder, ONE_TOKEN, arrays.origin)
    return encoder


def read_backbone(
    settings: OtherSettings,
    arrays: NamedArrays,
    config: Mapping[str, Any],
    class_of: Callable[[Any], Any],
    changes: Mapping[str, Any] | None = None,
    is_packed: bool = True,
) -> tuple[Any, Mapping[str, Any]]:
    """The model of Transformers whose class ``class_of`` tells, and the report on what its weights lack.

    ``changes`` takes the place of entries of its configuration. ``is_packed`` lets us compute its attention, where that
    is possible.

    Raises:
        ImportError: Transformers is not installed.
        ValueError: It does not know the architecture, or cannot make it.
    """
    model_type, config_file = settings.model_type, arrays.origin.parent / "config.json"
    with extra("transformers", f"The architecture {shortened(model_type)}"):
        import transformers
    if model_type not in transformers.CONFIG_MAPPING:
        own = " but by code of its own, which is never run" if "auto_map" in config else ""
        raise ValueError(
            f"{config_file}: the architecture {shortened(model_type)} is not computed here nor by Transformers "
            f"{transformers.__version__}{own}; a newer Transformers may know it"
        )
    with about(arrays.origin):
        _check_sizes(config, arrays)
    with silent():
        try:
            described = transformers.CONFIG_MAPPING[model_type].from_dict(dict(config))
            described.use_cache = False
            for name, value in (changes or {}).items():
                setattr(described, name, value)
            model_class = class_of(described)
        except Exception as error:  # each configuration class checks in its own way
            raise ValueError(f"{config_file} describes no {model_type}: {_line(error)}") from error
        is_encoder = class_of is _model_class
        if model_type in ENCODER_ONLY and is_encoder:
            described.is_encoder_decoder = False
        with about(arrays.origin):
            _check_total(described, model_class, arrays)
        packed = is_packed and model_type in PACKED and not changes_itself(described)
        if packed:
            transformers.AttentionInterface.register(NAME, attention_by_text)
        try:
            return model_class.from_pretrained(
                None,
                config=described,
                state_dict=_state(model_type if is_encoder else "", arrays, model_class),
                dtype=torch.float32,
                # Transformers 4 leaves T5Gemma's softcap out of its quick attention.
                attn_implementation=NAME if packed else "eager" if model_type == "t5gemma" else None,
                ignore_mismatched_sizes=True,  # then the report names them
                output_loading_info=True,
                local_files_only=True,
            )
        except Exception as error:
            raise ValueError(f"{arrays.origin} with its config.json makes no {model_type}: {_line(error)}") from error


def check_computes(encoder: TransformersEncoder, tokens: PackedTokens, origin: Path) -> None:
    """Raise ValueError where ``encoder``, whose weights lie in ``origin``, fails on ``tokens``."""
    try:
        with torch.no_grad():
            encoder(tokens)
    except Exception as error:  # a number of heads that does not divide the width, an activation that is none, …
        raise ValueError(
            f"{origin.parent / 'config.json'} describes a {encoder.settings.model_type} that computes nothing: "
            f"{_line(error)}"
        ) from error


def _check_sizes(config: Mapping[str, Any], arrays: NamedArrays) -> None:
    """Refuse a ``config`` whose model would be far larger than ``arrays``, before Transformers builds it."""
    widest = max((length for name in arrays for length in arrays.stored(name)[0].shape), default=0)
    inner = [part for part in config.values() if isinstance(part, Mapping)]  # T5Gemma's describes its encoder
    for key, value in (pair for part in (config, *inner) for pair in part.items()):
        # Mostly a layer or expert has an array of its own; those that share one, as ALBERT's layers do, are few.
        most = 8 * widest if SIZES.search(key) else max(len(arrays), 512) if COUNTS.search(key) else None
        if most is not None and isinstance(value, int) and value > most:
            raise ValueError(f"config.json means {key}={shortened(value)}, but the arrays are those of a smaller model")


def _check_total(config: Any, model_class: Any, arrays: NamedArrays) -> None:
    """Refuse a model much larger than ``arrays``, before Transformers fills the memory with what they lack."""
    try:
        with torch.device("meta"):
            model = model_class(copy.deepcopy(config))
    except Exception:  # loading it fails too and tells why, or makes it in another way
        return
    needed = sum(parameter.numel() for parameter in model.parameters())
    found = sum(arrays.size(name) for name in arrays)
    if needed > 2 * found:
        raise ValueError(f"config.json means a model of {needed:,} numbers, but the arrays hold {found:,}")


def _model_class(config: Any) -> Any:
    """The class of Transformers that computes token vectors from ``config``."""
    import transformers

    if config.model_type in ENCODER_ONLY:
        module, name = ENCODER_ONLY[config.model_type]
        return getattr(import_module(f"transformers.models.{module}.modeling_{module}"), name)
    found = transformers.MODEL_MAPPING[type(config)]
    return found[0] if isinstance(found, list | tuple) else found


def _classifier_class(config: Any) -> Any:
    """The class of Transformers that scores texts."""
    import transformers

    return transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]


def _encoder_arrays(model_type: str, arrays: Mapping[str, NDArray[Any]], model_class: Any) -> dict[str, NDArray[Any]]:
    """The arrays without those of a decoder; where the class is an encoder alone, under the names that it has."""
    if model_type not in ENCODER_ONLY:
        return dict(arrays)
    kept = {name: array for name, array in arrays.items() if "decoder" not in name.split(".")}
    if model_class.__name__.endswith("EncoderModel"):
        return kept
    inside = {name.split("encoder.", 1)[1]: array for name, array in kept.items() if "encoder." in name}
    if not inside:  # saved as an encoder alone
        return kept
    embeddings = next((name for name in kept if name.endswith(("shared.weight", "word_embeddings.weight"))), None)
    if embeddings is not None:  # the encoder and the decoder share them
        own = "word_embeddings.weight" if "word_embeddings" in embeddings else "embed_tokens.weight"
        inside.setdefault(own, kept[embeddings])
    return inside


def _state(model_type: str, arrays: NamedArrays, model_class: Any) -> dict[str, Tensor]:
    chosen = _encoder_arrays(model_type, arrays, model_class)
    return {name: torch.from_numpy(np.require(array, requirements="W")) for name, array in chosen.items()}


def check_weights(report: Mapping[str, Any], origin: str) -> None:
    """Raise ValueError where Transformers' ``report`` tells that weights are missing or of other shapes."""
    if mismatched := sorted(report["mismatched_keys"]):
        if isinstance(mismatched[0], str):  # Transformers 4 tells the name only
            raise ValueError(f"{origin}: the array {mismatched[0]} has another shape than config.json means")
        name, stored, expected = mismatched[0]
        raise ValueError(
            f"{origin}: the array {name} has the shape {tuple(stored)}, but config.json means {tuple(expected)}"
        )
    # The pooler computes what no sentence embedding uses, and sentence-transformers' own models often lack it.
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
    if missing:
        raise ValueError(f"{origin} lacks {len(missing)} of the arrays the model needs, such as {missing[0]}")
    if report["error_msgs"]:
        raise ValueError(f"{origin} cannot be read: {shortened(report['error_msgs'][0])}")


def _check_classifier(report: Mapping[str, Any], origin: Path, backbone: Any, has_head: bool) -> None:
    """As ``check_weights``, but for what the head lacks, or has for another number of labels: that begins anew."""
    inside = f"{backbone.base_model_prefix}."
    mismatched = {key if isinstance(key, str) else key[0]: key for key in report["mismatched_keys"]}
    new = [name for name in (*report["missing_keys"], *mismatched) if not name.startswith(inside)]
    if new and has_head:
        logger.warning("%s has no %s that fits: it begins anew", origin, ", ".join(sorted(new)))
    left = {
        "mismatched_keys": [key for name, key in mismatched.items() if name not in new],
        "missing_keys": [name for name in report["missing_keys"] if name not in new],
    }
    check_weights({**report, **left}, str(origin))


@contextmanager
def silent() -> Iterator[None]:
    """Without the progress bars and warnings of Transformers."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    verbosity, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_had_none = are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()
        if hub_had_none:  # Transformers switches the hub's with its own
            disable_progress_bars()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {shortened(' '.join(str(error).split()))}"
