"""Writing video files that browsers play, whole or not at all."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.core.closing import Closing
from diffpose_ros.core.files import probe, reason, whole

Image = NDArray[np.uint8]
CLOCK_HZ = 90_000
SUFFIX = ".mp4"


class VideoWriter(Closing):
    """Writes an mp4: H.264 where PyAV is installed (browsers play it), else MPEG-4 from OpenCV.

    Use it as a context manager: when the block ends well the file gets its name; when it ends with
    an error there is no file, unless :meth:`finish` was called before.

    Args:
        path: the file to write; it appears under this name only when it is complete.
        fps: frames per second.
        size: (width, height) of every frame, pixels; odd sizes lose a row or a column.

    Raises:
        InputError: the file cannot be written, or its name does not end in ``.mp4``.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != SUFFIX:
            raise InputError(f"{self.path}: expected a name ending in {SUFFIX}")
        self.size = (size[0] // 2 * 2, size[1] // 2 * 2)
        if min(self.size) < 2:
            raise InputError(f"{self.path}: images of {size[0]}x{size[1]} are too small for a video")
        probe(self.path)
        self._files = contextlib.ExitStack()
        self._part = self._files.enter_context(_part_of(self.path))
        try:
            self._sink: _Sink | None = _sink(self._part.path, fps, self.size)
        except BaseException:
            self._files.close()
            raise
        self.frames = 0
        """How many were written."""

    def write(self, rgb: Image, stamp_ns: int | None = None) -> None:
        """Append one (H, W, 3) uint8 RGB image.

        Args:
            rgb: the image.
            stamp_ns: its time since the first one, nanoseconds; by the rate when ``None``. OpenCV
                writes at the rate alone.

        Raises:
            InputError: its size is not the one the file was opened with, or the disk is full.
        """
        width, height = self.size
        if rgb.shape[0] - height not in (0, 1) or rgb.shape[1] - width not in (0, 1):
            raise InputError(
                f"{self.path}: expected images of {width}x{height}, got {rgb.shape[1]}x{rgb.shape[0]}"
            )
        if self._sink is None:
            raise InputError(f"{self.path}: is closed")
        with self._refusals():
            self._sink.write(np.ascontiguousarray(rgb[:height, :width]), stamp_ns)
        self.frames += 1

    def finish(self, path: Path | None = None) -> None:
        """Complete the file and give it its name; once.

        Args:
            path: another name to give, for a part of what was meant.

        Raises:
            InputError: it cannot be completed; there is no file then.
        """
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            with self._refusals():
                sink.close()
            self._part.publish(self.path if path is None else path)
        finally:
            self._files.close()

    def discard(self) -> None:
        """Throw away what was written."""
        sink, self._sink = self._sink, None
        if sink is not None:
            with contextlib.suppress(Exception):
                sink.close()
        self._files.close()

    def leave(self, well: bool) -> None:
        if well:
            self.finish()
        else:
            self.discard()

    @contextlib.contextmanager
    def _refusals(self) -> Any:
        try:
            yield
        except InputError:
            raise
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({reason(error)})") from None


class _Part:
    """The file beside its name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def publish(self, name: Path) -> None:
        with whole(name) as part:
            self.path.replace(part)


@contextlib.contextmanager
def _part_of(path: Path) -> Any:
    """A new hidden file in the same folder; gone when the block ends, unless it was published."""
    import secrets

    part = _Part(path.resolve().parent / f".{secrets.token_hex(6)}.part{SUFFIX}")
    try:
        part.path.touch(exist_ok=False)
        yield part
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    finally:
        with contextlib.suppress(OSError):
            part.path.unlink(missing_ok=True)


class _Sink(Protocol):
    def write(self, rgb: Image, stamp_ns: int | None) -> None: ...

    def close(self) -> None: ...


class _Guarded(io.RawIOBase):
    """A file that tells FFmpeg that all is well and keeps the error: closing FFmpeg's muxer after a
    write that failed can end in a crash of the process.

    It has no ``name``, so that PyAV cannot open the file by itself.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._at = self._end = 0
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        if self.error is None:
            try:
                self._file.seek(self._at)
                view = memoryview(data)
                while view:
                    view = view[self._file.write(view) or 0 :]
            except OSError as error:
                self.error = error
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()

    def check(self) -> None:
        """Raise what a write ran into."""
        if self.error is not None:
            raise self.error


class _AvSink:
    """H.264 through PyAV."""

    def __init__(self, av: Any, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._av = av
        self._file = _Guarded(path)
        self._container = av.open(self._file, "w", format="mp4")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream(
            "libx264", rate=self._rate, options={"crf": "21", "preset": "veryfast"}
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        self._count, self._last = 0, -1

    def write(self, rgb: Image, stamp_ns: int | None) -> None:
        self._file.check()
        frame = self._av.VideoFrame.from_ndarray(rgb, format="rgb24")
        if stamp_ns is None:
            due = round(Fraction(self._count * CLOCK_HZ) / self._rate)
        else:
            due = stamp_ns * CLOCK_HZ // 1_000_000_000
        self._last = max(due, self._last + 1)
        self._count += 1
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK_HZ)
        self._container.mux(self._stream.encode(frame))
        self._file.check()

    def close(self) -> None:
        try:
            if self._count:
                self._container.mux(self._stream.encode())
            self._container.close()
            self._file.check()
        finally:
            self._file.close()


class _CvSink:
    """MPEG-4 part 2 through OpenCV, which has no H.264 encoder of its own."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        self._path, self._count = path, 0
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
        if not self._writer.isOpened():
            raise InputError(f"{path}: OpenCV cannot write videos here; try `pip install av`")

    def write(self, rgb: Image, stamp_ns: int | None) -> None:
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        self._count += 1

    def close(self) -> None:
        self._writer.release()
        if not self._count:
            return
        # OpenCV reports no failed write: the file's own count tells.
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if found < self._count:
            raise OSError(28, f"{found} of {self._count} frames arrived on the disk; is it full?")


def _sink(path: Path, fps: float, size: tuple[int, int]) -> _Sink:
    try:
        import av
    except ImportError:
        return _CvSink(path, fps, size)
    if "libx264" not in av.codecs_available:
        return _CvSink(path, fps, size)
    return _AvSink(av, path, fps, size)
