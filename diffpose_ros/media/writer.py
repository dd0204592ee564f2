"""Writing video files that browsers play."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

Image = NDArray[np.uint8]


class VideoWriter:
    """Writes an mp4: H.264 where PyAV is installed (browsers play it), else MPEG-4 from OpenCV.

    Use it as a context manager.

    Args:
        path: the file to write; it appears under this name only when it is complete.
        fps: frames per second.
        size: (width, height) of every frame, pixels; odd sizes lose a row or a column.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        self.path = Path(path)
        self.size = (size[0] // 2 * 2, size[1] // 2 * 2)
        self._part = self.path.with_name(f".{self.path.stem}.part.mp4")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        self._sink = _sink(self._part, fps, self.size)

    def write(self, rgb: Image) -> None:
        """Append one (H, W, 3) uint8 RGB image.

        Raises:
            InputError: its size is not the one the file was opened with.
        """
        width, height = self.size
        if rgb.shape[0] - height not in (0, 1) or rgb.shape[1] - width not in (0, 1):
            raise InputError(
                f"{self.path}: expected images of {width}x{height}, got {rgb.shape[1]}x{rgb.shape[0]}"
            )
        self._sink.write(np.ascontiguousarray(rgb[:height, :width]))

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._sink.close()
        self._part.replace(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Sink(Protocol):
    def write(self, rgb: Image) -> None: ...

    def close(self) -> None: ...


class _AvSink:
    """H.264 through PyAV."""

    def __init__(self, av: Any, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._av = av
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream(
            "libx264", rate=rate, options={"crf": "21", "preset": "veryfast"}
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1

    def write(self, rgb: Image) -> None:
        frame = self._av.VideoFrame.from_ndarray(rgb, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _CvSink:
    """MPEG-4 part 2 through OpenCV, which has no H.264 encoder of its own."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
        if not self._writer.isOpened():
            raise InputError(f"{path}: OpenCV cannot write videos here; try `pip install av`")

    def write(self, rgb: Image) -> None:
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


def _sink(path: Path, fps: float, size: tuple[int, int]) -> _Sink:
    try:
        import av
    except ImportError:
        return _CvSink(path, fps, size)
    if "libx264" not in av.codecs_available:
        return _CvSink(path, fps, size)
    return _AvSink(av, path, fps, size)
