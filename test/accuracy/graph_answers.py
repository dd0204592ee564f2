"""Runs a model file frame after frame with caches of its own, as the graph's contract says
(docs/model_files.md), from recorded inputs. Nothing of the lifter takes part.

``golden_inputs.npz`` holds ten frames of three people of the CMU excerpt as the network sees them
(F, P, ...), and the noise. Rings are short, so that ten frames wrap them. ``golden.npz`` holds what
the shipped graphs answer; with new weights, ``python test/accuracy/graph_answers.py`` writes it anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from diffpose_ros.core.resources import weights_path
from diffpose_ros.methods.registry import graph_of, read_spec
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import BackendOptions

HERE = Path(__file__).resolve().parent
INPUTS, NUMBERS = HERE / "golden_inputs.npz", HERE / "golden.npz"
GRAPHS = [
    *(f"{model}/{file}" for model in ("diffpose", "starpose") for file in ("model", "model_2", "model_1")),
    *("baseline/model", "baseline_people/model"),
]
UP = (0.1, -0.97, 0.22)
"""What models with gravity are told, beside the recorded view."""
WINDOWS = {"context": 4, "history": 3}
FPS = 15.0


def start(graph: str, backend: str) -> Any:
    """One backend on one shipped graph."""
    options = BackendOptions(max_people=3, sizes=WINDOWS)
    return load_backend(graph_of(weights_path(f"{graph}.onnx")), backend, options)


def answers(backend: Any) -> dict[str, np.ndarray]:
    """What a backend says of the recorded inputs.

    Returns:
        ``mean`` (F, P, 17, 3) of every frame; ``covariance`` (P, 17, 3, 3), ``hypotheses``
        (P, N, 17, 3) if it has any and, as one weighted sum per person, each new cache entry of the last
        frame.
    """
    spec = read_spec(backend.spec.path)
    with np.load(INPUTS, allow_pickle=False) as f:
        recorded = {name: f[name] for name in f}
    frames, people = recorded["points"].shape[:2]
    if spec.graph.inputs["view"].shape[1] > recorded["view"].shape[2]:
        up = np.broadcast_to(np.array(UP, np.float32), (frames, people, 3))
        recorded["view"] = np.concatenate([recorded["view"], up], axis=2)
    noise = np.repeat(recorded.pop("noise")[None], people, 0)
    stamps = {ring: np.full((people, WINDOWS[ring]), np.nan) for ring in spec.rings}
    caches = {s.input: np.zeros((people, *s.with_slots(WINDOWS[s.ring])), np.float32) for s in spec.state}
    written = dict.fromkeys(spec.rings, 0)
    means = []
    for frame in range(frames):
        now = frame / FPS
        feeds = {name: value[frame] for name, value in recorded.items()} | caches
        feeds |= {"noise": noise, "guidance": np.array(getattr(spec, "guidance", ()))}
        for ring, at in stamps.items():
            feeds[spec.rings[ring].age] = np.nan_to_num(now - at, nan=-1.0)
        out = backend.run({n: np.ascontiguousarray(feeds[n], dtype=np.float32) for n in spec.graph.inputs})
        means.append(out["mean"])
        for ring, at in stamps.items():
            # What the history keeps of a frame comes out with the next one.
            stamp = now - 1 / FPS if ring == "history" else now
            if stamp < 0:
                continue
            slot = written[ring] % WINDOWS[ring]
            at[:, slot] = stamp
            written[ring] += 1
            for s in spec.state:
                if s.ring == ring:
                    slots = np.moveaxis(caches[s.input], s.slot_axis + 1, 1)
                    slots[:, slot] = out[s.output].reshape(people, *slots.shape[2:])
    entries = {s.output: out[s.output].reshape(people, -1) for s in spec.state}
    last = {name: out[name] for name in ("covariance", "hypotheses") if name in out}
    sums = {name: (v @ np.cos(np.arange(v.shape[1]))) / np.sqrt(v.shape[1]) for name, v in entries.items()}
    return {"mean": np.stack(means)} | last | sums


def main() -> None:
    """Write the golden numbers of every graph, from ONNX Runtime."""
    made = {}
    for graph in GRAPHS:
        backend = start(graph, "onnxruntime")
        made |= {f"{graph}/{name}": v.astype(np.float32) for name, v in answers(backend).items()}
        backend.close()
    np.savez_compressed(NUMBERS, **made)


if __name__ == "__main__":
    main()
