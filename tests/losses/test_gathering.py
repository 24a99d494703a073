"""Two processes with half of a batch each have the gradients of one process with the whole batch."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from likewise.losses.gathering import gathered
from tests.losses.two_processes import gradients, made
from tests.tiny_checkpoints import tiny_encoder

ROOT = Path(__file__).parents[2]
NAMES = ("ranking", "cached ranking", "symmetric", "guided", "cached guided", "parts", "cosine")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return str(tiny_encoder(folder / "model")), str(tiny_encoder(folder / "guide", seed=1))


@pytest.fixture(scope="module")
def of_two(folders: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("processes")
    places = [*folders, str(folder / "meeting"), str(folder / "gradients.pt")]
    command = [sys.executable, "-m", "tests.losses.two_processes", *places]
    running = [subprocess.Popen([*command, str(rank), "2"], cwd=ROOT) for rank in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    found: dict[str, dict[str, Tensor]] = torch.load(folder / "gradients.pt", weights_only=True)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one(name: str, of_two: dict[str, dict[str, Tensor]], folders: tuple[str, str]) -> None:
    expected = gradients(made(*folders)[name], slice(None), name == "cosine")
    assert of_two[name].keys() == expected.keys()
    largest = 0.0
    for part, gradient in expected.items():
        difference = (of_two[name][part] - gradient).abs().max() / max(1, float(gradient.abs().max()))
        largest = max(largest, float(difference))
    print(f"{name}: largest difference to one process {largest:.1e}")
    assert largest <= 1e-6


def test_processes_may_have_fewer_rows_than_others(of_two: dict[str, dict[str, Tensor]]) -> None:
    columns = torch.arange(20.0).reshape(2, 5, 2)
    assert torch.equal(of_two["uneven"]["columns"], columns)
    assert of_two["uneven"]["rows"].tolist() == [0, 1, 2]
    torch.testing.assert_close(of_two["uneven"]["gradient"], (1 + 2) * 2 * columns[:, :3])


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_one_process_has_its_own_rows_alone(alone: None) -> None:
    columns = torch.randn(2, 5, 3, requires_grad=True)
    found, rows = gathered(list(columns))
    assert torch.equal(torch.stack(found), columns)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    (gradient,) = torch.autograd.grad((torch.stack(found) ** 2).sum(), columns)
    torch.testing.assert_close(gradient, 2 * columns.detach())


def test_without_processes_nothing_is_gathered() -> None:
    columns = list(torch.randn(2, 5, 3))
    found, rows = gathered(columns)
    assert all(torch.equal(one, other) for one, other in zip(found, columns, strict=True))
    assert rows.tolist() == [0, 1, 2, 3, 4]
