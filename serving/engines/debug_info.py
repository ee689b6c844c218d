"""Strips debug information, such as stack traces with absolute paths, from ONNX files."""

from collections.abc import Iterator
from typing import Any

NOTES = ("doc_string", "metadata_props")
"""Fields that no engine reads."""


def without_debug_info(content: bytes) -> bytes:
    """Return an ONNX file that computes the same, without notes on its nodes and values and without doc strings.

    The exporter writes into them where in the source each operation came from. No engine reads them.

    Parameters
    ----------
    content
        ONNX file; it is removed before the file's digest is taken and its parity is proved.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    for part in _parts(model):
        for note in NOTES:
            if note in part.DESCRIPTOR.fields_by_name:
                part.ClearField(note)
    onnx.checker.check_model(model)
    stripped: bytes = model.SerializeToString()
    return stripped


def _parts(model: Any) -> Iterator[Any]:
    """The model, its graphs and functions, and everything in them that can carry a note."""
    yield model
    for function in model.functions:
        yield function
        yield from function.value_info
        yield from _of_nodes(function.node)
    yield from _of_graph(model.graph)


def _of_graph(graph: Any) -> Iterator[Any]:
    yield graph
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from values
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield attribute
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _of_graph(graph)
