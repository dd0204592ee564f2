"""The bundled detector: finds people on a real picture, refuses what is no model or no image."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from diffpose_ros.core import COCO17, BackendError, ConfigError, InputError, ModelError
from diffpose_ros.frontend.detectors import Detector, Letterbox, MoveNet, MoveNetConfig, make_detector
from diffpose_ros.frontend.detectors.movenet import bundled_model, decode

PICTURE = Path(__file__).with_name("people.jpg")

needs_weights = pytest.mark.skipif(
    not bundled_model().is_file(), reason=f"the MoveNet weights are missing: {bundled_model()}"
)

# Read off the picture by eye, pixels: (joint, x, y).
JUMPER = [("nose", 404, 219), ("left_shoulder", 392, 227), ("left_hip", 380, 262),
          ("left_ankle", 393, 317), ("right_ankle", 388, 319)]  # fmt: skip
WALKER = [("left_shoulder", 38, 218), ("left_hip", 34, 263), ("right_ankle", 67, 326)]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(PICTURE))[..., ::-1])


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def runtime(request) -> str:
    """Each runtime that is installed; what is asked of a detector is asked of both."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def movenet(runtime) -> MoveNet:
    return MoveNet(MoveNetConfig(runtime=runtime))


@needs_weights
@pytest.mark.parametrize("size", [256, 384, 512])
def test_it_finds_both_people(picture, runtime, size):
    people = make_detector("movenet", input_size=size, runtime=runtime).detect(picture)
    assert len(people) == 2
    right_to_left = people.take(np.argsort(-people.xy[:, COCO17.index("left_hip"), 0]))
    for row, joints in enumerate((JUMPER, WALKER)):
        for joint, x, y in joints:
            k = COCO17.index(joint)
            if right_to_left.score[row, k] > 0.3:
                # about a tenth of a body, which is 100 px high here
                assert np.hypot(*(right_to_left.xy[row, k] - (x, y))) < 12, joint
    assert right_to_left.score[:, COCO17.index("left_shoulder")].min() > 0.4


@needs_weights
@pytest.mark.parametrize("scale", [0.7, 1.5, 3.0])
def test_places_scale_with_the_image(picture, movenet, scale):
    base = movenet.detect(picture)
    size = (round(640 * scale), round(360 * scale))
    scaled = movenet.detect(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    assert len(scaled) == len(base) == 2
    order = np.argsort(base.xy[:, 11, 0]), np.argsort(scaled.xy[:, 11, 0])
    a, b = base.take(order[0]), scaled.take(order[1])
    both = (a.score > 0.4) & (b.score > 0.4)
    assert both.sum() > 12
    difference = np.linalg.norm((b.xy + 0.5) / scale - 0.5 - a.xy, axis=-1)[both]
    assert np.median(difference) < 3


@needs_weights
def test_a_mirrored_picture_gives_mirrored_people(picture, movenet):
    """Neither the letterbox nor the decoder shifts people sideways."""
    a = movenet.detect(picture)
    b = movenet.detect(np.ascontiguousarray(picture[:, ::-1]))
    a, b = a.take(np.argsort(a.xy[:, 11, 0])), b.take(np.argsort(-b.xy[:, 11, 0]))
    mirrored = 639 - b.xy[:, COCO17.flip, 0]
    both = (a.score > 0.4) & (b.score[:, COCO17.flip] > 0.4)
    assert both.sum() > 10
    assert abs(np.median((a.xy[..., 0] - mirrored)[both])) < 1.7  # one input pixel


@needs_weights
@pytest.mark.parametrize("value", [0, 127, 255])
def test_nobody_on_an_empty_image(movenet, value):
    assert len(movenet.detect(np.full((480, 640, 3), value, np.uint8))) == 0


@needs_weights
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 4000, 3), (2000, 5, 3), (31, 33, 3)])
def test_strange_sizes_are_survived(movenet, shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    people = movenet.detect(noise)
    assert (people.xy >= -0.5).all()
    assert (people.xy <= np.array(shape[1::-1]) - 0.5).all()


@needs_weights
def test_not_contiguous_images_work(picture, movenet):
    bgr = picture[..., ::-1].copy()
    np.testing.assert_array_equal(movenet.detect(bgr[..., ::-1]).xy, movenet.detect(picture).xy)


@needs_weights
def test_it_is_a_detector(movenet):
    assert isinstance(movenet, Detector)
    assert (movenet.name, movenet.joint_set) == ("movenet", "coco17")


@needs_weights
@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((4, 4), np.uint8), r"expected \(H, W, 3\) uint8, got \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"got \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "expected a uint8 array .* got float32"),
        (None, "expected a uint8 array .* got NoneType"),
    ],
)
def test_what_is_no_image_is_refused(movenet, image, text):
    with pytest.raises(InputError, match=text):
        movenet.detect(image)


@needs_weights
def test_a_closed_detector_says_so(picture, runtime):
    detector = MoveNet(MoveNetConfig(runtime=runtime))
    detector.detect(picture)
    detector.close()
    detector.close()
    with pytest.raises(BackendError, match="was closed"):
        detector.detect(picture)


# ---- model files


def test_a_missing_model_is_named(tmp_path, runtime):
    with pytest.raises(ModelError, match=rf"no model file at {tmp_path}/none.onnx"):
        make_detector("movenet", model=str(tmp_path / "none.onnx"), runtime=runtime)


@needs_weights
@pytest.mark.parametrize("keep", [0, 1000, 0.5, 0.999])
def test_a_truncated_model_is_named(tmp_path, runtime, keep):
    data = bundled_model().read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(ModelError, match=f"{path} is not a complete ONNX model"):
        MoveNet(MoveNetConfig(model=str(path), runtime=runtime))


def test_another_network_is_refused(tmp_path, runtime):
    onnx = pytest.importorskip("onnx", reason="onnx is needed to write another network")
    h = onnx.helper
    x = h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3])
    y = h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3])
    graph = h.make_graph([h.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    path = tmp_path / "other.onnx"
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    with pytest.raises(ModelError, match=rf"{path} is another network: expected int32"):
        MoveNet(MoveNetConfig(model=str(path), runtime=runtime))


# ---- options


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("input_size", 100, "movenet input_size: expected 128 to 1024, got 100"),
        ("input_size", 2048, "expected 128 to 1024, got 2048"),
        ("input_size", 400, "expected a multiple of 32, got 400"),
        ("input_size", "384", "expected a whole number, got '384'"),
        ("person_threshold", -0.1, "movenet person_threshold: expected 0 to 1, got -0.1"),
        ("person_threshold", float("nan"), "expected 0 to 1, got nan"),
        ("keypoint_threshold", 1.5, "movenet keypoint_threshold: expected 0 to 1, got 1.5"),
        ("nms_threshold", True, "expected a number, got True"),
        ("min_keypoints", 0, "movenet min_keypoints: expected 1 to 17, got 0"),
        ("max_people", 7, "movenet max_people: expected 1 to 6, got 7"),
        ("threads", 0, "movenet threads: expected 1 to 64, got 0"),
        ("runtime", "torch", "movenet runtime: expected one of auto, onnxruntime, openvino, got 'torch'"),
        ("runtime", None, "movenet runtime: expected one of auto, onnxruntime, openvino, got None"),
        ("size", 384, "detector 'movenet': unknown option 'size', expected: model, input_size"),
    ],
)
def test_options_out_of_range_are_refused(option, value, text):
    with pytest.raises(ConfigError, match=text):
        make_detector("movenet", **{option: value})


def test_an_unknown_detector_is_refused():
    with pytest.raises(ConfigError, match="expected one of movenet, ultralytics, onnx, got 'openpose'"):
        make_detector("openpose")


# ---- decoding


BOX = Letterbox.fit(640, 360, 384)


def rows(*people: tuple[np.ndarray, np.ndarray | float, float]) -> np.ndarray:
    """Network output that says (xy (17, 2) image pixels, keypoint scores, person score)."""
    out = np.zeros((1, 6, 56), np.float32)
    for i, (xy, score, person) in enumerate(people):
        relative = BOX.to_input(xy) / (BOX.width, BOX.height)
        out[0, i, :51] = np.column_stack(
            [relative[:, 1], relative[:, 0], np.broadcast_to(score, 17)]
        ).reshape(-1)
        out[0, i, 55] = person
    return out


def person(x: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([x - 40, 90], [x + 40, 270], (17, 2))


def run(*people, **options):
    return decode(rows(*people), BOX, (640, 360), MoveNetConfig(**options))


def test_coordinates_come_back_to_image_pixels():
    xy = person(300)
    found = run((xy, 0.8, 0.7))
    np.testing.assert_allclose(found.xy[0], xy, atol=1e-3)
    np.testing.assert_allclose(found.score[0], 0.8, atol=1e-6)
    assert found.person_score[0] == pytest.approx(0.7)


def test_faint_people_and_faint_keypoints_are_dropped():
    score = np.full(17, 0.8)
    score[4] = 0.05
    found = run((person(100), score, 0.7), (person(500), 0.8, 0.1))
    assert len(found) == 1
    assert found.score[0, 4] == 0
    assert (found.xy[0, 4] == 0).all()


def test_a_person_of_few_keypoints_is_dropped():
    score = np.zeros(17)
    score[:4] = 0.9
    assert len(run((person(100), score, 0.7))) == 0
    assert len(run((person(100), score, 0.7), min_keypoints=4)) == 1


def test_keypoints_in_the_padding_are_masked():
    xy = person(300)
    xy[15] = (300, 372)  # the letterbox pads 360 to 373
    xy[16] = (-3, 200)
    found = run((xy, 0.8, 0.7))
    assert found.score[0, 15] == 0
    assert found.score[0, 16] == 0
    assert (found.score[0, :15] > 0).all()


def test_scores_are_clipped():
    found = run((person(300), 1.3, 1.2))
    assert found.score.max() == 1.0
    assert found.person_score[0] == 1.0


def test_a_doubled_person_is_kept_once_and_the_better_one():
    xy = person(300)
    double = [(xy + 2, 0.8, 0.4), (xy, 0.8, 0.6)]
    found = run(*double)
    assert len(found) == 1
    assert found.person_score[0] == pytest.approx(0.6)
    assert len(run(*double, nms_threshold=1.0)) == 2


def test_people_side_by_side_both_stay():
    assert len(run((person(300), 0.8, 0.6), (person(340), 0.8, 0.5))) == 2


def test_the_best_come_first_and_the_rest_is_capped():
    people = [(person(60 + 100 * i, i), 0.8, 0.3 + 0.1 * i) for i in range(5)]
    found = run(*people, max_people=3)
    np.testing.assert_allclose(found.person_score, [0.7, 0.6, 0.5], atol=1e-6)


def test_rows_that_are_not_numbers_are_nobody():
    out = rows((person(100), 0.8, 0.7), (person(500), 0.8, 0.6))
    out[0, 0, 5] = np.nan
    found = decode(out, BOX, (640, 360), MoveNetConfig())
    assert len(found) == 1
    np.testing.assert_allclose(found.xy[0], person(500), atol=1e-3)
