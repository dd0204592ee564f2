"""Which arithmetic a training step uses: bfloat16 only where the machine computes in it."""

from __future__ import annotations

from pathlib import Path

import torch

PRECISIONS = ("auto", "float32", "bfloat16")
NATIVE = ("avx512_bf16", "amx_bf16", "bf16", "svebf16")
"""Flags of /proc/cpuinfo by which a CPU (x86, then Arm) says that it multiplies in bfloat16."""

CPUINFO = Path("/proc/cpuinfo")


def choose_precision(
    wanted: str, device: torch.device, cpuinfo: Path = CPUINFO
) -> tuple[bool, str]:
    """Whether to run under bfloat16 autocast, and why.

    Without native support bfloat16 is emulated and a step takes more than twice as long as in float32.

    Args:
        wanted: one of :data:`PRECISIONS`.
        device: where training runs.
        cpuinfo: what the kernel says of the CPU.

    Returns:
        Whether bfloat16 is used, and a sentence for the log.
    """
    if wanted == "float32":
        return False, "float32, as configured"
    if device.type == "cuda":
        native, who = torch.cuda.is_bf16_supported(), torch.cuda.get_device_name(device)
    else:
        flag = _native_flag(cpuinfo)
        native, who = flag is not None, f"this CPU ({flag})" if flag else "this CPU"
    if wanted == "bfloat16":
        slow = "" if native else f"; {who} only emulates it, float32 would be faster"
        return True, f"bfloat16, as configured{slow}"
    if native:
        return True, f"bfloat16: {who} has it"
    return False, f"float32: {who} has no bfloat16 of its own"


def _native_flag(cpuinfo: Path) -> str | None:
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            flags = set(value.split())
            return next((flag for flag in NATIVE if flag in flags), None)
    return None
