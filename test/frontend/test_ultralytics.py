"""The YOLO-pose adapter, against a fake ultralytics, and against the real one where installed."""

import importlib.util
import sys
import types

import numpy as np
import pytest

from diffpose_ros.core import BackendError, ConfigError, InputError, ModelError
from diffpose_ros.frontend.detectors import make_detector

IMAGE = np.zeros((90, 160, 3), np.uint8)
IMAGE[..., 0] = 200  # red


class Tensor:
    """Looks like a torch tensor on a GPU."""

    def __init__(self, value):
        self.value = np.asarray(value, dtype=np.float32)

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.value


def result(keypoints, conf):
    return types.SimpleNamespace(
        keypoints=types.SimpleNamespace(data=Tensor(keypoints)),
        boxes=types.SimpleNamespace(conf=Tensor(conf)),
    )


class FakeYOLO:
    task = "pose"
    answer = staticmethod(lambda image: result(np.zeros((0, 17, 3)), []))
    made: list = []
    calls: list = []

    def __init__(self, path, **options):
        if "broken" in path:
            raise RuntimeError("invalid magic number\nand much more")
        if "segment" in path:
            self.task = "segment"
        FakeYOLO.made.append((path, options))

    def predict(self, images, **options):
        FakeYOLO.calls.append((images, options))
        return [FakeYOLO.answer(image) for image in images]


@pytest.fixture
def yolo(monkeypatch, tmp_path):
    """A weight file and the fake library."""
    module = types.ModuleType("ultralytics")
    module.YOLO = FakeYOLO
    monkeypatch.setitem(sys.modules, "ultralytics", module)
    FakeYOLO.made, FakeYOLO.calls = [], []
    monkeypatch.setattr(FakeYOLO, "answer", staticmethod(FakeYOLO.answer))
    path = tmp_path / "pose.pt"
    path.write_bytes(b"weights")
    return path


def one_person(score=0.8):
    xy = np.random.default_rng(0).uniform(5, 80, (17, 2))
    return np.column_stack([xy, np.full(17, score)])


def test_people_come_out_best_first(yolo):
    a, b = one_person(), one_person(0.6)
    FakeYOLO.answer = staticmethod(lambda image: result([a, b], [0.4, 0.9]))
    people = make_detector("ultralytics", model=str(yolo)).detect(IMAGE)
    np.testing.assert_allclose(people.person_score, [0.9, 0.4], atol=1e-6)
    np.testing.assert_allclose(people.xy[1], a[:, :2], atol=1e-5)
    np.testing.assert_allclose(people.score[0], 0.6, atol=1e-6)


def test_the_image_is_handed_over_as_bgr_with_the_options(yolo):
    make_detector("ultralytics", model=str(yolo), device="cuda:0", batch=2, imgsz=320, conf=0.4).detect(IMAGE)
    ((images, options),) = FakeYOLO.calls
    assert images[0][0, 0].tolist() == [0, 0, 200]
    assert options["device"] == "cuda:0"
    assert (options["imgsz"], options["conf"], options["batch"]) == (320, 0.4, 2)
    assert options["verbose"] is False


def test_batches_hold_as_many_images_as_asked(yolo):
    detector = make_detector("ultralytics", model=str(yolo), batch=2)
    assert len(detector.detect_batch([IMAGE] * 5)) == 5
    assert [len(images) for images, _ in FakeYOLO.calls] == [2, 2, 1]


def test_nobody_in_view(yolo):
    FakeYOLO.answer = staticmethod(lambda image: result(np.zeros((0, 17, 3)), []))
    assert len(make_detector("ultralytics", model=str(yolo)).detect(IMAGE)) == 0


def test_faint_and_invalid_keypoints_are_masked(yolo):
    k = one_person()
    k[3, 2], k[4, 0], k[5, 2], k[6, 2] = 0.05, np.nan, np.nan, 1.4
    FakeYOLO.answer = staticmethod(lambda image: result([k], [1.2]))
    people = make_detector("ultralytics", model=str(yolo)).detect(IMAGE)
    assert people.score[0, [3, 4, 5]].tolist() == [0, 0, 0]
    assert people.score[0, 6] == 1.0
    assert people.person_score[0] == 1.0


def test_models_without_keypoint_scores_mask_what_is_at_the_origin(yolo):
    k = one_person()[:, :2]
    k[3] = 0
    FakeYOLO.answer = staticmethod(lambda image: result([k], [0.7]))
    people = make_detector("ultralytics", model=str(yolo)).detect(IMAGE)
    assert people.score[0, 3] == 0
    np.testing.assert_allclose(people.score[0, 4], 0.7, atol=1e-6)


def test_people_are_capped(yolo):
    FakeYOLO.answer = staticmethod(lambda image: result([one_person()] * 5, [0.1, 0.5, 0.4, 0.9, 0.2]))
    people = make_detector("ultralytics", model=str(yolo), max_people=2).detect(IMAGE)
    np.testing.assert_allclose(people.person_score, [0.9, 0.5], atol=1e-6)


def test_exported_models_are_told_their_task(yolo, tmp_path):
    engine = tmp_path / "pose.engine"
    engine.write_bytes(b"x")
    folder = tmp_path / "pose_openvino_model"
    folder.mkdir()
    for path in (engine, folder, yolo):
        make_detector("ultralytics", model=str(path))
    assert [options for _, options in FakeYOLO.made] == [{"task": "pose"}, {"task": "pose"}, {}]


def test_a_bare_name_is_left_to_ultralytics(yolo):
    make_detector("ultralytics", model="yolo11n-pose.pt")
    assert FakeYOLO.made[0][0] == "yolo11n-pose.pt"


def test_a_model_with_other_keypoints_is_refused(yolo):
    FakeYOLO.answer = staticmethod(lambda image: result(np.ones((1, 21, 3)), [0.5]))
    detector = make_detector("ultralytics", model=str(yolo))
    with pytest.raises(ModelError, match=r"gives keypoints \(21, 3\), expected COCO's \(17, 3\)"):
        detector.detect(IMAGE)


def test_a_model_without_keypoints_is_refused(yolo):
    FakeYOLO.answer = staticmethod(
        lambda image: types.SimpleNamespace(keypoints=None, boxes=types.SimpleNamespace(conf=[]))
    )
    detector = make_detector("ultralytics", model=str(yolo))
    with pytest.raises(ModelError, match="gives no keypoints, expected a pose model"):
        detector.detect(IMAGE)


@pytest.mark.parametrize(
    ("name", "text"),
    [("none/x.pt", "no model file at .*none/x.pt"),
     ("broken.pt", "cannot load .*broken.pt: invalid magic number$"),
     ("segment.pt", "segment.pt is a 'segment' model, expected a pose model")],
)  # fmt: skip
def test_wrong_model_files_are_named(yolo, tmp_path, name, text):
    if "/" not in name:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=text):
        make_detector("ultralytics", model=str(tmp_path / name))


def test_a_failing_network_is_one_line(yolo):
    def fail(image):
        raise RuntimeError("CUDA out of memory\nTried to allocate")

    FakeYOLO.answer = staticmethod(fail)
    detector = make_detector("ultralytics", model=str(yolo))
    with pytest.raises(BackendError, match=r"inference failed: CUDA out of memory$"):
        detector.detect(IMAGE)


def test_a_closed_detector_says_so(yolo):
    detector = make_detector("ultralytics", model=str(yolo))
    detector.close()
    with pytest.raises(BackendError, match="was closed"):
        detector.detect(IMAGE)


def test_what_is_no_image_is_refused(yolo):
    with pytest.raises(InputError, match=r"got \(4, 4\)"):
        make_detector("ultralytics", model=str(yolo)).detect(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [("conf", 2.0, "ultralytics conf: expected 0 to 1, got 2"),
     ("imgsz", 8, "ultralytics imgsz: expected 32 to 4096, got 8"),
     ("batch", 0, "ultralytics batch: expected 1 to 256, got 0"),
     ("model", "", "ultralytics model: expected a weight file")],
)  # fmt: skip
def test_options_out_of_range_are_refused(option, value, text):
    with pytest.raises(ConfigError, match=text):
        make_detector("ultralytics", **{option: value})


def test_without_ultralytics_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(BackendError, match=r"not installed: pip install ultralytics$"):
        make_detector("ultralytics")


@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="ultralytics is not installed")
def test_the_real_library_runs_an_untrained_model(tmp_path):
    from ultralytics import YOLO

    path = tmp_path / "pose.pt"
    YOLO("yolo11n-pose.yaml").save(str(path))
    people = make_detector("ultralytics", model=str(path), imgsz=64, device="cpu").detect(IMAGE)
    assert people.joint_set == "coco17"
