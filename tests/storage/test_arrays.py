from __future__ import annotations

import contextlib
import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workzone.core.errors import ArtifactError
from workzone.storage.arrays import read_npz
from workzone.storage.atomic import write_npz

LIMIT = 1 << 20
dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.unicode_string_dtypes(max_len=5),
    hnp.byte_string_dtypes(max_len=5),
    hnp.datetime64_dtypes(max_period="Y", min_period="s"),
)
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))


def npy(descr: str = "<f8", shape: str = "(2,)", fortran: str = "False", data: bytes = bytes(16)) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def zipped(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["x", "file", "ä b", "a/b"]), arrays, max_size=3))
def test_it_reads_what_write_npz_and_numpy_write(tmp_path: Path, values: dict[str, np.ndarray]) -> None:
    write_npz(tmp_path / "ours.npz", values)
    np.savez(tmp_path / "numpys.npz", **{k.replace("file", "f"): v for k, v in values.items()})
    np.savez_compressed(tmp_path / "small.npz", **{k.replace("file", "f"): v for k, v in values.items()})
    for name in ("ours", "numpys", "small"):
        read = read_npz(tmp_path / f"{name}.npz", LIMIT)
        assert len(read) == len(values)
        for key, value in values.items():
            found = read[key if name == "ours" else key.replace("file", "f")]
            assert found.dtype == value.dtype
            assert found.shape == value.shape
            assert found.tobytes() == value.tobytes()
            assert found.flags.writeable
            assert found.flags.aligned


def test_memory_layout_is_read(tmp_path: Path) -> None:
    values = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.savez(tmp_path / "a.npz", x=values)
    assert read_npz(tmp_path / "a.npz", LIMIT)["x"].tolist() == values.tolist()


@pytest.mark.parametrize(
    "entry",
    [
        npy("<f8", "(1000000000000,)"),
        npy("<f8", "(3,)"),
        npy("<f8", "(1,)"),
        npy("<f8", "(-2,)"),
        npy("<f8", "(-1, -2)"),
        npy("<U0", "(1000000000000,)", data=b""),
        npy("<f8", "(2,)" + " " * 60_000)[:50_000],
        npy("|O", "(2,)"),
        npy("|V8", "(2,)"),
        npy("<f8", "__import__('os').getpid()"),
        npy("<f8", "(2, (2,))"),
        npy("<f7", "(2,)", data=bytes(14)),
        npy("<f8", f"({'1, ' * 40}2)"),
        npy()[:30],
        npy()[:9],
        b"",
        b"\x93NUMPY\x02\x00" + npy()[8:],
        npy().replace(b"False", b"None"),
    ],
    ids=range(18),
)
def test_a_header_that_lies_is_an_artifact_error(tmp_path: Path, entry: bytes) -> None:
    path = zipped(tmp_path / "a.npz", {"good.npy": npy(), "bad.npy": entry})
    with pytest.raises(ArtifactError, match=r"a\.npz'.*bad\.npy|a\.npz' cannot be read"):
        read_npz(path, LIMIT)
    assert read_npz(zipped(path, {"good.npy": npy()}), LIMIT)["good"].tolist() == [0, 0]


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArtifactError, match="no array of plain numbers"):
        read_npz(tmp_path / "a.npz", LIMIT)


def test_a_bomb_is_refused_by_what_it_says(tmp_path: Path) -> None:
    size = 64 << 20
    data = npy("|u1", f"({size},)", data=bytes(size))
    path = zipped(tmp_path / "a.npz", {"x.npy": data}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < LIMIT
    tracemalloc.start()
    with pytest.raises(ArtifactError, match=f"unpacks to {len(data)} bytes; at most {LIMIT}"):
        read_npz(path, LIMIT)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_bomb_that_says_it_is_small_is_not_unpacked(tmp_path: Path) -> None:
    data = npy("|u1", f"({64 << 20},)", data=bytes(64 << 20))
    path = zipped(tmp_path / "a.npz", {"x.npy": data}, zipfile.ZIP_DEFLATED)
    lie = path.read_bytes().replace(len(data).to_bytes(4, "little"), (200).to_bytes(4, "little"))
    path.write_bytes(lie)
    tracemalloc.start()
    with pytest.raises(ArtifactError, match=r"a\.npz"):
        read_npz(path, LIMIT)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_the_file_itself_and_the_sum_of_its_arrays_are_bounded(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", {"x.npy": npy(), "y.npy": npy()})
    unpacked = 2 * len(npy())
    with pytest.raises(ArtifactError, match="at most"):
        read_npz(path, path.stat().st_size - 1)
    packed = zipped(
        tmp_path / "b.npz", {f"{i}.npy": npy(data=bytes(16)) for i in range(9)}, zipfile.ZIP_DEFLATED
    )
    assert set(read_npz(packed, 9 * unpacked)) == {str(i) for i in range(9)}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy())
        archive.writestr("x.npy", npy())
    with pytest.raises(ArtifactError, match="two arrays of one name"):
        read_npz(tmp_path / "a.npz", LIMIT)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_and_other_files_are_refused(tmp_path: Path, compression: int) -> None:
    with pytest.raises(ArtifactError, match=r"'x\.npy' is compressed"):
        read_npz(zipped(tmp_path / "a.npz", {"x.npy": npy()}, compression), LIMIT)
    with pytest.raises(ArtifactError, match=r"holds 'x\.txt'"):
        read_npz(zipped(tmp_path / "a.npz", {"x.txt": npy()}), LIMIT)


def test_what_is_no_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"text")
    for path in (tmp_path / "a.npz", tmp_path / "none.npz", tmp_path):
        with pytest.raises(ArtifactError, match=path.name):
            read_npz(path, LIMIT)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_byte_or_cut_is_harmless(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(3.0), y=np.array(["a", "bc"]))
    whole = buffer.getvalue()
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(0, 255))
    changed = whole[:place] + (bytes([whole[place] ^ flip]) + whole[place + 1 :] if flip else b"")
    (tmp_path / "a.npz").write_bytes(changed)
    with contextlib.suppress(ArtifactError):
        read = read_npz(tmp_path / "a.npz", LIMIT)
        # Only the zip's own bookkeeping (times, attributes, names) is not covered by checksums.
        assert [v.tolist() for v in read.values()] in (
            [[0, 1, 2], ["a", "bc"]],
            [["a", "bc"]],
            [[0, 1, 2]],
            [],
        )
