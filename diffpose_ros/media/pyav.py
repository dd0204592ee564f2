"""Video files and streams through PyAV, with the container's own times, rotation and pixel shape."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from diffpose_ros.core import InputError
from diffpose_ros.media.places import shown
from diffpose_ros.media.source import (
    DEFAULT_FPS,
    MAX_PIXELS,
    Clock,
    Image,
    VideoSource,
    holes,
    sensible_fps,
)

log = logging.getLogger(__name__)

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,gif,"
    "apng,flv,ogg,asf,mjpeg,yuv4mpegpipe,nut,mxf,dv,rm,swf,wtv"
)
"""Containers of one file. Those that name other files or addresses (hls, concat, sdp) are left out."""
METADATA: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
"""Texts in a file that are not UTF-8 are no reason to refuse it; PyAV 19 lets them pass by itself."""
NETWORK_OPTIONS = {"rtsp_transport": "tcp", "timeout": "10000000", "rw_timeout": "10000000"}
"""Lost UDP packets are grey pictures, so TCP; microseconds until silence is an error."""
NETWORK_TIMEOUT_S = 15.0
MAX_FAILURES = 500
"""Packets in a row that cannot be decoded before the rest is given up."""
MIN_ASPECT, MAX_ASPECT = 0.2, 5.0
THREADS = 2


class AvFile(VideoSource):
    """A video file, or a stream that others send.

    Args:
        place: a file's path, or an address.
        fps: overrides the rate and the times that the file says.

    Raises:
        InputError: it cannot be opened, or holds no video.
    """

    def __init__(self, place: Path | str, fps: float | None = None) -> None:
        self._place, self._fps = place, fps
        self._lock = threading.Lock()
        self._closed = False
        self._handle: int | None = None
        self.live = False
        self._name = shown(place)
        self._container: Any = self._open()
        self._fresh = True
        try:
            self._describe()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._release()

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        with self._lock:
            if self._closed:
                return
            if not self._fresh:
                self._release()
                self._container = self._open()
            self._fresh = False
        clock = Clock(self.fps, counted=self._fps is not None and not self.live)
        decoder = _Decoder(self._container, self._name)
        count = 0
        stamps = array("q")
        while True:
            with self._lock:
                if self._closed:
                    return
                frame = decoder.next_frame()
                if frame is None:
                    break
                image = self._shown(frame)
                seconds = _seconds(frame)
            stamp_ns = clock.stamp_ns(seconds)
            if not self.live:
                stamps.append(stamp_ns)
            yield image, stamp_ns
            count += 1
        self._judge(count, decoder, clock, stamps)

    def _judge(self, count: int, decoder: _Decoder, clock: Clock, stamps: Sequence[int]) -> None:
        """Say what went wrong without an error of its own."""
        if count == 0 and self._first is not None:
            raise InputError(f"{self._name}: not one frame could be decoded ({decoder.why or 'empty'})")
        # Headers round, and count frames that a variable rate leaves out: a file is cut off where
        # both its frames and its time end early.
        short = self.frames is not None and count < min(0.9 * self.frames, self.frames - 2)
        if short and clock.now_s < 0.9 * self._length_s:
            log.warning(
                "%s: ended after %d of %d frames; the rest is truncated or damaged",
                self._name, count, self.frames,
            )  # fmt: skip
        elif decoder.bad:
            log.warning(
                "%s: %d frames could not be decoded and are left out (%s)",
                self._name, decoder.bad, decoder.why,
            )  # fmt: skip
        elif any(missing := holes(stamps)):
            log.warning(
                "%s: %d frames are missing in %d places; it is damaged, or was recorded so",
                self._name, *missing,
            )  # fmt: skip
        elif decoder.torn:
            log.warning("%s: %d pieces of it are damaged; frames may be missing", self._name, decoder.torn)
        if clock.mended:
            log.warning("%s: %d frames have no usable time; counted instead", self._name, clock.mended)

    def _open(self) -> Any:
        try:
            if isinstance(self._place, str):
                limits = (NETWORK_TIMEOUT_S, NETWORK_TIMEOUT_S)
                return av.open(self._place, options=_network_options(self._place), timeout=limits)
            options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
            return av.open(self._address(self._place), options=options, **METADATA)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            self._drop_handle()
            raise InputError(self._refusal(error)) from None

    def _address(self, path: Path) -> str:
        """A name that FFmpeg takes for a file: no scheme in it is meant, no byte is lost."""
        absolute = os.path.abspath(path)
        try:
            absolute.encode("utf-8")
        except UnicodeEncodeError:
            self._handle = os.open(path, os.O_RDONLY)
            return f"file:/proc/self/fd/{self._handle}"
        return f"file:{absolute}"

    def _refusal(self, error: Exception) -> str:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(self._place, str):
            return f"{self._name}: cannot be opened ({why}); is the address right, and does it answer?"
        if isinstance(error, PermissionError):
            return f"{self._name}: cannot be read ({why})"
        return (
            f"{self._name}: not a video that can be read ({why}); expected H.264, HEVC, MJPEG, VP8, VP9 or "
            "AV1 in mp4, mkv, webm, avi or mpeg, or a GIF"
        )

    def _describe(self) -> None:
        stream = _video_stream(self._container)
        if stream is None:
            raise InputError(f"{self._name}: holds no video")
        self._seconds = _length_s(self._container)
        self.live = self.reopens = isinstance(self._place, str) and not self._seconds
        said = float(stream.average_rate or stream.guessed_rate or 0)
        if self._fps is None and not sensible_fps(said):
            if not isinstance(self._place, str):
                log.warning("%s: says %g frames per second; taking %g", self._name, said, DEFAULT_FPS)
            said = DEFAULT_FPS
        self._resized = False
        self._first: Any | None = None
        width, height = stream.codec_context.width, stream.codec_context.height
        turn = None
        if not self.live:
            self._first = self._peek()
            width, height = self._first.width, self._first.height
            turn = _turn(self._first)
        aspect = _aspect(stream.sample_aspect_ratio)
        if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
            raise InputError(f"{self._name}: says that its images are {width}x{height}")
        self._aspect, self._turn = aspect, turn
        self._decoded = (width, height)
        self._size = (max(1, round(width * aspect)), height)
        swapped = turn is not None and bool(turn[0, 1])
        size = (self._size[1], self._size[0]) if swapped else self._size
        count = stream.frames or round(self._seconds * said)
        self._length_s = count / said
        fps = self._fps or said
        super().__init__(self._name, fps, size, count if count > 0 and not self.live else None)

    def _peek(self) -> Any:
        """The first frame; the file is opened anew for reading."""
        decoder = _Decoder(self._container, self._name)
        frame = decoder.next_frame()
        if frame is None:
            why = decoder.why or "it is empty"
            raise InputError(f"{self._name}: not one frame could be decoded ({why})")
        self._fresh = False
        return frame

    def _shown(self, frame: Any) -> Image:
        """Upright RGB with square pixels, of the size that was announced."""
        if (frame.width, frame.height) != self._decoded and not self._resized:
            self._resized = True
            log.warning(
                "%s: the image changes to %dx%d; scaled to %dx%d",
                self._name, frame.width, frame.height, *self._size,
            )  # fmt: skip
        image: Image = frame.to_ndarray(format="rgb24")
        if frame.interlaced_frame:
            image = _one_field(image)
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        return image if self._turn is None else _turned(image, self._turn)

    def _release(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(av.error.FFmpegError):
                container.close()
        self._drop_handle()

    def _drop_handle(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


class _Decoder:
    """Frames of a container's video; packets that cannot be decoded are counted and passed over."""

    def __init__(self, container: Any, name: str) -> None:
        self._name = name
        stream: Any = _video_stream(container)
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = THREADS
        self._codec = stream.codec_context
        self._packets = container.demux(stream)
        self._ready: list[Any] = []
        self._ended = False
        self.bad = 0
        self.torn = 0
        """Packets that lack a piece; some decoders pass over them without a word."""
        self.why = ""

    def next_frame(self) -> Any | None:
        """The next whole frame; ``None`` at the end.

        Raises:
            InputError: the stream broke off.
        """
        failures = 0
        while not self._ready:
            if self._ended or failures > MAX_FAILURES:
                return None
            packet = self._packet()
            try:
                frames = self._frames(packet)
            except av.error.EOFError:
                self._ended = True
                continue
            except (OSError, ValueError, av.error.FFmpegError) as error:
                failures += 1
                self.bad += 1
                self.why = getattr(error, "strerror", None) or str(error)
                continue
            self.bad += len([f for f in frames if f.is_corrupt])
            if any(f.is_corrupt for f in frames):
                self.why = "damaged data"
            self._ready = [f for f in frames if not f.is_corrupt]
        return self._ready.pop(0)

    def _packet(self) -> Any | None:
        try:
            packet = next(self._packets, None)
        except av.error.EOFError:
            packet = None
        except (OSError, ValueError, av.error.FFmpegError) as error:
            if isinstance(error, (TimeoutError, ConnectionError, av.error.ExitError)):
                raise InputError(f"{self._name}: the stream broke off ({error})") from None
            self.bad += 1
            self.why = getattr(error, "strerror", None) or str(error)
            packet = None
        self._ended |= packet is None
        self.torn += int(packet is not None and packet.is_corrupt)
        return packet

    def _frames(self, packet: Any | None) -> list[Any]:
        """Frames that a packet completes; without one, those that the decoder still holds."""
        return list(self._codec.decode(None) if packet is None else packet.decode())


def _network_options(address: str) -> dict[str, str]:
    """RTMP takes a timeout as the order to wait for others to connect."""
    listening = address.lower().startswith("rtmp")
    return {name: value for name, value in NETWORK_OPTIONS.items() if not (listening and name == "timeout")}


def _video_stream(container: Any) -> Any | None:
    """The video, and not the picture of an album."""
    streams = [s for s in container.streams.video if not _is_attached(s)]
    return streams[0] if streams else None


def _is_attached(stream: Any) -> bool:
    disposition = getattr(stream, "disposition", None)
    return disposition is not None and "attached_pic" in str(disposition)


def _length_s(container: Any) -> float:
    """How long a file says it is, seconds; 0 where it does not say."""
    if not container.duration or container.duration < 0:
        return 0.0
    # Matroska and WebM count from zero, others from the first frame.
    start = container.start_time or 0
    counted_from_zero = "matroska" in container.format.name and 0 < start < container.duration
    return float((container.duration - (start if counted_from_zero else 0)) / av.time_base)


def _seconds(frame: Any) -> float | None:
    if frame.time_base is None:
        return None
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None else float(stamp * frame.time_base)


def _one_field(image: Image) -> Image:
    """The lines of one moment, those of the other moment interpolated between them."""
    out = image.copy()
    above, below = image[0:-1:2], image[2::2]
    odd = out[1 : 2 * len(below) : 2]
    odd[:] = cv2.addWeighted(above[: len(below)], 0.5, below, 0.5, 0.0)
    return out


def _aspect(said: Fraction | None) -> float:
    """Width of a pixel over its height; 1 where nothing believable is said."""
    value = float(said) if said else 1.0
    return value if MIN_ASPECT <= value <= MAX_ASPECT else 1.0


def _turn(frame: Any) -> np.ndarray | None:
    """(2, 2) of -1, 0, 1: from stored to shown directions; ``None`` where nothing turns."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
    size = max(abs(v) for v in (a, b, c, d))
    if not size:
        return None
    matrix = np.rint(np.array([[a, b], [c, d]]) / size).astype(int)
    if sorted(np.abs(matrix).sum(0)) != [1, 1] or sorted(np.abs(matrix).sum(1)) != [1, 1]:
        return None  # a slant: no camera writes one
    return None if np.array_equal(matrix, np.eye(2)) else matrix


def _turned(image: Image, turn: np.ndarray) -> Image:
    """Apply a display matrix: a stored (x, y) is shown at (x, y) @ ``turn``."""
    if turn[0, 1]:
        image = np.swapaxes(image, 0, 1)  # now x is the stored y
        flip_x, flip_y = turn[1, 0] < 0, turn[0, 1] < 0
    else:
        flip_x, flip_y = turn[0, 0] < 0, turn[1, 1] < 0
    if flip_x:
        image = image[:, ::-1]
    if flip_y:
        image = image[::-1]
    return np.ascontiguousarray(image)
