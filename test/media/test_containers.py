"""What a container says of a video (times, rotation, shape of pixels) and what its codec holds."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs PyAV to make and read these files")

from diffpose_ros.core import InputError
from diffpose_ros.media.source import Clock, holes
from diffpose_ros.media.video import open_source

sys.path.insert(0, str(Path(__file__).parent))
import clips

VARIABLE = [0, 0.033, 0.066, 0.4, 0.433, 0.967, 1.0, 1.4, 1.5, 1.533, 1.9, 2.0]


def read(path, **options):
    with open_source(path, **options) as source:
        rows = list(source)
        size = (source.width, source.height)
    assert all(image.shape == (size[1], size[0], 3) for image, _ in rows)
    assert all(image.dtype == np.uint8 for image, _ in rows)
    return [image for image, _ in rows], [stamp / 1e9 for _, stamp in rows], size


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.avi", {"codec": "mpeg4"}),
    ],
)
def test_frames_have_the_times_that_the_file_gives_them(tmp_path, name, options, caplog):
    images, times, _ = read(clips.write(tmp_path / name, VARIABLE, **options))
    assert times == pytest.approx(VARIABLE, abs=0.002)
    assert [clips.number(image) for image in images] == list(range(12))
    assert caplog.text == ""


def test_the_durations_of_a_gif_are_kept(tmp_path):
    times = [0, 0.05, 0.1, 0.4, 0.45, 0.97, 1.0]
    path = clips.write(tmp_path / "a.gif", times, codec="gif", pix_fmt="rgb8")
    assert read(path)[1] == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_times_count_from_the_first_frame(tmp_path, name, caplog):
    path = clips.write(tmp_path / name, [5 + i / 25 for i in range(12)])
    assert read(path)[1] == pytest.approx([i / 25 for i in range(12)], abs=0.002)
    assert "truncated" not in caplog.text


def test_a_rate_that_is_asked_for_is_counted_with(tmp_path):
    path = clips.write(tmp_path / "a.mp4", VARIABLE)
    assert read(path, fps=10.0)[1] == pytest.approx([i / 10 for i in range(12)])


@pytest.mark.parametrize(
    ("degrees", "seen"), [(90, "brr"), (180, "rbg"), (-90, "grr")], ids=["left", "over", "right"]
)
def test_a_rotated_video_is_shown_upright(tmp_path, degrees, seen):
    images, _, size = read(clips.write(tmp_path / "a.mp4", rotation=degrees))
    assert size == ((64, 48) if degrees == 180 else (48, 64))
    assert "".join(clips.corners(images[0])) == seen


@pytest.mark.parametrize(("aspect", "width"), [("16/15", 68), ("2/1", 128), ("1/1", 64)])
def test_pixels_become_square(tmp_path, aspect, width):
    assert read(clips.write(tmp_path / "a.mp4", aspect=aspect))[2] == (width, 48)


FORMATS = [
    ("a.mkv", {"codec": "ffv1", "pix_fmt": "yuv420p10le"}),
    ("a.mkv", {"codec": "ffv1", "pix_fmt": "yuv422p12le"}),
    ("a.mkv", {"codec": "ffv1", "pix_fmt": "yuva420p"}),
    ("a.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}),
    ("a.webm", {"codec": "libvpx-vp9", "pix_fmt": "yuva420p"}),
    ("a.mov", {"codec": "qtrle", "pix_fmt": "argb"}),
    ("a.mov", {"codec": "prores", "pix_fmt": "yuv422p10le"}),
    ("a.mp4", {"pix_fmt": "yuv420p10le"}),
    ("a.ts", {"options": {"x264-params": "interlaced=1"}}),
    ("a.mp4", {"options": {"x264-params": "interlaced=1:bff=1"}}),
    ("a.h264", {}),
    ("a.mjpeg", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ("a.apng", {"codec": "apng", "pix_fmt": "rgb24"}),
]


@pytest.mark.parametrize(
    ("name", "options"), FORMATS, ids=[f"{n} {' '.join(map(str, o.values()))}" for n, o in FORMATS]
)
def test_other_codecs_and_depths_look_like_the_plain_copy(tmp_path, name, options):
    images, times, _ = read(clips.write(tmp_path / name, **options))
    assert [clips.number(image) for image in images] == list(range(12))
    assert clips.corners(images[5]) == ["r", "g", "b"]
    difference = np.abs(images[5].astype(int) - clips.frame(5))
    assert difference.mean() < 5
    assert times == pytest.approx([i / 25 for i in range(12)], abs=0.002)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray12le", "gray16le"])
def test_grey_video_has_its_own_brightness(tmp_path, pix_fmt):
    images, _, _ = read(clips.write(tmp_path / "a.mkv", codec="ffv1", pix_fmt=pix_fmt))
    assert [clips.number(image) for image in images] == pytest.approx(list(range(12)), abs=1)
    assert int(np.ptp(images[0], axis=2).max()) == 0


def test_of_two_interlaced_moments_one_is_shown(tmp_path):
    """A white bar that is elsewhere in the second field must not be seen twice."""
    comb = np.zeros((48, 64, 3), np.uint8)
    comb[0::2, 8:16] = 255
    comb[1::2, 40:48] = 255
    path = clips.write(
        tmp_path / "a.mp4", images=[comb] * 12, options={"x264-params": "interlaced=1", "crf": "1"}
    )
    image = read(path)[0][6].astype(int)
    assert image[20:28, 10:14].mean() > 200
    assert image[20:28, 42:46].mean() < 60


def test_damaged_frames_are_left_out_and_counted(tmp_path, caplog):
    path = clips.write(tmp_path / "a.ts", [i / 25 for i in range(60)], options={"g": "5"})
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    for at in rng.integers(len(data) // 3, 2 * len(data) // 3, 12):
        data[at] ^= 0xFF
    path.write_bytes(data)
    images, times, _ = read(path)
    assert 10 < len(images) < 60
    assert np.all(np.diff(times) > 0)
    assert "could not be decoded and are left out" in caplog.text or "truncated or damaged" in caplog.text


@pytest.mark.parametrize(
    "name",
    ["2024-05-01T12:30:00.mp4", "rtsp:cam.mp4", "http:", b"caf\xe9.mp4", "a%20b #1.mp4", "x" * 251 + ".mp4"],
    ids=["colons", "like an address", "a scheme", "not UTF-8", "escapes", "255 bytes"],
)
def test_any_name_that_the_system_allows_is_a_file(tmp_path, name):
    name = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    path = tmp_path / name
    clips.write(tmp_path / "plain.mp4").rename(path)
    with open_source(str(path)) as source:
        assert sum(1 for _ in source) == 12
        assert sum(1 for _ in source) == 12
        source.name.encode()


def test_a_playlist_is_no_video(tmp_path):
    """It could name files and addresses that the user never saw."""
    clips.write(tmp_path / "real.mp4")
    for name, text in {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
        "list.ffconcat": "ffconcat version 1.0\nfile 'real.mp4'\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="not a video"):
            open_source(tmp_path / name)


def test_closing_in_the_middle_ends_the_reading(tmp_path):
    source = open_source(clips.write(tmp_path / "a.mp4"))
    frames = iter(source)
    next(frames)
    source.close()
    assert list(frames) == []


@pytest.mark.parametrize(
    ("said", "stamps"),
    [
        ([None, None, None], [0.0, 0.1, 0.2]),
        ([7.0, 7.5, 8.5], [0.0, 0.5, 1.5]),
        ([7.0, 7.0, 7.0], [0.0, 0.1, 0.2]),
        ([7.0, 3.0, 3.5], [0.0, 0.1, 0.6]),
        ([0.0, 1e9, 1e9 + 1], [0.0, 0.1, 1.1]),
        ([None, 4.0, 4.5], [0.0, 0.1, 0.6]),
    ],
    ids=["none", "offset", "repeated", "backwards", "leap", "first missing"],
)
def test_times_always_rise(said, stamps):
    clock = Clock(10.0)
    assert [clock.stamp_ns(s) / 1e9 for s in said] == pytest.approx(stamps)


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([i / 25 for i in range(20)], (0, 0)),
        ([i / 25 for i in range(30) if i not in (7, 8, 20)], (3, 2)),
        (VARIABLE, (0, 0)),
        ([0, 0.04, 0.08, 0.5], (0, 0)),
    ],
    ids=["whole", "holes", "a variable rate", "too short"],
)
def test_holes_in_a_constant_rate_are_counted(times, found):
    assert holes([round(t * 1e9) for t in times]) == found


def test_frames_that_a_damaged_stream_lacks_are_told(tmp_path, caplog):
    """The decoder goes on at the next picture that stands alone, and says nothing."""
    options = {"x264-params": "keyint=1:log=-1"}
    path = clips.write(tmp_path / "a.ts", [i / 25 for i in range(40)], options=options)
    assert len(read(path)[0]) == 40 and caplog.text == ""
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    starts = [i for i, p in enumerate(packets) if p[1] & 0x40 and p[1:3] == b"\x41\x00"]
    del packets[starts[20] : starts[23]]
    path.write_bytes(b"".join(packets))
    assert len(read(path)[0]) == 37
    assert "3 frames are missing in 1 places" in caplog.text
