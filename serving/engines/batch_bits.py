"""ONNX graphs whose answer for a window has the same bits in every batch.

ONNX Runtime computes most operations row by row, with two exceptions on a processor. ``Softplus`` works on four
numbers at a time and on what is left over one by one, with another last bit; so the answer depends on where a window
stands. A product with three-dimensional weights takes another path for a single row; so a batch of one differs. Both
are avoided by giving the operation its input several times over and keeping the first of the answers: the numbers of
one window then never stand in the remainder, and there is always a second row.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LANES = 4
"""Numbers that the exception's fast path takes at a time."""
BATCHED_WEIGHTS = 3
"""Dimensions of a product that is computed weight by weight."""


def with_steady_bits(content: bytes) -> bytes:
    """Return an ONNX file that computes the same, with bits that do not depend on the batch.

    Parameters
    ----------
    content
        ONNX file whose first input has the batch as its first dimension, by name.
    """
    import onnx
    from onnx import helper

    model = onnx.load_model_from_string(content)
    graph = model.graph
    shapes = {value.name: _dimensions(value) for value in (*graph.value_info, *graph.input)}
    batch = shapes[graph.input[0].name][0]
    weights = {tensor.name for tensor in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        times, axis = _repeats(node, shapes, weights, batch)
        if times == 1:
            nodes.append(node)
            continue
        source, answer = node.input[0], node.output[0]
        nodes.append(helper.make_node("Concat", [source] * times, [f"{answer}.repeated"], axis=axis))
        node.input[0], node.output[0] = f"{answer}.repeated", f"{answer}.of_repeated"
        kept = [answer, *(f"{answer}.left_{number}" for number in range(1, times))]
        nodes += [node, helper.make_node("Split", [node.output[0]], kept, axis=axis, num_outputs=times)]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    changed: bytes = model.SerializeToString()
    return changed


def _repeats(node: Any, shapes: "Mapping[str, list[Any]]", weights: set[str], batch: Any) -> tuple[int, int]:
    """How often a node is to be given its first input, and along which axis; once where it needs nothing."""
    if node.op_type == "Softplus":
        return LANES, -1
    source = shapes.get(node.input[0], []) if node.input else []
    is_product = node.op_type == "MatMul" and node.input[0] not in weights
    if is_product and len(source) == BATCHED_WEIGHTS and source[-2] == batch:
        return 2, -2
    return 1, 0


def _dimensions(value: Any) -> list[Any]:
    """Names or sizes of the dimensions of a value."""
    return [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
