"""Camera files in the format of ROS's camera_calibration."""

import numpy as np
import pytest
import yaml

from diffpose_ros.core import Camera, InputError
from diffpose_ros.media.camera_yaml import read_camera, write_camera

OST = """
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [438.78, 0., 305.59, 0., 437.35, 243.74, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361, 0.0822, 0.0012, 0.0004, 0.]
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def save(tmp_path):
    def write(**changes):
        content = yaml.safe_load(OST)
        for key, value in changes.items():
            if value is None:
                del content[key]
            else:
                content[key] = value
        path = tmp_path / "camera.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_a_file_of_camera_calibration_is_read(save):
    camera = read_camera(save(), frame_id="head_camera")
    assert (camera.width, camera.height, camera.model) == (640, 480, "plumb_bob")
    assert camera.focal == (438.78, 437.35)
    assert camera.distortion.tolist() == [-0.361, 0.0822, 0.0012, 0.0004, 0.0]
    assert (camera.frame_id, camera.is_guess) == ("head_camera", False)


@pytest.mark.parametrize(
    ("model", "count"),
    [("none", 0), ("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4)],
)
def test_what_is_written_is_read_back(tmp_path, model, count):
    camera = Camera(
        matrix=np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]]), width=640, height=480,
        distortion=np.linspace(0.01, 0.1, count), model=model,
    )  # fmt: skip
    write_camera(tmp_path / "c.yaml", camera)
    back = read_camera(tmp_path / "c.yaml")
    assert np.array_equal(back.matrix, camera.matrix)
    assert back.distortion.any() == camera.distortion.any()
    if count:
        assert np.array_equal(back.distortion, camera.distortion)
        assert back.model == model


def test_fisheye_is_another_word_for_equidistant(save):
    data = {"rows": 1, "cols": 4, "data": [0.1, 0.0, 0.0, 0.0]}
    path = save(distortion_model="fisheye", distortion_coefficients=data)
    assert read_camera(path).model == "equidistant"


def test_a_camera_without_distortion_needs_no_entry(save):
    path = save(distortion_model=None, distortion_coefficients=None)
    assert read_camera(path).model == "none"


ZERO = {"rows": 3, "cols": 3, "data": [0.0] * 9}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"image_width": None}, "image_width: expected a positive whole number, got None"),
        ({"image_height": -3}, "image_height: expected a positive whole number, got -3"),
        ({"camera_matrix": None}, "camera_matrix: expected rows, cols and data"),
        ({"camera_matrix": {"data": [1, 2]}}, "camera_matrix: expected 9 numbers, got 2"),
        ({"camera_matrix": {"data": ["a"] * 9}}, "camera_matrix: expected numbers"),
        ({"camera_matrix": ZERO}, "all zeros, the camera is not calibrated"),
        ({"distortion_model": "unicorn"}, "expected one of none, plumb_bob.* got 'unicorn'"),
        ({"distortion_coefficients": {"data": [1.0]}}, "expected 4 or 5 coefficients, got 1"),
        ({"distortion_model": None}, "distortion_coefficients without a distortion_model"),
    ],
    ids=str,
)
def test_bad_entries_are_named(save, changes, text):
    path = save(**changes)
    with pytest.raises(InputError, match=text) as caught:
        read_camera(path)
    assert "camera.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1, 2", "just words", "- a\n- b"], ids=repr)
def test_what_is_no_camera_file_is_refused(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"c\.yaml: (not a YAML file|expected a camera_info YAML)"):
        read_camera(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_camera(tmp_path / "none.yaml")
