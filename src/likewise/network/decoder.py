"""A language model of Hugging Face Transformers that writes a text again from its one vector."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from likewise.checkpoint.names import PROJECTIONS, stored_names
from likewise.checkpoint.values import shortened
from likewise.extras import extra
from likewise.models import Transformer
from likewise.network.adapted_layers import adapters_of
from likewise.network.bert import BertEncoder
from likewise.network.encoder import Encoder
from likewise.network.transformers import TransformersEncoder, silent


class Decoder(nn.Module):
    """Tokens → the next token's logits; each token sees those before it and the text's vector, by cross-attention."""

    def __init__(self, language_model: Any):
        super().__init__()
        self.language_model = language_model
        self.shared: dict[str, str] = {}  # a weight of it → the encoder's, under the name that Transformers gives it
        self.padding_id: int = language_model.config.pad_token_id or 0

    @property
    def width(self) -> int:
        """The width of the vectors that it reads."""
        width: int = self.language_model.config.hidden_size
        return width

    def forward(self, ids: Tensor, vectors: Tensor, encoder: nn.Module) -> Tensor:
        """(texts, length), (texts, width) → (texts, length, vocabulary); ``encoder`` lends the weights it shares."""
        weights = named_weights(encoder) if self.shared else {}
        inputs = {
            "input_ids": ids,
            "encoder_hidden_states": vectors[:, None],
            "encoder_attention_mask": torch.ones_like(ids[:, :1]),
            "use_cache": False,
        }
        lent = {name: weights[theirs] for name, theirs in self.shared.items()}
        logits: Tensor = functional_call(self.language_model, lent, kwargs=inputs).logits
        return logits

    def share(self, encoder: nn.Module) -> None:
        """Compute with the weights of ``encoder`` wherever it has them, from now on; they are no parameters here."""
        weights, prefix = named_weights(encoder), f"{self.language_model.base_model_prefix}."
        # The head that gives the logits mostly is the table of the tokens' vectors, so it is shared too.
        parameters = dict(self.language_model.named_parameters(remove_duplicate=False))
        theirs = {id(parameters[prefix + name]): name for name in weights if prefix + name in parameters}
        self.shared = {name: theirs[id(own)] for name, own in parameters.items() if id(own) in theirs}
        for name in self.shared:
            module, _, attribute = name.rpartition(".")
            owner = self.language_model.get_submodule(module)
            delattr(owner, attribute)
            owner.register_buffer(attribute, torch.empty(0), persistent=False)  # forward puts the encoder's there


def named_weights(encoder: nn.Module) -> dict[str, Tensor]:
    """An encoder's weights under the names of Transformers, differentiable; of fused projections, each part.

    Raises:
        ValueError: The encoder has adapters, beside which its weights are not all that it computes with.
    """
    if isinstance(encoder, Encoder | TransformersEncoder) and adapters_of(encoder):
        raise ValueError(
            "the decoder cannot share the weights of an encoder that has adapters; give tie_encoder_decoder=False and "
            "decoder_name_or_path, or call merge_adapters() first"
        )
    if isinstance(encoder, TransformersEncoder):
        return dict(encoder.backbone.named_parameters())
    if not isinstance(encoder, BertEncoder):
        return {}
    parted: dict[str, Tensor] = {}
    for name, weight in encoder.named_parameters():
        if ".qkv." in name:
            for part, values in zip(PROJECTIONS, weight.chunk(3), strict=True):
                parted[name.replace(".qkv.", f".{part}.")] = values
        else:
            parted[name] = weight
    names = stored_names(encoder.settings.model_type, parted)
    return {names[name]: weight for name, weight in parted.items()}


def read_decoder(source: Transformer) -> Decoder:
    """A decoder with the architecture and the weights of ``source``; what they lack, the cross-attention, is drawn.

    Raises:
        ImportError: Transformers is not installed.
        ValueError: Transformers has no such decoder, or the weights do not fit it.
    """
    with extra("transformers", "The decoder of DenoisingAutoEncoderLoss"):
        import transformers
    config = dict(source.config) | {"is_decoder": True, "add_cross_attention": True, "use_cache": False}
    return Decoder(_language_model(transformers, source, config))


def _language_model(transformers: Any, source: Transformer, config: Mapping[str, Any]) -> nn.Module:
    described = transformers.CONFIG_MAPPING[source.architecture].from_dict(config)
    found = transformers.MODEL_FOR_CAUSAL_LM_MAPPING.get(type(described), None)
    if found is None or "encoder_hidden_states" not in inspect.signature(found.forward).parameters:
        raise ValueError(
            f"Transformers has no {shortened(source.architecture)} that decodes a vector; give the name of one that "
            "does, such as bert-base-uncased or gpt2, as decoder_name_or_path, and tie_encoder_decoder=False"
        )
    weights = {name: torch.tensor(array) for name, array in source.stored.items()}
    with silent():
        try:
            model: nn.Module = found.from_pretrained(
                None, config=described, state_dict=weights, dtype=torch.float32, local_files_only=True
            )
        except RuntimeError as error:
            raise ValueError(f"{source.stored.origin} does not fit its config.json: {shortened(error)}") from error
    return model
