"""An exported graph with fewer nodes: the passes, one after the other, until none finds anything.

Networks are written for readers. Here a network's graph becomes what a CPU runs quickly: a frame of one
person is made of so many small nodes that starting them is much of the work.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir.passes.common as common
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import transpose_transpose_rule

from diffpose_ros.onnxgraph.normal_form import fold_constants
from diffpose_ros.onnxgraph.passes.affine_region import affine_region
from diffpose_ros.onnxgraph.passes.bias_into_norm import bias_into_norm
from diffpose_ros.onnxgraph.passes.bias_through_hidden import bias_through_hidden
from diffpose_ros.onnxgraph.passes.concat_of_products import concat_of_products
from diffpose_ros.onnxgraph.passes.graph import Graph
from diffpose_ros.onnxgraph.passes.hoist_above_split import hoist_above_split
from diffpose_ros.onnxgraph.passes.interleave_heads import interleave_heads
from diffpose_ros.onnxgraph.passes.no_op_casts import no_op_casts
from diffpose_ros.onnxgraph.passes.parallel_products import merge_parallel_products
from diffpose_ros.onnxgraph.passes.residual_into_gemm import residual_into_gemm
from diffpose_ros.onnxgraph.passes.rows import linear_to_rows, merge_reshapes, sink_reshapes
from diffpose_ros.onnxgraph.passes.scale_into_weights import scale_into_weights
from diffpose_ros.onnxgraph.passes.static_shapes import static_shapes
from diffpose_ros.onnxgraph.passes.upright_weights import upright_weights
from diffpose_ros.onnxgraph.passes.weighted_sum import weighted_sum

PASSES: tuple[Callable[[Graph], int], ...] = (
    no_op_casts, upright_weights, static_shapes,
    weighted_sum, concat_of_products,
    linear_to_rows, sink_reshapes, merge_reshapes,
    scale_into_weights, bias_into_norm, affine_region,
    merge_parallel_products, hoist_above_split, interleave_heads,
    residual_into_gemm, bias_through_hidden, merge_reshapes,
)  # fmt: skip
_ROUNDS = 12


def fuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that computes the same with fewer nodes.

    Args:
        model: a valid model of one graph, whose inputs are all float; it is not changed.

    Returns:
        A new model. Inputs, outputs and metadata are as before.

    Raises:
        ValueError: sizes in the graph may depend on more than the sizes of its inputs.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = Graph(fold_constants(copy))
    clean(graph)
    for _ in range(_ROUNDS):
        done = sum(fusing(graph) for fusing in PASSES)
        clean(graph)
        if not done:
            break
    return fold_constants(rewrite(graph.to_proto(), pattern_rewrite_rules=[transpose_transpose_rule]))


def clean(graph: Graph) -> None:
    """Constants as initialisers, each of them once; nothing worked out twice, nothing unused."""
    graph.ir.sort()
    for tidy in (
        common.IdentityEliminationPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(size_limit=1 << 20),
        common.CommonSubexpressionEliminationPass(size_limit=0),
        common.RemoveUnusedNodesPass(),
    ):
        tidy(graph.model)
