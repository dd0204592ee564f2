"""The demo's clip: from the cache, else through pip, else a line that says what to do."""

import hashlib
import subprocess
import zipfile

import pytest

from diffpose_ros.core import InputError
from diffpose_ros.demo import clip


@pytest.fixture(autouse=True)
def short_clip(monkeypatch):
    monkeypatch.setattr(clip, "SHA256", hashlib.sha256(b"video").hexdigest())


@pytest.fixture
def pip(monkeypatch):
    """A pip whose outcome is given."""
    calls = []

    def behave(action):
        def run(words, **options):
            calls.append(words)
            return action(words)

        monkeypatch.setattr(subprocess, "run", run)
        return calls

    return behave


def wheel(words, members):
    path = f"{words[words.index('--dest') + 1]}/sports2d-0.8.34-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return subprocess.CompletedProcess(words, 0, "", "")


def test_a_clip_in_the_cache_is_taken(tmp_path, pip):
    calls = pip(lambda words: None)
    (tmp_path / "sports2d_demo.mp4").write_bytes(b"video")
    assert clip.demo_clip(tmp_path).read_bytes() == b"video"
    assert not calls


def test_only_the_clip_and_its_licence_are_kept(tmp_path, pip):
    members = {clip.MEMBER: b"video", "x/licenses/LICENSE": b"BSD", "Sports2D/big.py": b"code"}
    pip(lambda words: wheel(words, members))
    found = clip.demo_clip(tmp_path)
    assert found.read_bytes() == b"video"
    assert {p.name for p in tmp_path.iterdir()} == {
        "sports2d_demo.mp4", "sports2d_demo.LICENSE", "sports2d_demo.yaml",
    }  # fmt: skip


def test_the_clips_camera_comes_with_it(tmp_path, pip):
    from diffpose_ros.media.camera_yaml import read_camera

    pip(lambda words: wheel(words, {clip.MEMBER: b"video"}))
    camera = read_camera(clip.camera_file(clip.demo_clip(tmp_path)))
    assert (camera.width, camera.height) == (1768, 994)


def test_without_a_connection_it_says_what_to_do(tmp_path, pip):
    error = "ERROR: Could not find a version\nERROR: No matching distribution found"
    pip(lambda words: subprocess.CompletedProcess(words, 1, "", error))
    with pytest.raises(InputError, match=r"could not be fetched \(No matching.*demo VIDEO"):
        clip.demo_clip(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_wheel_without_the_clip_is_an_error(tmp_path, pip):
    pip(lambda words: wheel(words, {"other": b""}))
    with pytest.raises(InputError, match=r"cannot be made.*give a video"):
        clip.demo_clip(tmp_path)


def test_a_pip_that_hangs_is_given_up(tmp_path, pip):
    def hang(words):
        raise subprocess.TimeoutExpired(words, 1)

    pip(hang)
    with pytest.raises(InputError, match="no answer within"):
        clip.demo_clip(tmp_path)


def test_a_python_without_pip_says_so(tmp_path, pip):
    error = "/usr/bin/python: No module named pip"
    pip(lambda words: subprocess.CompletedProcess(words, 1, "", error))
    with pytest.raises(InputError, match="No module named pip"):
        clip.demo_clip(tmp_path)


def test_another_file_is_not_played(tmp_path, pip):
    pip(lambda words: wheel(words, {clip.MEMBER: b"something else"}))
    with pytest.raises(InputError, match="holds another file than"):
        clip.demo_clip(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_somebody_changed_is_not_trusted(tmp_path, pip):
    (tmp_path / "sports2d_demo.mp4").write_bytes(b"something else")
    calls = pip(lambda words: wheel(words, {clip.MEMBER: b"video"}))
    assert clip.demo_clip(tmp_path).read_bytes() == b"video"
    assert calls
