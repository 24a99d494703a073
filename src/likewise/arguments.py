"""The incumbent's arguments that have no meaning here: each is refused by an error that says what to use instead."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from numbers import Integral
from typing import Any, TypeVar, cast

from likewise.quantize import check_precision

Function = TypeVar("Function", bound=Callable[..., Any])

INSTEAD = {  # a key of model_kwargs, processor_kwargs or config_kwargs → what to do
    "attn_implementation": "leave it out: attention is always packed",
    "device_map": "give device= instead",
    "padding_side": "leave it out: texts are never padded",
    "max_length": "give model_max_length, or set model.max_seq_length",
    "load_in_8bit": "leave it out, or give dtype=",
    "file_name": "save the model with its weights in model.safetensors",
}

INSTEAD_IN_ENCODE = {  # what the incumbent's encode passes on to its modules → what to do
    "processing_kwargs": "leave it out, or set model.max_seq_length",
}


INSTEAD_IN_TRANSFORMER = {  # what the incumbent's Transformer has → what to do
    "transformer_task": "leave it out: a sentence embedding model's task is 'feature-extraction'",
    "model_kwargs": "leave it out, and give dtype= to SentenceTransformer",
    "model_args": "leave it out, and give dtype= to SentenceTransformer",
    "processing_kwargs": "leave it out, or give max_seq_length",
    "backend": "leave it out",
    "modality_config": "leave it out: the last layer's states are pooled",
    "module_output_name": "leave it out: the output is 'token_embeddings'",
    "unpad_inputs": "leave it out: nothing is ever padded",
    "query_length": "leave it out: it is for multi-vector models",
    "document_length": "leave it out: it is for multi-vector models",
    "query_expansion": "leave it out: it is for multi-vector models",
}
DEFAULTS_IN_TRANSFORMER = {"transformer_task": "feature-extraction", "backend": "torch"}
OLDER_IN_TRANSFORMER = ("config_args", "tokenizer_args", "cache_dir")


def older_or_refused(others: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``models.Transformer`` in their older spelling, among ``others`` that it does not have.

    Raises:
        ValueError: The incumbent's has one of the others, and it is not at its default.
        TypeError: Nobody has it.
    """
    older = {}
    for name, value in others.items():
        if name in OLDER_IN_TRANSFORMER:
            older[name] = value
        elif name not in INSTEAD_IN_TRANSFORMER:
            raise TypeError(f"Transformer has no argument {name!r}; help(models.Transformer) lists what it has")
        elif value != DEFAULTS_IN_TRANSFORMER.get(name):
            raise ValueError(f"{name} is not supported by Transformer: {INSTEAD_IN_TRANSFORMER[name]}")
    return older


def with_older_names(names: Mapping[str, str]) -> Callable[[Function], Function]:
    """Let a function take arguments by the ``names`` that they had in older versions: older name → today's."""

    def understanding(function: Function) -> Function:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            for older in names.keys() & named.keys():
                if names[older] in named:
                    raise TypeError(f"give {names[older]} once: {older} is its older name")
                named[names[older]] = named.pop(older)
            return function(*arguments, **named)

        return cast(Function, call)

    return understanding


def refuse_unsupported(
    trust_remote_code: bool, config_kwargs: Mapping[str, Any] | None, model_card_data: object, backend: str, engine: str
) -> None:
    """Check the constructor arguments that have one accepted value.

    Raises:
        ValueError: One of them has another value.
    """
    if trust_remote_code:
        raise ValueError("trust_remote_code=True is refused: a model never runs code of its own here; leave it out")
    if config_kwargs:
        raise ValueError(
            f"config_kwargs {dict(config_kwargs)} is not supported; change the model's config.json instead"
        )
    if model_card_data is not None:
        raise ValueError("model_card_data is not supported; write README.md into the saved folder instead")
    if backend != "torch":
        raise ValueError(f'backend={backend!r} is not supported; leave it out, engine="auto" is the fastest there is')
    if engine not in ("auto", "native", "torch"):
        raise ValueError(f'engine={engine!r} is not known; use engine="auto", "native" or "torch"')


def refuse_pickles(safe_serialization: bool) -> None:
    """Check the argument of that name.

    Raises:
        ValueError: It is off.
    """
    if not safe_serialization:
        raise ValueError("safe_serialization=False is refused: a pickle can run code; leave it out for safetensors")


def only(arguments: Mapping[str, Any] | None, name: str, keys: tuple[str, ...]) -> Any:
    """The value that ``arguments``, the argument called ``name``, has for one of ``keys``; None without one.

    Raises:
        ValueError: It holds another key.
    """
    arguments = arguments or {}
    for key in arguments:
        if key not in keys:
            advice = INSTEAD.get(key, f"only {', '.join(keys)} is")
            raise ValueError(f"{name}[{key!r}] is not supported: {advice}")
    return next((arguments[key] for key in keys if key in arguments), None)


def refuse_others(others: Mapping[str, object]) -> None:
    """Refuse the arguments of ``encode`` that it does not have.

    Raises:
        ValueError: The incumbent's has it.
        TypeError: Nobody has it.
    """
    for name in others:
        if name in INSTEAD_IN_ENCODE:
            raise ValueError(f"{name} is not supported by encode: {INSTEAD_IN_ENCODE[name]}")
        raise TypeError(f"encode has no argument {name!r}; help(SentenceTransformer.encode) lists what it has")


def check_encode_arguments(
    batch_size: int | None,
    token_budget: int | None,
    truncate_dim: int | None,
    prompt: str | None,
    output_value: str | None,
    precision: str | None,
    chunk_size: int | None,
) -> None:
    """Check the arguments of ``encode``.

    Raises:
        ValueError: One of them is not right or not supported.
    """
    check_whole_numbers(
        batch_size=batch_size, token_budget=token_budget, truncate_dim=truncate_dim, chunk_size=chunk_size
    )
    if not isinstance(prompt, str | None):
        raise ValueError(f"prompt must be a text to put before each text, not {prompt!r}")
    if output_value not in ("sentence_embedding", "token_embeddings"):
        raise ValueError(f"output_value {output_value!r} is not known; use 'sentence_embedding' or 'token_embeddings'")
    check_precision(precision)


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Check the argument ``name``, which is one of ``choices``.

    Raises:
        ValueError: It is another value.
    """
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known; use one of {', '.join(map(repr, choices))}")


def check_whole_numbers(**numbers: int | None) -> None:
    """Check arguments, by their names, that are counts where they are given.

    Raises:
        ValueError: One is no whole number, or below 1.
    """
    for name, number in numbers.items():
        if number is not None and not (isinstance(number, Integral) and number >= 1):
            raise ValueError(f"{name} must be a whole number, 1 or more, not {number!r}")


def check_pool(pool: Any, owner: object) -> None:
    """Check that ``pool`` is one of processes that have copies of ``owner``, a model's live representation.

    Raises:
        ValueError: It is another thing, or another model's.
    """
    started = getattr(pool, "owner", None)
    if started is None:
        raise ValueError(f"pool must be what model.start_multi_process_pool() gives, not {pool!r}")
    if started is not owner:
        raise ValueError("the pool is another model's; start one with this model's start_multi_process_pool()")


def without_task(inputs: Any, task: str | None) -> tuple[Any, str | None]:
    """Take the task out of inputs such as ``[{"query": "Is there tea?"}]``, as models with an Asym had them.

    Raises:
        ValueError: There are several tasks, or ``task`` is given too and is another one.
    """
    if isinstance(inputs, str) or not isinstance(inputs, Iterable):
        return inputs, task
    inputs = list(inputs)
    if not inputs or not all(isinstance(text, Mapping) for text in inputs):
        return inputs, task
    tasks = {str(key) for text in inputs for key in text}
    if len(tasks | ({task} if task is not None else set())) != 1 or not all(len(text) == 1 for text in inputs):
        raise ValueError(
            f"texts of one task can be encoded together, not of {sorted(tasks)}; give task= and plain texts"
        )
    return [next(iter(text.values())) for text in inputs], tasks.pop()
