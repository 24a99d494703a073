"""What bi-encoders and cross-encoders share: where and in what precision they compute, weights, adapters, the Hub."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from likewise.arguments import check_pool, refuse_pickles
from likewise.checkpoint.model_card import DataSet, Score, TrainingFacts
from likewise.checkpoint.model_settings import ModelSettings, prompts_of
from likewise.checkpoint.values import listed, shortened
from likewise.engine import DTYPES, Engine, adapters, dtype_name
from likewise.engine.live import LiveModel
from likewise.extras import extra
from likewise.saving import Card

if TYPE_CHECKING:
    import torch

    from likewise.encoding.processes import ProcessPool
    from likewise.network.sentence_network import RoutedNetwork, SentenceNetwork


class Model:
    """A model with its one live representation, its prompts, and what a trainer made of it."""

    prompts: dict[str, str]
    default_prompt_name: str | None

    def __init__(
        self,
        live: LiveModel,
        settings: ModelSettings,
        prompts: Mapping[str, str] | None,
        default_prompt_name: str | None,
    ):
        self._live = live
        self.prompts = {"query": "", "document": ""} | dict(settings.prompts) | prompts_of(prompts, "prompts")
        self.default_prompt_name = default_prompt_name or settings.default_prompt_name
        if self.default_prompt_name is not None and self.default_prompt_name not in self.prompts:
            name = shortened(self.default_prompt_name)
            raise ValueError(f"default_prompt_name {name} is none of {listed(sorted(self.prompts))}")
        self.training_facts: TrainingFacts | None = None  # what a trainer made of it, for the model card
        self.scores: Sequence[Score] = ()

    # Who computes

    @property
    def live(self) -> LiveModel:
        """The modules that a text passes through, their weights as they are now, and what computes them."""
        return self._live

    @property
    def engine(self) -> Engine:
        """What computes the results, with a Router those of the default route; made on first use."""
        return self._live.engine(self._live.routes.first_name)

    @property
    def network(self) -> SentenceNetwork | RoutedNetwork:
        """The model as a torch module, in float32. From then on it is the model: computing and saving use it."""
        return self._live.network

    @property
    def device(self) -> torch.device:
        """Where the results are computed."""
        with extra("torch", "device, a torch.device,"):
            import torch

        return torch.device(self.engine.device)

    @property
    def dtype(self) -> str:
        """What the results are computed in: "float32", "bfloat16" or "float16"."""
        return self.engine.dtype

    def to(self, device: str | torch.device | torch.dtype) -> Self:
        """Compute on ``device`` from now on, or in a precision, such as ``torch.float16``."""
        if str(device).removeprefix("torch.") in DTYPES:
            self._live.move(self._live.device, dtype_name(device))
        elif str(device) != self._live.device:
            self._live.move(str(device), self._live.dtype)
        return self

    def cpu(self) -> Self:
        """Compute on the CPU."""
        return self.to("cpu")

    def cuda(self, device: int | torch.device | None = None) -> Self:
        """Compute on the GPU, or on the one with this number."""
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    def float(self) -> Self:
        """Compute in float32."""
        self._live.move(self._live.device, "float32")
        return self

    def half(self) -> Self:
        """Compute in float16."""
        self._live.move(self._live.device, "float16")
        return self

    def bfloat16(self) -> Self:
        """Compute in bfloat16."""
        self._live.move(self._live.device, "bfloat16")
        return self

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The network's weights, for an optimiser."""
        return self.network.parameters()

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on; computing switches it off again."""
        self.network.train(mode)
        return self

    def eval(self) -> Self:
        """Switch dropout off."""
        return self.train(False) if self._live.has_network else self

    def evaluate(self, evaluator: Any, output_path: str | os.PathLike[str] | None = None) -> Any:
        """The scores that ``evaluator`` gives this model; with ``output_path``, also in files there."""
        return evaluator(self) if output_path is None else evaluator(self, output_path)

    # Several processes

    def start_multi_process_pool(self, target_devices: Sequence[str | torch.device] | None = None) -> ProcessPool:
        """Start processes with copies of the model as it is now, one for each of ``target_devices``.

        A device may be named several times: ``["cpu", "cpu"]``. The cores, or as many as ``threads=`` said, are shared
        by all. By default there is a process for each GPU; without one, one for every 16 cores. Give the pool to
        ``encode`` or ``predict``, and use it in a ``with`` statement or stop it.

        Raises:
            ValueError: A device is not there, or there is none.
            WorkerDied: A process ended while it loaded the model.
        """
        from likewise.encoding.processes import ProcessPool, default_devices
        from likewise.engine.processor import available_cores

        given = default_devices() if target_devices is None else target_devices
        if isinstance(given, str) or not given:
            raise ValueError(f'the devices must be a list of one or more, such as ["cuda:0", "cuda:1"], not {given!r}')
        devices = list(map(str, given))
        live = self._live
        return ProcessPool(
            live,
            devices,
            threads=max(1, (live.threads or available_cores()) // len(devices)),
            write_model=partial(self._write_copy, for_cpu="cpu" in devices),
            load=next(kind for kind in type(self).__mro__ if kind.__module__.startswith("likewise.")),
            settings={"dtype": live.dtype, "engine": "torch" if live.has_network else live.wanted},
        )

    @staticmethod
    def stop_multi_process_pool(pool: ProcessPool) -> None:
        """End the processes of ``pool``; ``pool.stop()`` does the same."""
        pool.stop()

    # LoRA adapters

    add_adapter = adapters.add_adapter
    load_adapter = adapters.load_adapter
    active_adapters = adapters.active_adapters
    active_adapter = adapters.active_adapter
    set_adapter = adapters.set_adapter
    enable_adapters = adapters.enable_adapters
    disable_adapters = adapters.disable_adapters
    delete_adapter = adapters.delete_adapter
    get_adapter_state_dict = adapters.get_adapter_state_dict
    merge_adapters = adapters.merge_adapters

    # Saving

    def save_pretrained(self, *arguments: Any, **named: Any) -> None:
        """Write the model into a folder, the first argument, whole or not at all; each kind has more of its own."""
        raise NotImplementedError

    def push_to_hub(
        self,
        repo_id: str,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: bool = True,
        commit_message: str | None = None,
        local_model_path: str | os.PathLike[str] | None = None,
        exist_ok: bool = False,
        replace_model_card: bool = False,
        train_datasets: Sequence[str] | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        **saving: Any,
    ) -> str:
        """Upload the model, or the folder ``local_model_path``, to the Hub's repository ``repo_id``: its address.

        The other arguments are those of ``checkpoint.hub.push_folder`` and, ``saving``, of ``save_pretrained``.

        Raises:
            PermissionError: There is no token, or it may not write there.
            FileExistsError: The repository exists, and ``exist_ok`` is off.
            ConnectionError: The Hub is not reached, or it fails.
            ValueError: ``repo_id`` is no name that a repository can have, or an argument is not right.
        """
        from likewise.checkpoint.hub import push_folder

        refuse_pickles(safe_serialization)
        with TemporaryDirectory() as folder:
            if local_model_path is None:
                self.save_pretrained(f"{folder}/model", repo_id, train_datasets=train_datasets, **saving)
            return push_folder(
                local_model_path or f"{folder}/model",
                repo_id,
                token=token,
                private=private,
                commit_message=commit_message or f"Add new {type(self).__name__} model",
                exist_ok=exist_ok,
                replace_model_card=replace_model_card or local_model_path is not None,
                revision=revision,
                create_pr=create_pr,
            )

    # Inside

    def _write_copy(self, folder: Path, for_cpu: bool) -> None:
        """Write into ``folder`` what a worker of a pool loads; each kind has its own form."""
        raise NotImplementedError

    @contextmanager
    def _workers(self, pool: ProcessPool | None, devices: Any) -> Iterator[ProcessPool]:
        """The pool that a call is to use: that which it was given, or one of its own on ``devices``."""
        if pool is None:
            with self.start_multi_process_pool(devices) as own:
                yield own
        else:
            check_pool(pool, self._live)
            yield pool

    def _card(
        self,
        model_name: str | None,
        train_datasets: Sequence[str] | None,
        training: TrainingFacts | None,
        scores: Sequence[Score] | None,
    ) -> Card:
        """What the model card says: what is given, else what a trainer left."""
        if train_datasets and training is None:
            training = TrainingFacts([DataSet(name, hub_id=name) for name in train_datasets])
        return Card(model_name, training or self.training_facts, self.scores if scores is None else scores)

    def _resolved_prompt(self, prompt: str | None, prompt_name: str | None) -> str | None:
        if prompt is not None:
            return prompt
        name = prompt_name if prompt_name is not None else self.default_prompt_name
        if name is not None and name not in self.prompts:
            raise ValueError(f"the model has no prompt called {name!r}; it has {', '.join(self.prompts)}")
        return None if name is None else self.prompts[name]
