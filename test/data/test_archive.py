"""Object arrays are read, and nothing they say is run."""

from __future__ import annotations

import io
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.data.formats import safe_pickle
from diffpose_ros.data.formats.archive import (
    labels,
    read_arrays,
    read_plain,
    write_arrays,
)


class Evil:
    """Unpickling this creates a file, or calls whatever else it is made with."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def write_member(path: Path, payload: bytes, name: str = "data") -> None:
    """An ``.npz`` whose one member is a zero-dimensional object array with this pickle."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": ()})
    member.write(payload)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name + ".npy", member.getvalue())


def test_dictionaries_of_arrays_come_back_as_they_went_in(tmp_path):
    told = {"S1": {"Walking 1": np.arange(6, dtype=np.float32).reshape(2, 3), "n": [1, (2.5, "a")]}}
    np.savez_compressed(tmp_path / "a.npz", data=told, plain=np.arange(3))
    got = read_arrays(tmp_path / "a.npz", ("data", "plain"))
    np.testing.assert_array_equal(got["data"]["S1"]["Walking 1"], told["S1"]["Walking 1"])
    assert got["data"]["S1"]["Walking 1"].dtype == np.float32
    assert got["data"]["S1"]["n"] == [1, (2.5, "a")]
    np.testing.assert_array_equal(got["plain"], [0, 1, 2])


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_pickle_protocol_is_read(tmp_path, protocol):
    holder = np.empty((), dtype=object)
    holder[()] = {
        "a": np.array([1.5, 2.5]), "s": np.float32(3), "raw": b"\x00\xff", "o": [None, True]
    }  # fmt: skip
    write_member(tmp_path / "a.npz", pickle.dumps(holder, protocol=protocol))
    got = read_arrays(tmp_path / "a.npz", ("data",))["data"]
    np.testing.assert_array_equal(got["a"], [1.5, 2.5])
    assert (got["s"], got["raw"], got["o"]) == (3, b"\x00\xff", [None, True])


def test_names_of_old_and_new_numpy_are_the_same_constructor():
    for module in ("numpy.core", "numpy._core"):
        stream = pickle.dumps(np.arange(3.0), protocol=2)
        renamed = re.sub(rb"cnumpy\._?core", b"c" + module.encode(), stream)
        np.testing.assert_array_equal(safe_pickle.load(io.BytesIO(renamed)), [0, 1, 2])


def test_object_arrays_with_a_shape_stay_arrays(tmp_path):
    holder = np.empty(2, dtype=object)
    holder[:] = [np.zeros(2), np.ones(3)]
    np.savez(tmp_path / "a.npz", data=holder)
    got = read_arrays(tmp_path / "a.npz", ("data",))["data"]
    assert [len(x) for x in got] == [2, 3]


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {path}",), "system"),
        (eval, ("open('{path}', 'w')",), "eval"),
        (exec, ("open('{path}', 'w')",), "exec"),
        (open, ("{path}", "w"), "open"),
        (getattr, ("", "join"), "getattr"),
        (np.fromfile, ("{path}",), "fromfile"),
        (np.load, ("{path}",), "load"),
        (OrderedDict, (), "OrderedDict"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, function, arguments, named):
    trace = tmp_path / "ran"
    evil = Evil(function, *(a.format(path=trace) for a in arguments))
    np.savez(tmp_path / "evil.npz", data={"S1": {"Walking": evil}})
    with pytest.raises(InputError, match=rf"refused, its pickle asks for '.*{named}'"):
        read_arrays(tmp_path / "evil.npz", ("data",))
    assert not trace.exists()


def test_the_test_above_would_notice_a_pickle_that_runs(tmp_path):
    trace = tmp_path / "ran"
    np.savez(tmp_path / "evil.npz", data={"x": Evil(os.system, f"touch {trace}")})
    with np.load(tmp_path / "evil.npz", allow_pickle=True) as opened:
        opened["data"]
    assert trace.exists()


def test_other_codecs_and_persistent_references_are_refused(tmp_path):
    write_member(tmp_path / "a.npz", b"c_codecs\nencode\n(Vx\nVrot13\ntR.")
    with pytest.raises(InputError, match="the codec 'rot13'"):
        read_arrays(tmp_path / "a.npz", ("data",))
    write_member(tmp_path / "b.npz", b"Pthing\n.")
    with pytest.raises(InputError, match="persistent reference"):
        read_arrays(tmp_path / "b.npz", ("data",))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {1, 2}}, "an object of type set"),
        ({(1, 2): 3}, "a dictionary whose keys are neither text nor numbers"),
        (np.zeros(2, dtype="f4,i4"), "the data type 'V8'"),
        (np.zeros(2, dtype="M8[s]"), "the data type 'M8'"),
    ],
    ids=["set", "key", "record", "date"],
)
def test_what_the_layouts_do_not_need_is_refused(tmp_path, value, text):
    holder = np.empty((), dtype=object)
    holder[()] = value
    write_member(tmp_path / "a.npz", pickle.dumps(holder, protocol=4))
    with pytest.raises(InputError, match=f"refused, its pickle asks for {text}"):
        read_arrays(tmp_path / "a.npz", ("data",))


def array_stream(shape: bytes, code: bytes, content: bytes) -> bytes:
    """A protocol-0 pickle of one array, each part as one likes."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n" + shape
        + b"cnumpy\ndtype\n(V" + code + b"\nI0\nI1\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntbI00\n" + content
        + b"tb."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "code", "content", "text"),
    [
        (b"(I1000000000\nt", b"f8", b"Vx\n", "shape and content differ"),
        (b"(I-1\nt", b"f8", b"V\n", r"the array shape \(-1,\)"),
        (b"(I1\nt", b"O8", b"V12345678\n", "objects made of bytes"),
        (b"(I1\nt", b"f8", b"I7\n", "an array made of int"),
        (b"(I3\nt", b"O8", b"(I7\nl", "shape and content differ"),
        (b"(I1\nt", b"f9", b"V123456789\n", "the data type 'f9'"),
    ],
    ids=["huge", "negative", "pointers", "number", "short list", "no such type"],
)  # fmt: skip
def test_arrays_that_would_crash_numpy_are_refused(tmp_path, shape, code, content, text):
    write_member(tmp_path / "a.npz", array_stream(shape, code, content))
    with pytest.raises(InputError, match=f"refused, its pickle asks for .*{text}"):
        read_arrays(tmp_path / "a.npz", ("data",))


def test_the_stream_of_the_test_above_is_right_but_for_what_it_varies(tmp_path):
    write_member(tmp_path / "a.npz", array_stream(b"(I2\nt", b"i4", b"V" + b"abcdabcd" + b"\n"))
    got = read_arrays(tmp_path / "a.npz", ("data",))["data"]
    np.testing.assert_array_equal(got, np.frombuffer(b"abcdabcd", "<i4"))


def test_python_2s_arrays_are_read(tmp_path):
    """Python 2 wrote an array's bytes as text."""
    raw = np.array([1.5, -2.0]).tobytes().decode("latin1")
    text = raw.encode("raw_unicode_escape")
    write_member(tmp_path / "a.npz", array_stream(b"(I2\nt", b"f8", b"V" + text + b"\n"))
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz", ("data",))["data"], [1.5, -2.0])


def test_a_missing_file_and_a_missing_array_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz: no such file"):
        read_arrays(tmp_path / "nowhere.npz", ("data",))
    np.savez(tmp_path / "a.npz", other=np.zeros(1))
    with pytest.raises(InputError, match="missing data; it holds other"):
        read_arrays(tmp_path / "a.npz", ("data",))


def test_a_file_cut_anywhere_is_not_readable(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", data={"S1": {"a": np.zeros((50, 3))}})
    whole = (tmp_path / "a.npz").read_bytes()
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.npz").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="not a readable"):
            read_arrays(tmp_path / "cut.npz", ("data",))


def test_a_pickle_cut_anywhere_is_not_readable(tmp_path):
    holder = np.empty((), dtype=object)
    holder[()] = {"a": np.arange(20.0)}
    payload = pickle.dumps(holder)
    for cut in range(len(payload)):
        write_member(tmp_path / "cut.npz", payload[:cut])
        with pytest.raises(InputError):
            read_arrays(tmp_path / "cut.npz", ("data",))


def test_a_damaged_pickle_is_refused_or_read_but_never_runs_or_escapes(tmp_path):
    holder = np.empty((), dtype=object)
    holder[()] = {"S1": {"a": np.arange(6.0), "b": [np.float32(2), "text"]}}
    payload, rng, refused = pickle.dumps(holder), np.random.default_rng(0), 0
    for _ in range(300):
        broken = bytearray(payload)
        for at in rng.integers(len(broken), size=rng.integers(1, 4)):
            broken[at] = rng.integers(256)
        write_member(tmp_path / "a.npz", bytes(broken))
        try:
            read_arrays(tmp_path / "a.npz", ("data",))
        except InputError:
            refused += 1
    assert refused > 150


def test_plain_archives_hold_no_objects(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(2), t=np.array(["x", "y"]))
    got = read_plain(tmp_path / "a.npz", "a test", ("a",), ("t", "none"))
    assert sorted(got) == ["a", "t"]
    assert labels(tmp_path / "a.npz", "t", got, 2) == ["x", "y"]
    assert labels(tmp_path / "a.npz", "none", got, 2) == ["", ""]
    with pytest.raises(InputError, match=r"a\.npz: t: expected shape \(3,\), got \(2,\)"):
        labels(tmp_path / "a.npz", "t", got, 3)
    with pytest.raises(InputError, match="missing b, c; a test file holds a, b, c"):
        read_plain(tmp_path / "a.npz", "a test", ("a", "b", "c"))
    np.savez(tmp_path / "o.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"o\.npz: a: expected numbers or text, got Python objects"):
        read_plain(tmp_path / "o.npz", "a test", ("a",))
    np.save(tmp_path / "single.npy", np.zeros(2))
    with pytest.raises(InputError, match=r"expected an \.npz archive, got a single array"):
        read_plain(tmp_path / "single.npy", "a test", ("a",))


def zeros(path, name="a", megabytes=200) -> None:
    """An archive of a few hundred kilobytes that inflates to ``megabytes``."""
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with packed as archive, archive.open(f"{name}.npy", "w") as member:
        shape = (megabytes * 2**18,)
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        for _ in range(megabytes):
            member.write(bytes(2**20))


@pytest.mark.parametrize(
    "read",
    [lambda p: read_plain(p, "a test", ("a",)), lambda p: read_arrays(p, ("a",))],
    ids=["plain", "with objects"],
)
def test_a_file_that_inflates_beyond_all_bounds_is_refused_before_it_is_read(tmp_path, read, monkeypatch):
    zeros(tmp_path / "bomb.npz")
    assert (tmp_path / "bomb.npz").stat().st_size < 2**20
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("it was read"))
    text = r"bomb\.npz: refused, a would inflate to 210 MB, expected at most 67 MB"
    with pytest.raises(InputError, match=text):
        read(tmp_path / "bomb.npz")


def test_arrays_that_nobody_asks_for_are_not_read(tmp_path):
    zeros(tmp_path / "a.npz", name="other")
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array(member, np.arange(3))
    assert read_plain(tmp_path / "a.npz", "a test", ("a",))["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", [(10**12,), (2,), (3, 10**9)], ids=["terabytes", "less", "two axes"])
def test_a_header_that_lies_is_refused(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        member.write(np.zeros(4).tobytes())
    text = r"a\.npz: a: the header tells of .* bytes of shape .*, the archive holds 32"
    with pytest.raises(InputError, match=text):
        read_plain(tmp_path / "a.npz", "a test", ("a",))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["f4", ">i8", "U5", "?"])
def test_arrays_of_every_order_and_type_come_back(tmp_path, order, kind):
    value = np.asarray(np.arange(6).reshape(2, 3).astype(kind), order=order)
    np.savez(tmp_path / "a.npz", a=value, single=np.array(3.0))
    got = read_plain(tmp_path / "a.npz", "a test", ("a", "single"))
    np.testing.assert_array_equal(got["a"], value)
    assert got["a"].dtype == value.dtype
    assert got["a"].flags.writeable
    assert got["single"].shape == ()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    write_arrays(tmp_path / "a.npz", {"a": np.arange(3)})
    before = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(TypeError):
        write_arrays(tmp_path / "a.npz", {"a": np.arange(3), 7: np.arange(2)})
    assert (tmp_path / "a.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    with pytest.raises(InputError, match=r"b\.npz: cannot be written \(No such file"):
        write_arrays(tmp_path / "nowhere" / "b.npz", {"a": np.arange(3)})
