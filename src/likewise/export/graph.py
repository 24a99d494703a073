"""An ONNX graph in the making: nodes and arrays, added one after the other, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17  # the first with LayerNormalization; onnxruntime reads it since 1.12 (2022)
IR_VERSION = 8  # the one of that time
INPUTS = ("input_ids", "attention_mask", "token_type_ids")  # each (texts, length) int64
OUTPUT = "sentence_embedding"  # (texts, dim) float32
ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}  # of ONNX
LARGEST_FILE = 2**31 - 2**20  # bytes of weights: a protobuf file ends at 2 GiB
ALIGNMENT = 4096  # bytes: so arrays in a file of their own can be mapped into memory
SMALL = 1024  # bytes: arrays up to here stay in the graph


@dataclass(frozen=True)
class Node:
    """One operator."""

    kind: str  # "MatMul"
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Graph:
    """Nodes and arrays; whatever is added is known by the name of the tensor that comes out of it."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.arrays: dict[str, NDArray[Any]] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    @property
    def is_large(self) -> bool:
        """Whether the arrays do not fit into the file of the graph."""
        return sum(array.nbytes for array in self.arrays.values()) > LARGEST_FILE

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add the operator ``kind``; returns the name of its output."""
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(Node(kind, inputs, (output,), attributes))
        return output

    def split(self, tensor: str, parts: int, axis: int) -> list[str]:
        """Cut ``tensor`` into equal parts along ``axis``."""
        outputs = tuple(f"Split_{len(self.nodes)}_{part}" for part in range(parts))
        self.nodes.append(Node("Split", (tensor,), outputs, {"axis": axis}))
        return list(outputs)

    def cast(self, tensor: str, dtype: str) -> str:
        """``tensor`` in another type."""
        return self.add("Cast", tensor, to=ELEMENT_TYPES[dtype])

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Weights, under a name of their own."""
        assert name not in self.arrays
        self.arrays[name] = values
        return name

    def constant(self, values: Any, dtype: str) -> str:
        """A few numbers; equal ones are kept once."""
        array = np.asarray(values, dtype=dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.array(f"constant_{len(self._constants)}", array)
        return self._constants[key]

    def number(self, value: float) -> str:
        """A float32."""
        return self.constant(value, "float32")

    def whole(self, *values: int) -> str:
        """A list of int64: a shape, or axes."""
        return self.constant(values, "int64")


def write_graph(graph: Graph, output: str, dimension: int, path: Path) -> None:
    """Write ``graph``, whose tensor ``output`` (texts, ``dimension``) becomes OUTPUT, as an ONNX model.

    Weights that do not fit into one file go into another beside it, called as ``path`` with ".data" behind.

    Raises:
        ValueError: The graph is not valid ONNX: a fault of this library.
    """
    import onnx
    from onnx import helper

    data = path.with_name(f"{path.name}.data")
    arrays = _in_file(graph.arrays, data) if graph.is_large else _inside(graph.arrays)
    nodes = [*graph.nodes, Node("Identity", (output,), (OUTPUT,), {})]
    made = helper.make_graph(
        [helper.make_node(n.kind, n.inputs, n.outputs, name=n.outputs[0], **n.attributes) for n in nodes],
        "sentence_transformer",
        [helper.make_tensor_value_info(name, ELEMENT_TYPES["int64"], ["texts", "length"]) for name in INPUTS],
        [helper.make_tensor_value_info(OUTPUT, ELEMENT_TYPES["float32"], ["texts", dimension])],
        arrays,
    )
    from likewise import __version__

    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="likewise",
        producer_version=__version__,
    )
    path.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise ValueError(f"the graph is not valid ONNX, please report it: {error}") from error


def _inside(arrays: dict[str, NDArray[Any]]) -> list[Any]:
    from onnx import numpy_helper

    return [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]


def _in_file(arrays: dict[str, NDArray[Any]], path: Path) -> list[Any]:
    """Write the large arrays into ``path`` one by one: no second copy of all weights is ever in memory."""
    from onnx import TensorProto, numpy_helper

    tensors = []
    with path.open("wb") as file:
        for name, array in arrays.items():
            if array.nbytes <= SMALL:
                tensors.append(numpy_helper.from_array(array, name))
                continue
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            place = {"location": path.name, "offset": str(file.tell()), "length": str(array.nbytes)}
            file.write(np.ascontiguousarray(array).tobytes())
            tensor = TensorProto(name=name, data_type=ELEMENT_TYPES[array.dtype.name], dims=array.shape)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=value)
            tensors.append(tensor)
    return tensors
