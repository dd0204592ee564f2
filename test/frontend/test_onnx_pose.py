"""Pose networks that a user exported: recognised by their shapes, read right, refused with a reason."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from diffpose_ros.core import BackendError, ConfigError, InputError, ModelError
from diffpose_ros.frontend.detectors import Detector, make_detector
from diffpose_ros.frontend.detectors.movenet import bundled_model

onnx = pytest.importorskip("onnx", reason="onnx is needed to write networks")

PICTURE = Path(__file__).with_name("people.jpg")
RNG = np.random.default_rng(3)
needs_weights = pytest.mark.skipif(
    not bundled_model().is_file(), reason=f"the MoveNet weights are missing: {bundled_model()}"
)


def network(path, outputs, shape=(1, 3, 640, 640), kind=onnx.TensorProto.FLOAT):
    """A network that always answers ``outputs``: arrays, their first axis the images'."""
    h, t = onnx.helper, onnx.TensorProto
    nodes = [
        h.make_node("ReduceMax", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
        h.make_node("Cast", ["m"], ["c"], to=t.FLOAT),
        h.make_node("Mul", ["c", "zero"], ["z"]),
    ]
    weights = [h.make_tensor("zero", t.FLOAT, [1], [0.0])]
    infos = []
    for i, value in enumerate(outputs):
        one = np.asarray(value, np.float32)[:1]
        weights.append(onnx.numpy_helper.from_array(one, f"w{i}"))
        shaped = onnx.numpy_helper.from_array(np.array([-1] + [1] * (one.ndim - 1)), f"s{i}")
        weights.append(shaped)
        nodes += [h.make_node("Reshape", ["z", f"s{i}"], [f"r{i}"]),
                  h.make_node("Add", [f"r{i}", f"w{i}"], [f"y{i}"])]  # fmt: skip
        infos.append(h.make_tensor_value_info(f"y{i}", t.FLOAT, [shape[0], *one.shape[1:]]))
    x = h.make_tensor_value_info("x", kind, list(shape))
    model = h.make_model(h.make_graph(nodes, "g", [x], infos, weights),
                         opset_imports=[h.make_opsetid("", 17)])  # fmt: skip
    model.ir_version = 8
    onnx.save(model, path)
    return str(path)


XY = np.stack([np.linspace(100, 200, 17), np.linspace(120, 480, 17)], -1)  # input pixels
SCORE = np.linspace(0.3, 0.95, 17)


def candidates(*shifts, score=0.8):
    """Rows of box centre and size, score, keypoints, as YOLO-pose gives them."""
    rows = []
    for shift in shifts:
        xy = XY + np.array([shift, 0])
        box = [150 + shift, 300, 100, 360]
        rows.append([*box, score, *np.column_stack([xy, SCORE]).ravel()])
    return np.array(rows)


def raw(*shifts, n=100):
    rows = np.zeros((n, 56))
    rows[:, 5:] = RNG.uniform(0, 640, (n, 51))
    found = candidates(*shifts)
    rows[: len(found)] = found
    return rows.T[None]


def final(*shifts, n=300):
    rows = np.zeros((n, 57))
    found = candidates(*shifts)
    rows[: len(found), 4] = found[:, 4]
    rows[: len(found), 6:] = found[:, 5:]
    return rows[None]


@pytest.fixture(params=["onnxruntime", "openvino"])
def runtime(request):
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize("layout", ["raw", "rows", "suppressed"])
def test_yolo_pose_is_read_with_and_without_suppression(tmp_path, runtime, layout):
    out = {"raw": raw(0, 300), "rows": raw(0, 300).transpose(0, 2, 1), "suppressed": final(0, 300)}[layout]
    path = network(tmp_path / "yolo.onnx", [out])
    detector = make_detector("onnx", model=path, runtime=runtime)
    assert isinstance(detector, Detector)
    assert detector.kind == "yolo"
    assert "yolo.onnx is YOLO-pose" in detector.reason
    people = detector.detect(np.full((480, 640, 3), 9, np.uint8))
    assert len(people) == 2
    # same scale, pixel centres at one half there and at 0 here
    left = people.xy[np.argmin(people.xy[:, 0, 0])]
    np.testing.assert_allclose(left[:15], XY[:15] - 0.5, atol=1e-3)
    np.testing.assert_allclose(people.score[0, :15], SCORE[:15], atol=1e-6)
    assert people.person_score == pytest.approx([0.8, 0.8])


def test_yolo_pose_s_keypoints_are_scaled_back(tmp_path):
    path = network(tmp_path / "yolo.onnx", [raw(0)])
    people = make_detector("onnx", model=path).detect(np.zeros((1280, 1280, 3), np.uint8))
    np.testing.assert_allclose(people.xy[0], 2 * XY - 0.5, atol=1e-3)


def test_doubled_candidates_are_one_person(tmp_path):
    path = network(tmp_path / "yolo.onnx", [raw(0, 1, 2, 300)])
    assert len(make_detector("onnx", model=path).detect(np.zeros((640, 640, 3), np.uint8))) == 2


def bins(at, n):
    """SimCC's bins: a peak for each joint at a share of the crop."""
    out = np.zeros((1, 17, n))
    out[0, np.arange(17), np.minimum((at * n).astype(int), n - 1)] = 0.7
    return out


@needs_weights
@pytest.mark.parametrize("batch", ["N", 1])
@pytest.mark.parametrize("kind", ["simcc", "heatmap"])
def test_top_down_networks_look_at_the_people_that_movenet_finds(tmp_path, kind, batch):
    at = np.stack([np.linspace(0.3, 0.7, 17), np.linspace(0.1, 0.9, 17)], -1)
    if kind == "simcc":
        outputs = [bins(at[:, 0], 384), bins(at[:, 1], 512)]
    else:
        maps = np.zeros((1, 17, 64, 48))
        maps[0, np.arange(17), (at[:, 1] * 64).astype(int), (at[:, 0] * 48).astype(int)] = 0.7
        outputs = [maps]
    path = network(tmp_path / "pose.onnx", outputs, (batch, 3, 256, 192))
    detector = make_detector("onnx", model=path)
    assert detector.kind == kind
    picture = np.ascontiguousarray(cv2.imread(str(PICTURE))[..., ::-1])
    people = detector.detect(picture)
    assert len(people) == 2
    for row in range(2):
        seen = people.score[row] > 0
        spread = np.ptp(people.xy[row][seen], axis=0)
        full = np.ptp(at[seen], axis=0)
        assert spread[0] / spread[1] == pytest.approx(192 / 256 * full[0] / full[1], rel=0.05)
        assert people.score[row][seen] == pytest.approx(0.7, abs=1e-6)
    assert sorted(people.xy[:, 8, 0] > 200) == [False, True]  # the walker left, the jumper right


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_numbers_are_nobody(tmp_path, value):
    out = raw(0)
    out[:, 5:] = value
    path = network(tmp_path / "yolo.onnx", [out])
    assert len(make_detector("onnx", model=path).detect(np.zeros((64, 64, 3), np.uint8))) == 0


def test_boxes_outside_of_the_image_are_nobody(tmp_path):
    path = network(tmp_path / "yolo.onnx", [raw(5000)])
    assert len(make_detector("onnx", model=path).detect(np.zeros((640, 640, 3), np.uint8))) == 0


@pytest.mark.parametrize("shape", [(20000, 20, 3), (1, 1, 3), (31, 33, 3)])
def test_strange_sizes_are_survived(tmp_path, shape):
    path = network(tmp_path / "yolo.onnx", [raw(0)])
    people = make_detector("onnx", model=path).detect(np.full(shape, 9, np.uint8))
    assert (people.xy < np.array(shape[1::-1]) - 0.5).all()


@pytest.mark.parametrize(
    ("outputs", "shape"),
    [
        ([np.zeros((1, 84, 100))], (1, 3, 640, 640)),  # YOLO for boxes
        ([np.zeros((1, 5 + 3 * 21, 100))], (1, 3, 640, 640)),  # hands
        ([np.zeros((1, 133, 384)), np.zeros((1, 133, 512))], (1, 3, 256, 192)),  # whole body
        ([np.zeros((1, 1000))], (1, 3, 224, 224)),  # a classifier
        ([np.zeros((1, 56, 100))], (1, 1, 640, 640)),  # grey
        ([np.zeros((1, 17, 64, 48))], (1, 3, "h", "w")),  # a heatmap network of open size
    ],
    ids=["boxes", "hands", "whole body", "classes", "grey", "open size"],
)
def test_other_networks_are_refused_with_a_reason(tmp_path, outputs, shape):
    path = network(tmp_path / "other.onnx", outputs, shape)
    with pytest.raises(ModelError, match=r"other.onnx is no pose network known here: expected .*; got x"):
        make_detector("onnx", model=path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "onnx model: expected the path of a pose network's .onnx file, got ''"),
        ({"model": "x.onnx", "input_size": 100}, "onnx input_size: expected 128 to 1280"),
        ({"model": "x.onnx", "runtime": "tvm"}, "onnx runtime: expected one of auto"),
        ({"model": "x.onnx", "imgsz": 4}, "detector 'onnx': unknown option 'imgsz'"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        make_detector("onnx", **options)


def test_missing_files_and_closed_detectors_say_so(tmp_path):
    with pytest.raises(ModelError, match="onnx: no model file at"):
        make_detector("onnx", model=str(tmp_path / "none.onnx"))
    detector = make_detector("onnx", model=network(tmp_path / "yolo.onnx", [raw(0)]))
    with pytest.raises(InputError, match="image: expected"):
        detector.detect(None)
    detector.close()
    with pytest.raises(BackendError, match="was closed"):
        detector.detect(np.zeros((64, 64, 3), np.uint8))
