"""Streams that others send, over RTSP and HTTP, and what is no camera."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("av", reason="needs PyAV (av)")

from diffpose_ros.core import InputError
from diffpose_ros.media import pyav
from diffpose_ros.media.video import open_source

sys.path.insert(0, str(Path(__file__).parent))
import clips


class RtspServer:
    """A folder's videos over RTSP, from a thread."""

    def __init__(self, folder, port: int) -> None:
        toolkit = pytest.importorskip("aio_rtsp_toolkit.server", reason="needs aio-rtsp-toolkit")
        toolkit.logger = logging.getLogger("rtsp server")
        self._loop = asyncio.new_event_loop()
        self._server = toolkit.RtspServer(str(folder), "127.0.0.1", port)
        self._loop.run_until_complete(self._server.start())
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def stop(self) -> None:
        """As a camera that is switched off: connections end without a word."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0.05))
            self._loop.run_until_complete(asyncio.wait_for(self._close(), 2))
            self._loop.close()

    async def _close(self) -> None:
        self._server._server.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def rtsp(tmp_path):
    """A server with ``v.mp4`` (1 s) and ``long.mp4`` (a minute), and its port."""
    clips.write(tmp_path / "v.mp4", [i / 25 for i in range(25)], options={"g": "5", "tune": "zerolatency"})
    minute = [i / 25 for i in range(1500)]
    clips.write(tmp_path / "long.mp4", minute, options={"g": "5", "preset": "ultrafast"})
    port = free_port()
    server = RtspServer(tmp_path, port)
    yield server, port
    server.stop()


def test_a_stream_is_read_with_its_own_times_and_the_newest_image_wins(rtsp):
    with open_source(f"rtsp://127.0.0.1:{rtsp[1]}/v.mp4") as source:
        assert (source.width, source.height, source.frames) == (*clips.SIZE, None)
        seen = [(clips.number(image), stamp_ns) for image, stamp_ns in source]
    assert len(seen) >= 10
    first = seen[0][0]
    for number, stamp_ns in seen:
        assert round(stamp_ns / 4e7) % 20 == (number - first) % 20


def test_a_stream_that_breaks_off_ends_soon_and_can_be_opened_again(rtsp, tmp_path, monkeypatch):
    monkeypatch.setattr(pyav, "NETWORK_TIMEOUT_S", 1.0)
    server, port = rtsp
    count = 0
    with open_source(f"rtsp://127.0.0.1:{port}/long.mp4") as source:
        assert source.reopens
        with contextlib.suppress(InputError):  # or an end, as the server's system closes the connection
            for _ in source:
                count += 1
                if count == 5:
                    server.stop()
                    began = time.monotonic()
        assert count >= 5
        assert time.monotonic() - began < 20
        with pytest.raises(InputError, match="cannot be opened"):
            next(iter(source))
        again = RtspServer(tmp_path, port)
        try:
            assert next(iter(source))[1] == 0
        finally:
            again.stop()


def test_an_address_with_nothing_behind_it_is_named_without_its_password(rtsp):
    with pytest.raises(InputError, match=r"/nope\.mp4: cannot be opened \(.*404"):
        open_source(f"rtsp://127.0.0.1:{rtsp[1]}/nope.mp4")


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp", "rtmp"])
def test_where_nobody_listens_that_is_said_at_once(scheme):
    began = time.monotonic()
    with pytest.raises(InputError, match=r"://me:\*\*\*@127.0.0.1:\d+/a: cannot be opened") as caught:
        open_source(f"{scheme}://me:secret@127.0.0.1:{free_port()}/a")
    assert "secret" not in str(caught.value)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_never_answers_is_given_up(scheme, monkeypatch):
    monkeypatch.setattr(pyav, "NETWORK_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(InputError, match="cannot be opened"):
            open_source(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/a")
    assert time.monotonic() - began < 8


def test_a_video_behind_http_is_a_file_with_all_its_frames(tmp_path):
    clips.write(tmp_path / "v.mp4")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with open_source(f"{address}/v.mp4") as source:
            assert source.frames == 12
            assert not source.reopens
            assert [clips.number(image) for image, _ in source] == list(range(12))
        with pytest.raises(InputError, match=r"gone\.mp4: cannot be opened"):
            open_source(f"{address}/gone.mp4")
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/dev/video250", "no such camera; is it plugged in"),
        ("/dev/v4l/by-id/usb-none-index0", "no such camera; is it plugged in"),
        ("250", "camera 250: cannot be opened; is it there, and free?"),
        ("256", "camera 256: expected 0 to 255"),
        ("/dev/null", "expected a video, an image or a folder, got a device"),
        ("{tmp}/pipe.mp4", "got a named pipe"),
        ("{tmp}/socket", "got a socket"),
        ("{tmp}/link-to-null", "got a device"),
        ("{tmp}/link-to-nothing", "no such file or folder"),
        ("{tmp}/round", "cannot be read"),
        ("foo://bar", "expected an address that begins with rtsp"),
        ("rtsp://", "no such file or folder"),
    ],
)
def test_what_is_no_camera_and_no_video_is_named(name, text, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link-to-null").symlink_to("/dev/null")
    (tmp_path / "link-to-nothing").symlink_to("/dev/video250")
    (tmp_path / "round").symlink_to("round")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        with pytest.raises(InputError, match=text) as caught:
            open_source(name.format(tmp=tmp_path))
    assert "\n" not in str(caught.value)
