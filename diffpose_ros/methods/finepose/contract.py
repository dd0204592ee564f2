"""The contract of a FinePOSE model's file (docs/model_files.md): a diffusion model's, and prompts."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.diffusion.contract import DiffusionSpec, parse_diffusion
from diffpose_ros.methods.finepose.prompts import PARTS, SEEN, SPEED, SPEEDS, STANDARD, Vocabulary
from diffpose_ros.methods.model_file import ModelFile
from diffpose_ros.runtime.graph_spec import PEOPLE, GraphInput

PROMPT = "prompt"
MAX_WEIGHTS = 4096


@dataclass(frozen=True)
class FinePoseSpec(DiffusionSpec):
    """A FinePOSE model's file, validated.

    Attributes:
        vocabulary: its prompts and their words.
    """

    vocabulary: Vocabulary = field(default=STANDARD)


def parse(file: ModelFile) -> FinePoseSpec:
    """Read and check the file; see :func:`diffpose_ros.methods.registry.read_spec`."""
    said = file.metadata["prompts"]
    words = {str(prompt): tuple(str(w) for w in listed) for prompt, listed in said.items()}
    try:
        vocabulary = Vocabulary(words)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    if not 1 <= len(vocabulary) <= MAX_WEIGHTS:
        raise ValueError(f"prompts: expected up to {MAX_WEIGHTS} words, got {len(vocabulary)}")
    for prompt, known in ((SPEED, SPEEDS), *((part, SEEN) for part in PARTS)):
        if prompt in words and words[prompt] != known:
            raise ValueError(f"prompts: {prompt}: expected {list(known)}, got {list(words[prompt])}")
    told = GraphInput((PEOPLE, len(vocabulary)))
    return FinePoseSpec(**parse_diffusion(file, {PROMPT: told}, required=(PROMPT,)), vocabulary=vocabulary)
