"""Bad inputs for every command, the same ones for the same seed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
PHOTO = HERE.parents[0] / "frontend" / "people.jpg"
WEIGHTS = HERE.parents[1] / "diffpose_ros" / "weights"

NUMBERS = ("0", "-1", "1e9", "nan", "inf", "-inf", "1.5", "", " ", "0x10", "²", "٣", "9" * 400, "1e400")
TEXTS = (
    "", " ", "\n", "a\tb", "ü" * 90, "x" * 300, "../..", "/", ".", "..", "~", "-", "--", "%s%n", "[red]",
)  # fmt: skip
NAMES = (
    "2024-05-01T12:30:00.mp4", "rtsp:a.mp4", "a b.mp4", "caf\udce9.mp4", "-v.mp4", "%d.png", "[x].mp4",
    "x" * 251 + ".mp4", "a\nb.mp4", "$(x).mp4", "'.mp4", "²", "٣", "0.mp4.", "[bold].npz",
)  # fmt: skip
PLACES = (
    "/dev/null", "/dev/full", "/dev/zero", "/dev/video250", "/proc/self/mem", "/nonexistent/a/b", "/",
    "rtsp://", "foo://bar", "http://", "file:///nonexistent", "99", "-5", "1e3", "x" * 5000, "\udcff",
)  # fmt: skip
YAMLS = (
    "", "[]", "a", "- a\n- b", "{", "a: [1, 2", "&a [*a]", "!!python/object/apply:os.system ['true']",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]", "[" * 3000, "a: " + "9" * 5000,
    "\x00\x01", "a: .nan\nb: .inf", "1: 2\n1: 3", "? [a]\n: b", "task: 5\ndata: {}\n", "<<: 7",
)  # fmt: skip

Words = list[str]
Maker = Callable[[np.random.Generator, Path], Words]


def make(seed: int, index: int, folder: Path) -> Words:
    """The words of call ``index``; what it reads is put into ``folder``."""
    rng = np.random.default_rng([seed, index])
    maker = MAKERS[index % len(MAKERS)]
    words = maker(rng, folder)
    if rng.random() < 0.1:
        words.insert(int(rng.integers(len(words) + 1)), _pick(rng, (*TEXTS, *NUMBERS, *PLACES, "--frames")))
    return [word.replace("\0", "") for word in words]


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _noise(rng: np.random.Generator, most: int = 4000) -> bytes:
    return rng.integers(0, 256, int(rng.integers(0, most)), dtype=np.uint8).tobytes()


def _mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Bits flipped, a piece cut out, doubled or overwritten, or the end missing."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        if not out:
            break
        at = int(rng.integers(len(out)))
        if rng.random() < 0.5:  # headers decide more than what follows them
            at = min(at, int(rng.integers(1, 400)), len(out) - 1)
        kind = int(rng.integers(5))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[at : at + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
        elif kind == 2:
            del out[at : at + int(rng.integers(1, 50))]
        elif kind == 3:
            out[at:at] = out[at : at + int(rng.integers(1, 50))]
        else:
            del out[max(1, at) :]
    return bytes(out)


def _clip(rng: np.random.Generator) -> tuple[str, bytes]:
    """A short clip in a random container."""
    import av

    kinds = (("mp4", "libx264", "yuv420p"), ("mkv", "ffv1", "yuv420p"), ("gif", "gif", "rgb8"),
             ("avi", "mjpeg", "yuvj420p"), ("ts", "libx264", "yuv420p"),
             ("webm", "libvpx-vp9", "yuv420p"))  # fmt: skip
    suffix, codec, pix_fmt = kinds[int(rng.integers(len(kinds)))]
    file = io.BytesIO()
    formats = {"mkv": "matroska", "ts": "mpegts"}
    with av.open(file, "w", format=formats.get(suffix, suffix)) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for i in range(6):
            image = np.full((48, 64, 3), 40 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return suffix, file.getvalue()


def _image(rng: np.random.Generator) -> tuple[str, bytes]:
    shapes = ((48, 64), (1, 1), (1, 4000), (4000, 1), (20, 20000), (2, 3), (600, 400))
    shape = shapes[int(rng.integers(len(shapes)))]
    suffix = _pick(rng, (".png", ".jpg", ".bmp", ".tiff", ".webp", ".pgm"))
    dtype = np.uint16 if suffix in (".png", ".tiff") and rng.random() < 0.4 else np.uint8
    channels = () if rng.random() < 0.3 or suffix == ".pgm" else (3,)
    ok, data = cv2.imencode(suffix, rng.integers(0, 255, (*shape, *channels)).astype(dtype))
    return (suffix, bytes(data)) if ok else (".png", _noise(rng))


def _source(rng: np.random.Generator, folder: Path) -> str:
    kind = int(rng.integers(9))
    if kind == 0:
        return _pick(rng, PLACES)
    if kind == 1:
        os.mkfifo(folder / "pipe.mp4")
        return str(folder / "pipe.mp4")
    if kind <= 3:  # a folder of images, some of them bad
        images = folder / "images"
        images.mkdir()
        for i in range(int(rng.integers(0, 4))):
            suffix, data = _image(rng)
            (images / f"{i}{suffix}").write_bytes(_mutated(rng, data) if rng.random() < 0.3 else data)
        if rng.random() < 0.3:
            (images / "._0.png").write_bytes(b"finder")
        if rng.random() < 0.2:
            (images / "9.png").mkdir()
        return str(images)
    suffix, data = _image(rng) if kind <= 5 else _clip(rng)
    name = _pick(rng, NAMES) if rng.random() < 0.3 else f"v.{suffix.lstrip('.')}"
    if kind == 8:
        data = _noise(rng)
    elif rng.random() < 0.8:
        data = _mutated(rng, data)
    (folder / name).write_bytes(data)
    return str(folder / name)


def _camera(rng: np.random.Generator, folder: Path) -> str:
    from diffpose_ros.core import Camera
    from diffpose_ros.media.camera_yaml import write_camera

    path = folder / "camera.yaml"
    if rng.random() < 0.4:
        path.write_text(_pick(rng, YAMLS))
    else:
        write_camera(path, Camera.from_fov(64, 48))
        path.write_bytes(_mutated(rng, path.read_bytes()))
    return str(path)


def _output(rng: np.random.Generator, folder: Path, suffix: str) -> str:
    kind = int(rng.integers(6))
    if kind == 0:
        return _pick(rng, PLACES) if rng.random() < 0.5 else _pick(rng, TEXTS)
    if kind == 1:
        (folder / f"old{suffix}").write_bytes(b"old")
        return str(folder / f"old{suffix}")
    return str(folder / f"out{suffix}")


def lift(rng: np.random.Generator, folder: Path) -> Words:
    words = ["lift", _source(rng, folder), "--output", _output(rng, folder, ".npz")]
    for option, value in (
        ("--camera", _camera), ("--overlay", lambda r, f: _output(r, f, ".mp4")),
        ("--fps", lambda r, f: _pick(r, NUMBERS)), ("--frames", lambda r, f: _pick(r, ("1", "2", *NUMBERS))),
        ("--detector-size", lambda r, f: _pick(r, ("128", "1280", "200", *NUMBERS))),
        ("--model", lambda r, f: _model(r, f)), ("--fov", lambda r, f: _pick(r, NUMBERS)),
        ("--detector", lambda r, f: _pick(r, TEXTS)),
    ):  # fmt: skip
        if rng.random() < 0.15:
            words += [option, value(rng, folder)]
    return words + (["--overwrite"] if rng.random() < 0.3 else [])


def _arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    frames = int(rng.integers(0, 6))
    arrays = {
        "offsets": np.array([0, frames]), "keypoints": rng.uniform(0, 600, (frames, 17, 3)),
        "skeleton": rng.normal(0, 1, (frames, 17, 3)), "camera_matrix": np.eye(3)[None] * 500,
        "image_size": np.array([640, 480]), "fps": np.float32(30),
    }  # fmt: skip
    for name in list(arrays):
        chance = rng.random()
        if chance < 0.08:
            del arrays[name]
        elif chance < 0.2:
            bad = (np.array("x"), np.array([None, {}], dtype=object), np.full((3, 3), np.nan), np.int64(-7),
                   np.zeros((0, 17, 3)), np.array([1e300]), arrays[name].astype(np.complex128))  # fmt: skip
            arrays[name] = bad[int(rng.integers(len(bad)))]
    return arrays


def _benchmark(rng: np.random.Generator, folder: Path) -> str:
    path = folder / "data.npz"
    kind = int(rng.integers(6))
    if kind == 0:
        return _pick(rng, PLACES)
    if kind == 1:
        path.write_bytes(_noise(rng))
    elif kind == 2:  # a small file that says it is large
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 17, 3)}
        )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in _arrays(rng):
                archive.writestr(f"{name}.npy", header.getvalue() + bytes(100_000))
    else:
        np.savez_compressed(path, **_arrays(rng))
        if kind == 3:
            path.write_bytes(_mutated(rng, path.read_bytes()))
    return str(path)


def evaluate(rng: np.random.Generator, folder: Path) -> Words:
    words = ["evaluate", "--data", _benchmark(rng, folder)]
    if rng.random() < 0.3:
        words += ["--json", _output(rng, folder, ".json")]
    if rng.random() < 0.3:
        words += ["--frame-rate", _pick(rng, NUMBERS)]
    if rng.random() < 0.2:
        words += ["--model", _model(rng, folder)]
    return words


def results(rng: np.random.Generator, folder: Path) -> Words:
    page = ["--output", str(folder / "page.md")]
    return ["results", "--data", _benchmark(rng, folder), *page, "--sequences", _pick(rng, NUMBERS)]


def _model(rng: np.random.Generator, folder: Path) -> str:
    path = folder / "model.onnx"
    kind = int(rng.integers(4))
    if kind == 0:
        return _pick(rng, TEXTS) or "x"
    data = _noise(rng) if kind == 1 else (WEIGHTS / "diffpose" / "model_1.onnx").read_bytes()
    if kind == 2:
        data = _mutated(rng, data)
    elif kind == 3:  # the description of the graph, at its end
        at = data.rfind(b'"format"')
        data = data[:at] + _mutated(rng, data[at:])
    path.write_bytes(data)
    return str(path)


def build_engine(rng: np.random.Generator, folder: Path) -> Words:
    return ["build-engine", _model(rng, folder), "--max-people", _pick(rng, ("1", *NUMBERS))]


def bench(rng: np.random.Generator, folder: Path) -> Words:
    half = '{"backend": {}, "ratios": {}}'
    texts = ("", "{}", "[]", "null", '{"backend": 5}', half, "[" * 3000, "\x00", "NaN")
    (folder / "b.json").write_text(_pick(rng, texts))
    if rng.random() < 0.5:
        return ["bench", "--people", _pick(rng, NUMBERS)]
    return ["bench", "--from", str(folder / "b.json"), "--json", _output(rng, folder, ".json")]


def _config(rng: np.random.Generator, folder: Path) -> str:
    path = folder / "config.yaml"
    shipped = sorted((HERE.parents[1] / "config" / "training").glob("*.yaml"))
    if rng.random() < 0.4:
        path.write_text(_pick(rng, YAMLS))
    else:
        data = shipped[int(rng.integers(len(shipped)))].read_bytes()
        path.write_bytes(_mutated(rng, data))
    return str(path)


def train(rng: np.random.Generator, folder: Path) -> Words:
    # without data nothing can be trained by mistake
    out = ["--output", str(folder / "out"), "--data", str(folder / "none.npz")]
    return ["train", _config(rng, folder), *out]


def ablate(rng: np.random.Generator, folder: Path) -> Words:
    out = ["--folder", str(folder / "out"), "--data", str(folder / "none.npz")]
    return ["ablate", _config(rng, folder), *out, "--benchmark", _benchmark(rng, folder)]


def export(rng: np.random.Generator, folder: Path) -> Words:
    (folder / "config.yaml").write_bytes(_mutated(rng, (WEIGHTS / "diffpose" / "config.yaml").read_bytes()))
    (folder / "model.safetensors").write_bytes(_noise(rng))
    return ["export", str(folder), "--steps", _pick(rng, NUMBERS)]


def demo(rng: np.random.Generator, folder: Path) -> Words:
    """Only what fails before the nodes start."""
    source = _pick(rng, PLACES) if rng.random() < 0.5 else str(folder / "none.mp4")
    if rng.random() < 0.3:
        (folder / "noise.mp4").write_bytes(_noise(rng))
        source = str(folder / "noise.mp4")
    speed = _pick(rng, ("1", *NUMBERS))
    return ["demo", source or "x", "--output", _output(rng, folder, ""), "--speed", speed]


def words(rng: np.random.Generator, folder: Path) -> Words:
    commands = ("lift", "evaluate", "results", "bench", "train", "ablate", "export", "build-engine", "x", "")
    options = ("--help", "--version", "--output", "--data", "--debug-", "--json", "--fov", "--frames")
    count = int(rng.integers(0, 4))
    mixed = [_pick(rng, (*options, *TEXTS, *NUMBERS)) for _ in range(count)]
    command = _pick(rng, commands)
    # `demo` without a video would play its clip, `bench` would measure for minutes
    return [command, *(["--people", "0"] if command == "bench" else []), *mixed]


MAKERS: tuple[Maker, ...] = (
    lift, evaluate, lift, words, lift, train, lift, bench, lift, demo, lift, results, lift, export, lift,
    build_engine, lift, ablate, evaluate, lift,
)  # fmt: skip
