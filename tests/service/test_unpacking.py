"""Packed bodies: whole, or refused. Half a manifest is never taken for a smaller one."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batcher.service.problem import Problem
from batcher.service.unpacking import unpacking
from batcher.simulator.server import Simulator
from tests.service.serving import csv, serving

TEXT = st.one_of(st.binary(max_size=2000), st.integers(0, 700_000).map(lambda size: b"job-1,objects\n" * (size // 14)))


def _bare(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def _flushed(text: bytes) -> bytes:
    """With a boundary in its middle at which all that came before can be unpacked."""
    packer, half = zlib.compressobj(wbits=zlib.MAX_WBITS + 16), len(text) // 2
    first = packer.compress(text[:half]) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + packer.compress(text[half:]) + packer.flush()


Pack = Callable[[bytes], bytes]
PACKINGS: dict[str, tuple[str, Pack]] = {
    "gzip": ("gzip", gzip.compress),
    "flushed": ("x-gzip", _flushed),
    "members": ("GZIP", lambda text: gzip.compress(text[:9]) + gzip.compress(text[9:])),
    "zlib": ("deflate", zlib.compress),
    "bare": ("deflate", _bare),
}


def _unpacked(coding: str, packed: bytes, piece: int) -> bytes:
    body = unpacking(coding)
    found: list[bytes] = []
    for at in range(0, len(packed), piece):
        found += body.unpack(packed[at : at + piece])
    body.end()
    assert all(0 < len(each) <= 256 * 1024 for each in found)
    return b"".join(found)


@given(TEXT, st.sampled_from(sorted(PACKINGS)), st.integers(1, 70_000))
@example(b"x" * 512 * 1024, "bare", 100_000)
def test_what_was_packed_comes_out_however_it_comes_in(text: bytes, packing: str, piece: int) -> None:
    coding, pack = PACKINGS[packing]
    packed = pack(text)
    assert _unpacked(coding, packed, max(piece, len(packed) // 50)) == text


@given(st.binary(min_size=1, max_size=500), st.sampled_from(sorted(PACKINGS)), st.data())
def test_what_was_cut_off_is_refused(text: bytes, packing: str, data: st.DataObject) -> None:
    coding, pack = PACKINGS[packing]
    packed = pack(text)
    kept = data.draw(st.integers(0, len(packed) - 1))
    if packing == "members" and kept == len(gzip.compress(text[:9])):
        return  # that is a whole gzip: the length of the body tells that it is not
    with pytest.raises(Problem, match="cut off or damaged"):
        _unpacked(coding, packed[:kept], 7)


@pytest.mark.parametrize("packing", sorted(PACKINGS))
def test_what_comes_after_the_end_is_refused(packing: str) -> None:
    coding, pack = PACKINGS[packing]
    with pytest.raises(Problem, match="cut off or damaged"):
        _unpacked(coding, pack(b"job_id\n") + b"job-2\n", 1000)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "identity, gzip"])
def test_another_coding_is_named_with_those_that_are_known(coding: str) -> None:
    with pytest.raises(Problem, match="not known") as refused:
        unpacking(coding)
    assert refused.value.status == 415
    assert refused.value.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("packing", sorted(PACKINGS))
async def test_a_packed_manifest_is_a_wave_and_half_of_it_is_none(
    cloud: Simulator, tmp_path: Path, packing: str
) -> None:
    coding, pack = PACKINGS[packing]
    packed = pack(csv(2000))
    headers = {"Content-Type": "text/csv", "Content-Encoding": coding}
    async with serving(tmp_path) as service:
        for kept in {*range(len(packed) - 40, len(packed)), len(packed) // 2, 0}:
            async with service.client.post("/v1/waves?start=false", data=packed[:kept], headers=headers) as answer:
                assert answer.status == 400
        wave = await service.submit(packed, "start=false", headers=headers)
        assert wave["entries"] == 2000
        assert len((await service.get("/v1/waves"))["waves"]) == 1
