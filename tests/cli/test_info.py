"""likewise info: what is printed about a model."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from likewise.description import ModelDescription
from tests.cli.conftest import Run

DESCRIPTION = ModelDescription(
    name="weather-small",
    origin="local folder",
    folder="/models/of/the/weather/that/are/in/a/folder/with/a/name/longer/than/one/row/weather-small",
    architecture="bert",
    modules=("Transformer(bert, at most 256 tokens)", "Pooling(mean)"),
    pooling="mean",
    dimension=384,
    max_seq_length=256,
    routes=(),
    prompts={"query": "Find the weather: ", "document": ""},
    default_prompt_name=None,
    similarity="cosine",
    parameters=22_565_376,
    layout="legacy",
    checkpoint_dtype="float32",
    dtype="bfloat16",
    engine="native",
    engine_note="avx2, 2 threads",
    device="cpu",
)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    class Described:
        def __init__(self, name: str) -> None:
            self.description = DESCRIPTION

    monkeypatch.setattr("likewise.SentenceTransformer", Described)


@pytest.mark.usefixtures("described")
def test_people_read_every_field_and_can_copy_the_path(run: Run) -> None:
    assert run("info", "weather-small", terminal=True) == (
        0,
        """\
name                 weather-small
origin               local folder
folder               /models/of/the/weather/that/are/in/a/folder/with/a/name/longer/than/one/row/weather-small
architecture         bert
modules              Transformer(bert, at most 256 tokens)
                     Pooling(mean)
pooling              mean
dimension            384
max seq length       256
routes               none
prompts              query: "Find the weather: "
default prompt name  none
similarity           cosine
parameters           22,565,376
layout               legacy
checkpoint dtype     float32
dtype                bfloat16
engine               native
engine note          avx2, 2 threads
device               cpu
""",
        "",
    )


@pytest.mark.usefixtures("described")
def test_programs_get_one_line_a_field(run: Run) -> None:
    assert run("info", "weather-small") == (
        0,
        """\
name	weather-small
origin	local folder
folder	/models/of/the/weather/that/are/in/a/folder/with/a/name/longer/than/one/row/weather-small
architecture	bert
modules	["Transformer(bert, at most 256 tokens)", "Pooling(mean)"]
pooling	mean
dimension	384
max_seq_length	256
routes	[]
prompts	{"query": "Find the weather: ", "document": ""}
default_prompt_name\t
similarity	cosine
parameters	22565376
layout	legacy
checkpoint_dtype	float32
dtype	bfloat16
engine	native
engine_note	avx2, 2 threads
device	cpu
""",
        "",
    )


def test_the_true_model_by_the_installed_command(minilm_folder: Path) -> None:
    command = [str(Path(sys.executable).parent / "likewise"), "info", str(minilm_folder)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    properties = dict(line.split("\t") for line in finished.stdout.splitlines())
    assert list(properties) == [field.name for field in fields(ModelDescription)]
    assert properties["architecture"] == "bert"
    assert properties["dimension"] == "384"
    assert properties["max_seq_length"] == "256"
    assert properties["folder"] == str(minilm_folder)
    assert finished.stderr == ""
