"""Bodies -> images: what any client writes is read exactly, and anything else is refused."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.serving.bodies import images_of
from fercache.serving.limits import Limits, Refused

LIMITS = Limits(images=8)
names = st.text(
    st.characters(codec="utf-8", exclude_characters='"\\\r\n', exclude_categories=("C",)), min_size=1, max_size=20
)
files = st.lists(st.tuples(names, st.binary(max_size=200)), min_size=1, max_size=8)


def read(kind: str, body: bytes) -> list[tuple[str, bytes]]:
    return [(image.name, image.data) for image in images_of(kind, body, LIMITS)]


def read_or_refused(kind: str, body: bytes) -> None:
    try:
        assert read(kind, body)
    except Refused as refused:
        assert refused.status in (400, 413, 415) and refused.message


@settings(max_examples=25, deadline=None)
@given(files, st.text("0123456789abcDEF'()+_,-./:=?", min_size=1, max_size=70))
def test_any_form_is_read_exactly(images: list[tuple[str, bytes]], boundary: str) -> None:
    line = f"\r\n--{boundary}".encode()
    images = [(name, data) for name, data in images if line not in b"\r\n" + data]
    if not images:
        return
    head = 'Content-Disposition: form-data; name="f"; filename="{}"\r\n\r\n'
    parts = [f"--{boundary}\r\n{head.format(name)}".encode() + data + b"\r\n" for name, data in images]
    body = b"a preamble\r\n" + b"".join(parts) + f"--{boundary}--\r\nan epilogue".encode()
    found = read(f'multipart/form-data; charset=utf-8; boundary="{boundary}"', body)
    assert found == images


@settings(max_examples=25, deadline=None)
@given(files)
def test_any_json_is_read_exactly(images: list[tuple[str, bytes]]) -> None:
    entries = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in images]
    assert read("application/json", json.dumps({"images": entries}).encode()) == images


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["application/json", "multipart/form-data; boundary=x", "image/png", "text/plain", ""]), st.binary()
)
def test_any_bytes_are_read_or_refused(kind: str, body: bytes) -> None:
    read_or_refused(kind, body)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([b"--x", b"--x--", b"\r\n", b": ", b"a", b'filename="', b"Content-Disposition", b"\0"]))
)
def test_any_pieces_of_a_form_are_read_or_refused(pieces: list[bytes]) -> None:
    read_or_refused("multipart/form-data; boundary=x", b"".join(pieces))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_any_content_type_is_read_or_refused(kind: str) -> None:
    for start in ("", "multipart/form-data;", "multipart/form-data; boundary="):
        read_or_refused(start + kind, b"--x\r\n\r\na\r\n--x--")


def test_a_part_without_a_file_has_the_name_of_its_field() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="left"\r\n\r\nabc\r\n--x\r\n\r\ndef\r\n--x--\r\n'
    assert read("multipart/form-data; boundary=x", body) == [("left", b"abc"), ("image", b"def")]


def test_a_name_in_the_encoding_of_rfc_2231_is_read() -> None:
    body = b"--x\r\nContent-Disposition: form-data; name=f; filename*=utf-8''%C3%A4.png\r\n\r\nabc\r\n--x--"
    assert read("multipart/form-data; boundary=x", body) == [("ä.png", b"abc")]


def test_a_long_name_is_cut() -> None:
    entry = {"name": "n" * 1000, "data": ""}
    assert [len(name) for name, _ in read("application/json", json.dumps({"images": [entry]}).encode())] == [200]


@pytest.mark.parametrize("text", ["é", "a", "ab=", "a b c d", "####"])
def test_text_that_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not base64"):
        read("application/json", json.dumps({"images": [text]}).encode())
