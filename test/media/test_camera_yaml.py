"""Camera files of ROS, Kalibr and OpenCV; hostile and absurd ones are refused with a reason."""

import os
import time

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
        ({"image_height": float("nan")}, "image_height: expected a positive whole number, got nan"),
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


# ---- other formats: the same camera in each

K = [640.0, 0.0, 330.0, 0.0, 650.0, 250.0, 0.0, 0.0, 1.0]
D = [-0.3, 0.1, 0.001, -0.002, 0.05]

KALIBR = """
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.3, 0.1, 0.001, -0.002]
  distortion_model: radtan
  intrinsics: [640.0, 650.0, 330.0, 250.0]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, -0.11]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: pinhole
  distortion_coeffs: [0.01, 1e-3, 2E-4, 0]
  distortion_model: equidistant
  intrinsics: [400.0, 401.0, 320.0, 240.0]
  resolution: [640, 480]
  rostopic: /cam1/image_raw
"""

STORAGE_YAML = """%YAML:1.0
---
calibration_time: "Sat 28 Nov 2026 10:00:00"
image_width: 640
image_height: 480
board_width: 9
flags: 0
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 6.4000000000000000e+02, 0., 330., 0., 650., 250., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -3.0e-01, 1.0e-01, 1e-3, -2e-03, 0.05 ]
avg_reprojection_error: 3.1e-01
"""

STORAGE_XML = """<?xml version="1.0"?>
<opencv_storage>
<!-- made by hand -->
<cameraResolution>640 480</cameraResolution>
<cameraMatrix type_id="opencv-matrix">
  <rows>3</rows><cols>3</cols><dt>d</dt>
  <data>640. 0. 330. 0. 650. 250. 0. 0. 1.</data></cameraMatrix>
<distCoeffs type_id="opencv-matrix">
  <rows>1</rows><cols>5</cols><dt>d</dt>
  <data>-0.3 0.1 1e-3 -2.e-03 5.0e-02</data></distCoeffs>
</opencv_storage>
"""

STORAGE_JSON = """{
    "image_width": 640, "image_height": 480,
    "K": {"type_id": "opencv-matrix", "rows": 3, "cols": 3, "dt": "d",
          "data": [640.0, 0.0, 330.0, 0.0, 650.0, 250.0, 0.0, 0.0, 1.0]},
    "D": {"type_id": "opencv-matrix", "rows": 1, "cols": 5, "dt": "d",
          "data": [-0.3, 0.1, 0.001, -0.002, 0.05]}
}
"""

ECHO = """header:
  stamp:
    sec: 1700000000
    nanosec: 5
  frame_id: left_optical
height: 480
width: 640
distortion_model: plumb_bob
d:
- -0.3
- 0.1
- 0.001
- -0.002
- 0.05
k: [640.0, 0.0, 330.0, 0.0, 650.0, 250.0, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [600.0, 0.0, 320.0, 0.0, 0.0, 610.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi:
  x_offset: 0
  y_offset: 0
  height: 0
  width: 0
  do_rectify: false
---
header:
"""


def written(tmp_path, text, name="camera.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "name"),
    [(OST, "ost.yaml"), (ECHO.encode("utf-16"), "powershell.yaml"), (STORAGE_YAML, "out.yml"),
     (STORAGE_XML, "out.xml"), (STORAGE_JSON, "out.json"), (ECHO, "echo.yaml"),
     (ECHO.replace("\nd:", "\nD:").replace("\nk:", "\nK:"), "rostopic.yaml")],
    ids=["ROS", "UTF-16", "FS YAML", "FS XML", "FS JSON", "topic echo", "rostopic echo"],
)  # fmt: skip
def test_each_format_gives_the_same_camera(tmp_path, text, name):
    if name == "ost.yaml":
        text = text.replace("438.78, 0., 305.59, 0., 437.35, 243.74", "640., 0., 330., 0., 650., 250.")
        text = text.replace("-0.361, 0.0822, 0.0012, 0.0004, 0.", "-0.3, 1e-1, 0.001, -2e-3, 0.05")
    camera = read_camera(written(tmp_path, text, name))
    assert (camera.width, camera.height, camera.model) == (640, 480, "plumb_bob")
    assert camera.matrix.ravel().tolist() == K
    assert camera.distortion.tolist() == D


def test_what_opencv_writes_is_read(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for suffix in ("yml", "xml", "json"):
        path = tmp_path / f"out.{suffix}"
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
        storage.write("image_width", 640)
        storage.write("image_height", 480)
        storage.write("camera_matrix", np.reshape(K, (3, 3)))
        storage.write("distortion_coefficients", np.array([D]))
        storage.release()
        camera = read_camera(path)
        assert camera.matrix.ravel().tolist() == K
        assert camera.distortion.tolist() == pytest.approx(D, abs=1e-15)


def test_opencvs_fisheye_is_equidistant(tmp_path):
    text = STORAGE_YAML.replace("flags: 0", "fisheye_model: 1").replace("rows: 5", "rows: 4")
    camera = read_camera(written(tmp_path, text.replace(", 0.05 ]", " ]")))
    assert camera.model == "equidistant"


def test_kalibrs_cameras_are_named(tmp_path):
    path = written(tmp_path, KALIBR, "chain.yaml")
    with pytest.raises(InputError, match=r"holds cam0, cam1; say which, for example .*chain\.yaml#cam0"):
        read_camera(path)
    first, second = read_camera(f"{path}#cam0"), read_camera(f"{path}#cam1")
    assert first.matrix.ravel().tolist() == K
    assert (first.model, first.distortion.tolist()) == ("plumb_bob", [-0.3, 0.1, 0.001, -0.002])
    assert (second.model, second.distortion.tolist()) == ("equidistant", [0.01, 0.001, 0.0002, 0.0])
    with pytest.raises(InputError, match="holds cam0, cam1, not 'cam2'"):
        read_camera(f"{path}#cam2")


def test_a_kalibr_model_that_is_not_known_is_named(tmp_path):
    path = written(tmp_path, KALIBR.split("cam1:")[0].replace("pinhole", "omni"))
    with pytest.raises(InputError, match="cam0: camera_model: expected pinhole, got 'omni'"):
        read_camera(path)


def test_what_topic_echo_prints_keeps_frame_window_and_projection(tmp_path):
    text = ECHO.replace("x_offset: 0", "x_offset: 100").replace("y_offset: 0", "y_offset: 50")
    text = text.replace("height: 0\n  width: 0", "height: 200\n  width: 400")
    text = text.replace("binning_x: 0", "binning_x: 2")
    camera = read_camera(written(tmp_path, text))
    assert camera.frame_id == "left_optical"
    assert (camera.width, camera.height) == (200, 200)
    assert camera.matrix[0].tolist() == [320, 0, 115]
    flat = read_camera(written(tmp_path, text), rectified=True)
    assert (flat.model, flat.matrix[0].tolist(), flat.matrix[1, 2]) == ("none", [300, 0, 110], 190)


# ---- absurd numbers

def ros(k=None, d="[0, 0, 0, 0, 0]", model="plumb_bob"):
    numbers = ", ".join(map(str, k or K))
    return (
        f"image_width: 640\nimage_height: 480\ncamera_matrix: {{rows: 3, cols: 3, data: [{numbers}]}}\n"
        f"distortion_model: {model}\ndistortion_coefficients: {{rows: 1, cols: 5, data: {d}}}\n"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ros([640, 0, 0, 0, 650, 0, 330, 250, 1]), "transposed .as MATLAB writes it."),
        (ros([640, 0, 330, 0, 650, 250, 7, 7, 7]), "last row to be 0 0 1, got 7 7 7"),
        (ros([1, 0, 330, 0, 1, 250, 0, 0, 1]), "focal lengths of 19.2 to 640000 pixels .* got 1, 1"),
        (ros([640, 0, 1e9, 0, 650, 250, 0, 0, 1]), "principal point near the image .* got 1e.09, 250"),
        (ros([640, 640, 330, 640, 640, 250, 0, 0, 1]), "expected 0 below the diagonal, got 640"),
        (ros([640, 1e6, 330, 0, 650, 250, 0, 0, 1]), "skew of at most half of fx"),
        (ros([640, 0, 330, 0, 50, 250, 0, 0, 1]), "about the same size, got 640, 50"),
        (ros(["true"] * 9), "camera_matrix: expected numbers, got .True"),
        (ros(["true", *K[1:]]), "camera_matrix: expected numbers, got .True"),
        (ros([".nan", *K[1:]]), "expected finite numbers"),
        (ros(["1e999", *K[1:]]), "expected finite numbers"),
        (ros(d="[1e8, 0, 0, 0, 0]"), "coefficient 1 is 1e.08, which no lens has"),
        (ros(d="[0, 0, 0, 0, -1e8]"), "coefficient 5 is -1e.08"),
        (ros(d="[0, 0, 0]"), "distortion_coefficients: expected 1 x 5 numbers, got 3"),
        (ros() + "image_width: 1280\n", "'image_width' is given twice"),
        (ros() + "imageWidth: 1280\n", "'image_width' and 'imageWidth' are the same entry"),
        (ros().replace("640\n", "9999999999999\n", 1), "image_width: expected a positive whole number"),
        (ros(model="unicorn"), "got 'unicorn'"),
    ],
)
def test_absurd_numbers_are_refused_with_a_reason(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        read_camera(written(tmp_path, text))
    assert "camera.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- hostile and odd files

ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
ENTITIES = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]><opencv_storage>&b;</opencv_storage>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ALIASES, "holds aliases"),
        ("[" * 1_000_000, "nest"),
        ("{a: " * 100_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper|not a JSON"),
        ("<a>" * 100_000, "nested deeper"),
        (ENTITIES, "document type or entities"),
        (b"\xff\xfe\x00image_width: 640", "not a text file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
        ("!!python/object/apply:os.system [ls]", "not a YAML file"),
        ("a: " + "9" * 100_000, "not a YAML file|expected a camera_info YAML"),
        ("a: 5\n" * 2, "given twice"), ("a:\n\tb: 5", "line 2; a tab is there"),
        ("- 1\n- 2", "expected a camera_info YAML"),
        ("42", "expected a camera_info YAML"),
        ("null", "expected a camera_info YAML"),
        ("fps: 30\nname: walk", "expected a camera_info YAML .* it holds fps, name"),
        ("{}", "expected a camera_info YAML"),
        ("<html><body/></html>", "expected <opencv_storage> of OpenCV, got <html>"),
        ("{\"a\": 1, \"a\": 2}", "'a' is given twice"),
        ("M1: [1]\nD1: [0]\nM2: [1]\nD2: [0]", "two cameras .M1, D1, M2, D2."),
        ("cam0: 7", "cam0: expected camera_model"),
        ("x" * 5_000_000, "at most 4 MB"),
    ],
    ids=lambda value: None if len(value) > 60 else value[:30] if isinstance(value, str) else "bytes",
)
def test_hostile_and_odd_files_cost_one_line(tmp_path, text, reason):
    start = time.process_time()
    with pytest.raises(InputError, match=reason) as caught:
        read_camera(written(tmp_path, text))
    assert "camera.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
    assert time.process_time() - start < 5


def test_a_pipe_and_a_folder_are_no_files(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(InputError, match="expected a file, got something else"):
            read_camera(path)


def test_a_camera_of_a_stereo_pair_keeps_its_turn_and_projection(tmp_path):
    turn = np.array([[np.cos(0.02), 0, np.sin(0.02)], [0, 1, 0], [-np.sin(0.02), 0, np.cos(0.02)]])
    camera = Camera(
        matrix=np.reshape(K, (3, 3)), width=640, height=480, distortion=D, model="plumb_bob",
        rectification=turn, projection=np.array([[600, 0, 300], [0, 600, 240], [0, 0, 1.0]]),
    )  # fmt: skip
    write_camera(tmp_path / "left.yaml", camera)
    back = read_camera(tmp_path / "left.yaml")
    assert back.rectification == pytest.approx(turn)
    assert np.array_equal(back.projection, camera.projection)
