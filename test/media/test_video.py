"""Video files, image folders and cameras: what comes out, and what is refused."""

import cv2
import numpy as np
import PIL.Image
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.media import pictures, writer
from diffpose_ros.media.video import VideoWriter, open_source

SIZE = (64, 48)


def frame(i: int) -> np.ndarray:
    """Red to the left, and a green that grows with the frame's number to the right."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    image[:, :32, 0] = 220
    image[:, 32:, 1] = 20 + 10 * (i % 20)
    return image


def write_cv(path, fourcc, frames=12, fps=25.0):
    out = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, SIZE)
    if not out.isOpened():
        pytest.skip(f"this OpenCV cannot write {fourcc} into {path.suffix}")
    for i in range(frames):
        out.write(cv2.cvtColor(frame(i), cv2.COLOR_RGB2BGR))
    out.release()
    return path


def write_h264(path, frames=12, fps=25):
    av = pytest.importorskip("av", reason="needs PyAV to make an H.264 file")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame(i), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(params=["h264.mp4", "h264.mkv", "MJPG.avi", "MJPG.mkv", "mp4v.mp4", "VP80.webm"])
def clip(request, tmp_path):
    codec, ext = request.param.split(".")
    path = tmp_path / f"clip.{ext}"
    return write_h264(path) if codec == "h264" else write_cv(path, codec)


def test_every_frame_comes_in_order_as_rgb(clip):
    with open_source(clip) as source:
        images = [image for image, _ in source]
    assert len(images) == 12
    assert all(i.shape == (48, 64, 3) and i.dtype == np.uint8 for i in images)
    left, right = images[-1][24, 10].astype(int), images[-1][24, 54].astype(int)
    assert left == pytest.approx([220, 0, 0], abs=25)
    assert right == pytest.approx([0, 130, 0], abs=25)


def test_stamps_follow_the_files_rate(clip):
    with open_source(clip) as source:
        assert source.fps == pytest.approx(25.0)
        assert (source.width, source.height) == SIZE
        stamps = [t for _, t in source]
    assert np.diff(stamps) == pytest.approx(np.full(11, 40e6), abs=1e3)


def test_a_file_can_be_read_twice(tmp_path):
    with open_source(write_cv(tmp_path / "a.avi", "MJPG")) as source:
        first = [image for image, _ in source]
        second = [image for image, _ in source]
    assert len(first) == len(second) == 12
    assert np.array_equal(first[0], second[0])


def test_the_rate_can_be_overridden(tmp_path):
    with open_source(write_cv(tmp_path / "a.avi", "MJPG"), fps=10.0) as source:
        assert [t for _, t in source][:2] == [0, 100_000_000]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_ends_early_and_says_so(tmp_path, share, caplog):
    path = write_cv(tmp_path / "a.avi", "MJPG", frames=60)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with open_source(path) as source:
        count = sum(1 for _ in source)
    assert count < 60
    if source.frames is not None and count < 0.9 * source.frames:
        assert f"ended after {count} of {source.frames} frames" in caplog.text


def test_a_folder_is_read_in_natural_order(tmp_path):
    for i in (10, 9, 1):
        cv2.imwrite(str(tmp_path / f"img{i}.png"), np.full((8, 6, 3), i, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    with open_source(tmp_path, fps=10.0) as source:
        rows = [(int(image[0, 0, 0]), t) for image, t in source]
    assert rows == [(1, 0), (9, 100_000_000), (10, 200_000_000)]
    assert (source.frames, source.width, source.height) == (3, 6, 8)


def test_images_of_another_size_in_a_folder_are_pictures_of_their_own(tmp_path):
    for i, size in enumerate([(8, 6), (8, 6), (9, 6)]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((*size, 3), np.uint8))
    with open_source(tmp_path) as source:
        assert source.pictures
        assert [image.shape[:2] for image, _ in source] == [(8, 6), (8, 6), (9, 6)]


def test_a_damaged_image_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((8, 6, 3), np.uint8))
    (tmp_path / "1.png").write_bytes(b"\x89PNG nothing")
    with open_source(tmp_path) as source, pytest.raises(InputError, match=r"1\.png: not an image"):
        list(source)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: p / "none.mp4", "none.mp4: no such file or folder"),
        (lambda p: p, "no images in this folder"),
        (lambda p: _write(p / "a.mp4", b""), "a.mp4: not a video"),
        (lambda p: _write(p / "a.mp4", b"hello " * 99), "a.mp4: not a video"),
        (lambda p: _write(p / "a.png", b"PK\x03\x04" * 99).parent, "a.png: not an image; expected PNG"),
    ],
    ids=["missing", "empty folder", "empty file", "text", "an archive called .png"],
)
def test_what_is_no_video_is_refused(tmp_path, make, text):
    with pytest.raises(InputError, match=text):
        open_source(make(tmp_path))


def test_a_webcam_that_is_not_there_is_named():
    with pytest.raises(InputError, match="camera 97: cannot be opened"):
        open_source("97")


def test_a_nonsense_rate_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"fps: expected 0\.1 to 1000, got 0"):
        open_source(tmp_path, fps=0.0)


def _write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pyav", [True, False], ids=["PyAV", "OpenCV"])
def test_what_is_written_can_be_read(tmp_path, pyav, monkeypatch):
    if pyav:
        pytest.importorskip("av", reason="needs PyAV")
    else:
        monkeypatch.setattr(writer, "_sink", writer._CvSink)
    path = tmp_path / "deep" / "out.mp4"
    with VideoWriter(path, 25.0, SIZE) as out:
        for i in range(5):
            out.write(frame(i))
    with open_source(path) as source:
        images = [image for image, _ in source]
        assert source.fps == pytest.approx(25.0)
    assert len(images) == 5
    assert images[0][24, 10].astype(int) == pytest.approx([220, 0, 0], abs=25)
    assert [p.name for p in path.parent.iterdir()] == ["out.mp4"]


def test_h264_is_chosen_where_it_can_be(tmp_path):
    av = pytest.importorskip("av", reason="needs PyAV")
    with VideoWriter(tmp_path / "out.mp4", 30.0, SIZE) as out:
        out.write(frame(0))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_odd_sizes_lose_a_row_and_a_column(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 30.0, (65, 49)) as out:
        out.write(np.zeros((49, 65, 3), np.uint8))
    with open_source(tmp_path / "out.mp4") as source:
        assert (source.width, source.height) == SIZE


def test_a_frame_of_another_size_is_refused(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 30.0, SIZE) as out:
        out.write(frame(0))
        with pytest.raises(InputError, match="expected images of 64x48, got 32x24"):
            out.write(np.zeros((24, 32, 3), np.uint8))


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"out\.mp4: cannot be written"):
        VideoWriter(tmp_path / "file" / "out.mp4", 30.0, SIZE)


def test_numbers_in_names_sort_by_value():
    from pathlib import Path

    names = ["b2.png", "b10.png", "a.png", "2.png", "10.png"]
    assert [p.name for p in sorted(map(Path, names), key=pictures.natural)] == [
        "2.png", "10.png", "a.png", "b2.png", "b10.png",
    ]  # fmt: skip


def animation(path, shades=(40, 120, 200), durations=(100, 300, 100)):
    frames = [PIL.Image.new("RGB", (64, 48), (shade, 0, 0)) for shade in shades]
    how = {"duration": list(durations), "lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **how)
    return path


def test_an_animated_webp_is_a_video_with_its_own_times(tmp_path):
    with open_source(animation(tmp_path / "a.webp")) as source:
        for _ in range(2):
            shades, stamps = zip(*((int(im[0, 0, 0]), t) for im, t in source), strict=True)
            assert (shades, stamps) == ((40, 120, 200), (0, 100_000_000, 400_000_000))
        assert (source.frames, source.fps, source.width, source.height) == (3, 10.0, 64, 48)
        assert not source.stills
    with open_source(tmp_path / "a.webp", fps=20) as source:
        assert [t for _, t in source] == [0, 50_000_000, 100_000_000]


def test_a_damaged_animated_webp_is_named(tmp_path):
    data = animation(tmp_path / "a.webp").read_bytes()
    (tmp_path / "b.webp").write_bytes(data[: len(data) - 60])
    with pytest.raises(InputError, match=r"b\.webp"), open_source(tmp_path / "b.webp") as source:
        list(source)


@pytest.mark.parametrize("suffix", [".tiff", ".webp"])
def test_of_several_images_in_one_file_of_a_folder_the_first_is_taken_and_told(tmp_path, suffix, caplog):
    animation(tmp_path / f"0{suffix}")
    with open_source(tmp_path) as source:
        assert [int(im[0, 0, 0]) for im, _ in source] == [40]
    assert f"0{suffix} holds several images; the first is taken" in caplog.text
