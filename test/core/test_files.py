"""Outputs: written whole or not at all, and never over something that is wanted."""

import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from diffpose_ros.core import InputError, files


def listing(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    path = files.claim({"--output": tmp_path / "deep" / "a.txt"})["--output"]
    with files.whole(path) as part:
        part.write_text("new")
        assert not path.exists()
        assert part.suffix == ".txt"
    assert path.read_text() == "new"
    assert listing(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with files.whole(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises((RuntimeError, KeyboardInterrupt, InputError)):
        fail()
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(InputError, match=r"a\.bin: cannot be written \(File too large\)"):
            files.write_bytes(path, bytes(100_000))
        with pytest.raises(InputError, match=r"a\.bin: cannot be written"):
            files.claim({"--output": path})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.bin"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(files, "sync", lambda p: order.append(("sync", p.name == "a", p.is_dir())))
    files.write_text(tmp_path / "a", "x")
    assert order == [("sync", False, False), ("sync", False, True)]


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    files.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    files.write_text("/dev/null", "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with files.whole("/dev/null") as part:
        part.write_text("x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(InputError, match="/dev/full: cannot be written"), files.whole("/dev/full") as part:
        part.write_text("x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: cannot be written"):  # nobody reads: it must not wait
        files.write_text(tmp_path / "pipe", "x")


def test_a_pipe_gets_a_whole_file(tmp_path):
    os.mkfifo(tmp_path / "out.csv")
    reader = os.open(tmp_path / "out.csv", os.O_RDONLY | os.O_NONBLOCK)
    with files.whole(tmp_path / "out.csv") as part:
        assert part.suffix == ".csv"
        part.write_text("a,b")
        assert part.parent != tmp_path
    assert os.read(reader, 10) == b"a,b"
    os.close(reader)
    assert not part.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def alias(tmp_path, kind):
    source = tmp_path / "walk.mp4"
    source.write_text("film")
    if kind == "same":
        return source
    if kind == "dots":
        return tmp_path / "x" / ".." / "walk.mp4"
    other = tmp_path / "other.mp4"
    other.symlink_to(source) if kind == "link" else os.link(source, other)
    return other


@pytest.mark.parametrize("kind", ["same", "dots", "link", "hard link"])
def test_the_source_is_never_a_target(tmp_path, kind):
    target = alias(tmp_path, kind)
    with pytest.raises(InputError, match="is the file that is read"):
        files.claim({"--overlay": target}, sources=[tmp_path / "walk.mp4"], overwrite=True)


@pytest.mark.parametrize("kind", ["same", "dots"])
def test_two_outputs_are_two_files(tmp_path, kind):
    a, b = tmp_path / "q.npz", tmp_path / ("q.npz" if kind == "same" else "./y/../q.npz")
    with pytest.raises(InputError, match="is also the target of --output"):
        files.claim({"--output": a, "--overlay": b})


def test_what_exists_needs_leave(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(InputError, match="exists already; name another, or give --overwrite"):
        files.claim({"--json": tmp_path / "a"}, overwrite=False)
    assert files.claim({"--json": tmp_path / "a"}, overwrite=True) == {"--json": tmp_path / "a"}
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: p, "got a folder"),
        (lambda p: p / ("x" * 252 + ".npz"), "longer than 255 bytes"),
        (lambda p: p / "file" / "a.npz", "a file lies where a folder is needed"),
        (lambda p: "a\0b", "not a file's name"),
    ],
    ids=["folder", "long", "below a file", "NUL"],
)
def test_what_cannot_be_a_file_is_refused_before_the_work(tmp_path, make, text):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=text):
        files.claim({"--output": make(tmp_path)})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        files.claim({"--output": tmp_path / "a"})


def test_names_of_parts_are_new_and_fit(tmp_path):
    assert files.partial_name(tmp_path / "a.npz").name == "a.partial.npz"
    (tmp_path / "a.partial.npz").write_text("")
    assert files.partial_name(tmp_path / "a.npz").name == "a.partial-2.npz"
    assert len(os.fsencode(files.partial_name(tmp_path / ("é" * 125 + ".npz")).name)) <= 255


def test_what_is_read_is_a_file_of_a_sensible_size(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_limited(tmp_path / "a", 5, "a note") == b"12345"
    os.mkfifo(tmp_path / "pipe")
    for path, text in [
        (tmp_path / "pipe", "expected a note, got a named pipe"),
        (tmp_path, "expected a note, got a folder"),
        ("/dev/zero", "expected a note, got a device"),
        (tmp_path / "none", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=text):
            files.read_limited(path, 5, "a note")
    with pytest.raises(InputError, match="expected a note of at most"):
        files.read_limited(tmp_path / "a", 4, "a note")


def test_no_file_of_a_folder_that_is_read_is_a_target(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("0.PNG", "old.npz"):
        (folder / name).write_text("what was there")
    link = tmp_path / "link.npz"
    link.symlink_to(folder / "0.PNG")
    for target in (folder / "0.PNG", link):
        with pytest.raises(InputError, match="is one of the files that are read"):
            files.claim({"--output": target}, sources=[folder], endings=(".png", ".jpg"))
    for name in ("old.npz", "new.png"):
        files.claim({"--output": folder / name}, sources=[folder], endings=(".png", ".jpg"))
    assert listing(folder) == ["0.PNG", "old.npz"]


def test_a_home_folder_that_nobody_knows_is_one_line(monkeypatch):
    def unknown(path=None):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(InputError, match="set HOME, or XDG_CACHE_HOME to a folder"):
        files.home_folder("XDG_CACHE_HOME", ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert files.home_folder("XDG_CACHE_HOME", ".cache") == Path("/var/cache")
    with pytest.raises(InputError, match="begins with a home folder that is not known"):
        files.expanded("~nobody-of-this-name/model.onnx")
