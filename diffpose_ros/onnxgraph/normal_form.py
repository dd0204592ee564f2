"""A graph as converters like it: its constants worked out, its sums apart from its products.

Exported graphs put weights together from parts and let a product add the residual; a runtime sorts
both out when it loads them, a rule that looks at single nodes would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace what depends on constants alone by its value, in place; shared constants stay shared."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    graph = model.graph
    constant = {t.name for t in graph.initializer}
    fixed = []
    for node in graph.node:
        if node.op_type.startswith("Random"):
            continue
        if constant.issuperset(n for n in node.input if n):  # a Constant reads nothing
            constant.update(node.output)
            fixed.append(node)
    computed = [n for n in fixed if n.op_type not in ("Constant", "Identity")]
    made = {name for node in computed for name in node.output}
    if not made:
        return model
    outputs = {o.name for o in graph.output}
    kept = [n for n in graph.node if not made.intersection(n.output)]
    read = {name for node in kept for name in node.input} | outputs
    wanted = sorted(made & read)
    part = helper.make_graph(
        fixed, "constants", [], [helper.make_empty_tensor_value_info(n) for n in wanted],
        list(graph.initializer),
    )  # fmt: skip
    source = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    values = ReferenceEvaluator(source).run(wanted, {}) if wanted else []
    for name, value in zip(wanted, values, strict=True):
        graph.initializer.append(numpy_helper.from_array(value, name))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def sums_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take additions of what is not constant out of ``Gemm`` nodes, in place: a residual stream is to
    keep its own precision, whatever the product beside it has."""
    from onnx import helper

    graph = model.graph
    constant = {t.name for t in graph.initializer}
    constant |= {o for n in graph.node if n.op_type in ("Constant", "Identity") for o in n.output
                 if constant.issuperset(n.input)}  # fmt: skip
    nodes = []
    for node in graph.node:
        nodes.append(node)
        beta = next((a.f for a in node.attribute if a.name == "beta"), 1.0)
        if node.op_type != "Gemm" or len(node.input) < 3 or not node.input[2] or beta != 1.0:
            continue
        if node.input[2] in constant:
            continue
        added, out = node.input.pop(), node.output[0]
        node.output[0] = f"{out}_product"
        nodes.append(helper.make_node("Add", [node.output[0], added], [out], f"{node.name}_sum"))
    del graph.node[:]
    graph.node.extend(nodes)
    return model
