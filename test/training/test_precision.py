"""bfloat16 where the CPU computes in it, float32 where it would be emulated."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.training import build as building
from diffpose_ros.training.config import TrainingConfig
from diffpose_ros.training.precision import choose_precision

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2 avx2 avx512f {}\nbugs\t\t: spectre\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU implementer\t: 0x41\n"
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "native"),
    [(X86.format("avx512_bf16"), True), (X86.format("amx_bf16 amx_tile"), True), (X86.format(""), False),
     (ARM.format("bf16"), True), (ARM.format(""), False), ("", False), (None, False)],
    ids=["avx512_bf16", "amx", "x86 without", "arm", "arm without", "empty", "no such file"],
)  # fmt: skip
def test_precision_chooses_itself_by_the_cpu(tmp_path: Path, text: str | None, native: bool) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    bfloat16, reason = choose_precision("auto", CPU, path)
    assert bfloat16 == native
    assert reason.startswith("bfloat16: this CPU (" if native else "float32: this CPU has no bfloat16")


def test_what_is_asked_for_is_done_and_its_price_is_said(tmp_path: Path) -> None:
    (tmp_path / "with").write_text(X86.format("avx512_bf16"))
    (tmp_path / "without").write_text(X86.format(""))
    assert choose_precision("float32", CPU, tmp_path / "with") == (False, "float32, as configured")
    assert choose_precision("bfloat16", CPU, tmp_path / "with") == (True, "bfloat16, as configured")
    bfloat16, reason = choose_precision("bfloat16", CPU, tmp_path / "without")
    assert bfloat16
    assert "only emulates it, float32 would be faster" in reason


@pytest.mark.parametrize("native", [True, False])
def test_a_run_computes_in_what_was_chosen(plan, monkeypatch, native: bool) -> None:
    monkeypatch.setattr(building, "choose_precision", lambda *_: (native, "because"))
    job = building.build(from_mapping(TrainingConfig, plan(precision="auto")))
    assert job.precision == "because"
    seen = []
    job.module.tell_apart.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    job.trainer.loss(job.trainer.dataset[0], 0)
    assert seen == [torch.bfloat16 if native else torch.float32]
