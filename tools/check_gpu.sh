#!/bin/sh
# Checks on a machine with an NVIDIA GPU what cannot be checked without one: engines build and load,
# FP32 and FP16 agree with ONNX Runtime, CUDA graphs replay, the switch from the fallback works; and
# measures latencies. Leaves a table in Markdown.
#
#   tools/check_gpu.sh [--model starpose] [--max-people 50] [--output docs/tensorrt_measured.md]
#
# Exit codes: 0 all well, 1 a check failed, 3 no GPU (or no TensorRT) here.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=${PYTHON:-}
if [ -z "$python" ]; then
    if [ -x "$root/.venv/bin/python" ]; then python=$root/.venv/bin/python; else python=python3; fi
fi
cd "$root"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" "$root/tools/check_gpu.py" "$@"
