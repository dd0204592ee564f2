"""Features at people in pictures: further outputs of the detector's own network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from diffpose_ros.core import InputError, ModelError
from diffpose_ros.frontend.picture_features import FEATURES, GRID, PictureFeatures, gather, with_outputs
from diffpose_ros.frontend.tracked.heads import Decoded


@pytest.fixture(scope="module")
def reader() -> PictureFeatures:
    return PictureFeatures()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    bgr = cv2.imread(str(Path(__file__).parent / "people.jpg"))
    return np.ascontiguousarray(bgr[..., ::-1])


def test_features_are_of_the_person_asked_for(reader, picture):
    height, width = picture.shape[:2]
    whole = np.zeros((2, 17, 3))
    whole[..., 0] = np.linspace(0.3, 0.7, 17) * width
    whole[..., 1] = np.linspace(0.2, 0.8, 17) * height
    whole[..., 2] = 0.9
    whole[1, :, 0] -= 0.2 * width
    features, seen = reader.at(picture, whole)
    assert features.shape == (2, FEATURES) and features.dtype == np.float32
    assert seen.shape == (2, 17, 3) and np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 0.1
    again, _ = reader.at(picture, whole[1:])
    np.testing.assert_allclose(again[0], features[1], atol=2e-3)


def test_each_part_stands_in_its_place():
    at = np.tile([0.26, 0.76], (1, 17, 1))
    seen = Decoded(at, np.full((1, 17), 0.5), np.zeros((1, 17, 2, 2)))
    fine = np.arange(24 * 16, dtype=np.float32).reshape(1, 24, 4, 4)
    coarse = np.repeat(np.arange(64, dtype=np.float32), 36).reshape(1, 64, 6, 6)
    got = gather(seen, coarse, fine)[0]
    assert len(got) == FEATURES
    np.testing.assert_allclose(got[:3], [-0.24, 0.26, 0.5], atol=1e-6)
    np.testing.assert_allclose(got[51:75], fine[0, :, 3, 1])  # row 3, column 1
    np.testing.assert_allclose(got[51 + 17 * 24 :], np.repeat(np.arange(64), GRID * GRID))


def test_nobody_gives_nothing_and_what_is_no_person_is_refused(reader, picture):
    features, seen = reader.at(picture, np.zeros((0, 17, 3)))
    assert features.shape == (0, FEATURES) and seen.shape == (0, 17, 3)
    with pytest.raises(InputError, match="expected people with a keypoint"):
        reader.at(picture, np.zeros((1, 17, 3)))
    with pytest.raises(InputError, match=r"expected \(H, W, 3\) uint8"):
        reader.at(picture[..., 0], np.ones((1, 17, 3)))


def test_outputs_are_added_to_a_file_as_its_library_would(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: needed to read the file back")
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]> g (float[n] x) => (float[n] y) {'
        ' inner = Neg(x) y = Exp(inner) }'
    )
    long = "a" * 300
    made = onnx.load_model_from_string(with_outputs(model.SerializeToString(), ("inner", long)))
    assert [o.name for o in made.graph.output] == ["y", "inner", long]
    assert [n.op_type for n in made.graph.node] == ["Neg", "Exp"]


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "no.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no MoveNet SinglePose that features can be read from"):
        PictureFeatures(model=path)
    with pytest.raises(ModelError, match="no MoveNet"):
        PictureFeatures(model=tmp_path / "absent.onnx")
