"""The shape of the package: imports point one way only, torch comes in late, and the public names are what they say."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import likewise

PACKAGE = Path(likewise.__file__).parent
HOME: dict[str, str] = vars(likewise)["_HOME"]  # public name → the file it is in
ROOMS = [  # each uses itself and those above it
    "extras",
    "needs_torch",
    "files",
    "row_copies",
    "column_files",
    "vector_files",
    "tables",
    "markdown",
    "passages",
    "html_text",
    "pdf_text",
    "documents",
    "tokens",
    "checkpoint",
    "similarity",
    "quantize",
    "arguments",
    "models",
    "network",
    "engine",
    "progress",
    "encoding",
    "saving",
    "description",
    "model",
    "embedding_model",
    "sentence_transformer",
    "export",
    "search",
    "adapters",
    "losses",
    "evaluation",
    "training",
    "cross_encoder",
    "augment",
    "util",
    "similarity_functions",
    "quantization",
    "readers",
    "training_args",
    "cli",
]
HEAVY = {
    *("torch", "transformers", "datasets", "pandas", "pyarrow", "scipy", "sentence_transformers"),
    *(
        "onnx",
        "onnxruntime",
        "accelerate",
        "peft",
        "sklearn",
        "matplotlib",
        "bm25s",
        "faiss",
        "usearch",
        "ray",
        "pypdf",
        "lancedb",
        "umap",
        "langchain_core",
        "llama_index",
    ),
}
ADAPTED = {"adapters.langchain": "langchain_core", "adapters.llama_index": "llama_index"}  # each is imported for itself
WITH_TORCH = [
    "cross_encoder.fit",
    "cross_encoder.trainer",
    "engine.torch",
    "needs_torch",
    "util",
    "readers",
    "training_args",
]  # and all of WITH_TORCH_ROOMS
WITH_TORCH_ROOMS = ("network", "losses", "training")

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {file: ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") for file in FILES}


def has_torch(module: str) -> bool:
    return module in WITH_TORCH or room_of(module.removeprefix("cross_encoder.")) in WITH_TORCH_ROOMS


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names; a name out of the package itself is the module it is in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        if node.module == "likewise":
            return [f"likewise.{HOME.get(alias.name, alias.name)}" for alias in node.names]
        return [node.module or ""]
    return []


def imports_at_the_top(nodes: list[ast.stmt]) -> Iterator[str]:
    """What is imported when the module is, so not inside a function or for a type checker."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_at_the_top(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imported(node)
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from imports_at_the_top(getattr(node, part, []))


def room_of(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=MODULES.get)
def test_imports_point_one_way_only(file: Path) -> None:
    if file == PACKAGE / "__init__.py":
        return  # loads by name
    room = room_of(MODULES[file])
    assert room in ROOMS, f"{room} is a new room: give it its place in ROOMS"
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for name in imported(node):
            other = room_of(name.removeprefix("likewise."))
            if name == "likewise.training.fit" and MODULES[file] == "sentence_transformer":
                continue  # the one exception: the method SentenceTransformer.fit
            if name.startswith("likewise.") and other != "__version__":
                assert ROOMS.index(other) <= ROOMS.index(room), f"{MODULES[file]} imports {name}, which is below it"


def test_every_room_is_there() -> None:
    assert {room_of(module) for module in MODULES.values()} - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=MODULES.get)
def test_torch_is_imported_where_it_is_used(file: Path) -> None:
    names = {name.split(".")[0] for name in imports_at_the_top(ast.parse(file.read_text(encoding="utf-8")).body)}
    assert not names & ({*HEAVY, "polars"} - {"torch", ADAPTED.get(MODULES[file])})
    assert has_torch(MODULES[file]) or "torch" not in names


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh process has loaded after ``code``."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules}, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_public_class_is_imported_without_torch() -> None:
    loaded = loaded_by("from likewise import SentenceTransformer")
    assert "likewise" in loaded
    assert not loaded & HEAVY


def test_everything_but_the_rooms_of_torch_is_imported_without_it() -> None:
    left_out = {"__init__", *ADAPTED}
    modules = [f"likewise.{name}" for name in MODULES.values() if name not in left_out and not has_torch(name)]
    assert len(modules) > 20
    assert not loaded_by(f"import {', '.join(modules)}") & HEAVY


def test_a_model_is_found_and_read_without_torch(minilm_folder: Path) -> None:
    code = f"from likewise import SentenceTransformer; SentenceTransformer({str(minilm_folder)!r}).tokenize(['tea'])"
    assert not loaded_by(code) & HEAVY


# Public names


def test_every_public_name_is_there() -> None:
    for name in likewise.__all__:
        assert getattr(likewise, name) is not None
    assert sorted(dir(likewise)) == sorted(likewise.__all__)
    with pytest.raises(
        AttributeError, match="module 'likewise' has no attribute 'kettle'; it has CrossEncoder, CrossEncoderTrainer"
    ):
        likewise.kettle  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    names = []
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), "only `name as name` is seen from outside"
            for alias in node.names:
                assert imported(node) == [f"likewise.{HOME.get(alias.name, alias.name)}"]
                names.append(alias.name)
        else:
            assert isinstance(node, ast.AnnAssign)
            assert isinstance(node.target, ast.Name)
            names.append(node.target.id)
    assert sorted(names) == sorted([*likewise.__all__, "__all__"])
