"""Clips for tests: a picture that says its own frame number, in every kind of container."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

SIZE = (64, 48)


def frame(i: int, size=SIZE) -> np.ndarray:
    """Red above left, green below left, blue above right; below right grey that grows with ``i``."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (220, 20, 20)
    image[height // 2 :, : width // 2] = (20, 220, 20)
    image[: height // 2, width // 2 :] = (20, 20, 220)
    image[height // 2 :, width // 2 :] = 20 + 10 * (i % 20)
    return image


def corners(image: np.ndarray) -> list[str]:
    """Which colour stands above left, below left, above right."""
    h, w = image.shape[:2]
    spots = ((h // 4, w // 4), (3 * h // 4, w // 4), (h // 4, 3 * w // 4))
    return ["rgb"[int(np.argmax(image[y, x]))] for y, x in spots]


def number(image: np.ndarray) -> int:
    """The frame's number, from the grey corner."""
    h, w = image.shape[:2]
    return round((float(image[3 * h // 4, 3 * w // 4].mean()) - 20) / 10)


def write(
    path, times=None, *, codec="libx264", pix_fmt="yuv420p", rate=25, size=SIZE, aspect=None,
    rotation=None, options=None, container_options=None, audio_from=None, images=None,
):  # fmt: skip
    """A video with a frame at each of ``times`` (seconds; default: twelve at ``rate``)."""
    import av

    times = [i / rate for i in range(12)] if times is None else list(times)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for i, t in enumerate(times):
            image = frame(i, size) if images is None else images[i]
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            picture.pts, picture.time_base = round(t * 1000), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path
