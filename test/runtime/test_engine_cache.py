"""The engine cache: found by key, whole or not at all, shared by processes, never in the way."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from diffpose_ros.core.resources import cache_folder
from diffpose_ros.runtime.tensorrt import cache as engine_cache
from diffpose_ros.runtime.tensorrt.cache import (
    EngineCache,
    EngineFileError,
    EngineKey,
    pack,
    unpack,
    write_atomically,
)

KEY = EngineKey(
    model_sha256="ab" * 32, precision="fp16", flavour="tensorrt", tensorrt="11.4.1.0",
    gpu="NVIDIA GeForce RTX 4070", sm="8.9", cuda="13.0", profiles=("people=1 noise[1, 5, 17, 3]",),
)  # fmt: skip
PLAN = bytes(range(256)) * 4


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "cache")


def must_not_build() -> bytes:
    raise AssertionError("the engine is there: nothing is to be built")


def test_what_was_built_is_found_again(cache):
    plan, path, built = cache.get_or_build(KEY, lambda: PLAN)
    assert (plan, path, built) == (PLAN, cache.path(KEY), True)
    assert cache.get_or_build(KEY, must_not_build) == (PLAN, path, False)


@pytest.mark.parametrize(
    "change",
    [{"model_sha256": "cd" * 32}, {"precision": "fp32"}, {"flavour": "tensorrt_rtx"},
     {"tensorrt": "11.4.1.1"}, {"gpu": "NVIDIA L4"}, {"sm": "9.0"}, {"cuda": "13.1"},
     {"profiles": ()}, {"flags": ("X",)}, {"system": "Linux-aarch64"}],
    ids=lambda c: next(iter(c)),
)  # fmt: skip
def test_every_field_of_the_key_makes_another_engine(cache, change):
    cache.store(KEY, PLAN)
    assert cache.load(replace(KEY, **change)) is None
    assert cache.load(KEY) == PLAN


@pytest.mark.parametrize("size", [*range(40), 100, 300, 600, 900])
def test_a_file_cut_off_at_any_byte_is_refused(size):
    with pytest.raises(EngineFileError, match=r"truncated|not an engine|damaged"):
        unpack(KEY, pack(KEY, PLAN)[:size])


def test_a_file_cut_off_at_really_any_byte_is_refused():
    data = pack(KEY, PLAN)
    for size in range(len(data)):
        with pytest.raises(EngineFileError):
            unpack(KEY, data[:size])
    assert unpack(KEY, data) == PLAN


@pytest.mark.parametrize("place", [0, 5, 12, 17, 40, 200, -1, -500])
def test_a_flipped_byte_is_refused(place):
    data = bytearray(pack(KEY, PLAN))
    data[place] ^= 0x40
    with pytest.raises(EngineFileError):
        unpack(KEY, bytes(data))


def test_more_than_the_plan_is_refused():
    with pytest.raises(EngineFileError, match="expected 1024 bytes of engine, got 1025"):
        unpack(KEY, pack(KEY, PLAN) + b"x")


def test_an_engine_of_another_machine_is_named():
    other = replace(KEY, gpu="NVIDIA L4", tensorrt="10.13.0.35")
    with pytest.raises(EngineFileError, match=r"gpu 'NVIDIA L4', tensorrt '10\.13\.0\.35'"):
        unpack(KEY, pack(other, PLAN))


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "not an engine file"), (pack(KEY, PLAN)[:-7], "truncated"),
     (pack(replace(KEY, sm="9.0"), PLAN), "built for something else"),
     (pack(KEY, PLAN)[:-1] + b"?", "checksum")],
    ids=["empty", "truncated", "foreign", "damaged"],
)  # fmt: skip
def test_a_bad_file_is_set_aside_and_rebuilt(cache, caplog, content, why):
    cache.directory.mkdir()
    cache.path(KEY).write_bytes(content)
    assert cache.get_or_build(KEY, lambda: PLAN) == (PLAN, cache.path(KEY), True)
    aside = cache.path(KEY).with_name(cache.path(KEY).name + ".rejected")
    assert aside.read_bytes() == content
    assert cache.load(KEY) == PLAN
    (line,) = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert why in line
    assert aside.name in line


def test_a_folder_that_cannot_be_written_costs_one_line_and_the_engine_serves(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = EngineCache(blocked / "cache")
    assert not cache.is_writable()
    assert cache.get_or_build(KEY, lambda: PLAN) == (PLAN, None, True)
    (record,) = caplog.records
    assert "cannot keep the engine" in record.message
    assert "set cache_dir to a folder that can be written" in record.message


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "engine"
    path.write_bytes(b"old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_cache.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_build_is_told_and_keeps_nothing(cache):
    def build():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.get_or_build(KEY, build)
    assert cache.get_or_build(KEY, lambda: PLAN)[2]


BUILD_SLOWLY = """
import sys, time
from pathlib import Path
from diffpose_ros.runtime.tensorrt.cache import EngineCache, EngineKey

def build():
    with Path(sys.argv[2]).open("a") as file:
        file.write("built\\n")
    time.sleep(0.5)
    return b"plan"

key = EngineKey("ab", "fp16", "tensorrt", "11.4.1.0", "GPU", "8.9", "13.0", ("people=1",))
plan, path, _ = EngineCache(Path(sys.argv[1])).get_or_build(key, build)
sys.exit(0 if plan == b"plan" and path.is_file() else 1)
"""


def test_processes_that_want_the_same_engine_build_it_once(tmp_path):
    marks = tmp_path / "marks"
    words = [sys.executable, "-c", BUILD_SLOWLY, str(tmp_path / "cache"), str(marks)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    processes = [subprocess.Popen(words, env=environment) for _ in range(3)]
    assert [p.wait(60) for p in processes] == [0, 0, 0]
    assert marks.read_text() == "built\n"


def test_the_default_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "diffpose_ros"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/diffpose_ros")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: f.chmod(0o666), "others may write to it"),
        (lambda f: f.parent.chmod(0o777), "others may write to its folder"),
        (lambda f: os.chown(f, 12345, -1), "it belongs to user 12345"),
        (lambda f: os.chown(f.parent, 12345, -1), "its folder belongs to user 12345"),
    ],
    ids=["file mode", "folder mode", "file owner", "folder owner"],
)
def test_an_engine_that_others_could_have_written_is_not_run(tmp_path, caplog, change, why):
    from diffpose_ros.runtime.tensorrt import cache as module

    cache = module.EngineCache(tmp_path / "engines")
    engine_key = module.EngineKey("a", "fp32", "tensorrt", "10", "gpu", "8.9", "13", ("p",))
    path = cache.store(engine_key, b"plan")
    assert path is not None
    assert cache.load(engine_key) == b"plan"
    try:
        change(path)
    except PermissionError:
        pytest.skip("only root can give files away")
    assert cache.load(engine_key) is None
    assert why in caplog.text


def test_a_sticky_folder_protects_its_files(tmp_path):
    from diffpose_ros.runtime.tensorrt import cache as module

    cache = module.EngineCache(tmp_path / "engines")
    engine_key = module.EngineKey("a", "fp32", "tensorrt", "10", "gpu", "8.9", "13", ("p",))
    cache.store(engine_key, b"plan")
    (tmp_path / "engines").chmod(0o1777)
    assert cache.load(engine_key) == b"plan"
