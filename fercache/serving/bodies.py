"""The body of a request -> image files: one image, JSON with base64, or a form (multipart). No file is written."""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Any

from fercache.images.sizes import claimed_pixels
from fercache.serving.batching import GivenImage
from fercache.serving.limits import Limits, Refused

KINDS = "an image (image/jpeg, ...), application/json or multipart/form-data"
JSON_FORM = 'Expected {"images": [{"name": "a.jpg", "data": "<base64>"}, ...]}'
LONGEST_NAME, MOST_HEADERS = 200, 4096
"""Characters of an image's name, and bytes of the headers of a part of a form."""


def images_of(content_type: str, body: bytes, limits: Limits) -> list[GivenImage]:
    """The images of a body. Raises Refused for another kind, a damaged body, no image, and more than the limits."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        raise Refused(400, f"The body is empty. Send {KINDS}.")
    if kind == "application/json":
        given = _of_json(body, limits.images)
    elif kind == "multipart/form-data":
        given = _of_form(content_type, body, limits.images)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        given = [("image", body)]
    else:
        raise Refused(415, f"Content-Type is {kind[:60]!r}. Send {KINDS}.")
    images = [GivenImage(name[:LONGEST_NAME], data, claimed_pixels(data)) for name, data in given]
    _check_pixels(images, limits.pixels)
    return images


def _check_pixels(images: Sequence[GivenImage], most: int) -> None:
    pixels = sum(image.pixels for image in images)
    if pixels > most:
        largest = max(images, key=lambda image: image.pixels)
        raise Refused(
            413,
            f"The images have {pixels / 1e6:,.1f} megapixels, more than {most / 1e6:,.1f} a request; the largest is "
            f"{largest.name}. Make them smaller, or send them one by one.",
        )


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise Refused(413, f"A request may have {most} images. Send several requests.")


def _of_json(body: bytes, most: int) -> list[tuple[str, bytes]]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):  # also text that is not UTF-8, and too many brackets
        raise Refused(400, f"The body is not JSON. {JSON_FORM}.") from None
    images = given.get("images") if isinstance(given, dict) else None
    if not isinstance(images, list) or not images:
        raise Refused(400, f"There is no list of images. {JSON_FORM}.")
    _check_count(len(images), most)
    return [_of_entry(entry, number) for number, entry in enumerate(images, 1)]


def _of_entry(entry: Any, number: int) -> tuple[str, bytes]:
    named = entry if isinstance(entry, dict) else {"data": entry}
    name, data = named.get("name", f"image {number}"), named.get("data")
    if not isinstance(name, str) or not isinstance(data, str):
        raise Refused(400, f"Image {number} has no text as name and data. {JSON_FORM}.")
    if data.startswith("data:"):  # as a canvas of a browser writes it
        data = data.partition(",")[2]
    try:
        return name, base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, f"The data of {name[:LONGEST_NAME]} is not base64. {JSON_FORM}.") from None


def _of_form(content_type: str, body: bytes, most: int) -> list[tuple[str, bytes]]:
    """Every part of a form is an image; its name is that of the file, else of the field."""
    boundary = HeaderParser().parsestr(f"Content-Type: {content_type}").get_boundary("")
    if not boundary:
        raise Refused(400, "The form has no boundary in its Content-Type. Let the client's library write the form.")
    parts = list(_parts(body, boundary.encode("utf-8", "replace"), most))
    if not parts:
        raise Refused(400, "The form has no part. Send a file per image: curl -F image=@photo.jpg")
    return parts


def _parts(body: bytes, boundary: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part (RFC 2046, 5.1.1). Raises Refused if the form is cut off or has too many."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, most + 2)
    _check_count(len(pieces) - 2, most)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Refused(400, "The form is cut off: it does not end with its boundary.")
    for piece in pieces[1:-1]:
        padding, _, part = piece.partition(b"\r\n")
        headers, blank, content = (b"\r\n" + part).partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not blank or len(headers) > MOST_HEADERS:
            raise Refused(400, "A part of the form has no headers that end with a blank line, or too long ones.")
        yield _part_name(headers[2:]), content


def _part_name(headers: bytes) -> str:
    read = HeaderParser().parsestr(headers.decode("utf-8", "replace"))
    given = (read.get_param(name, "", "content-disposition") for name in ("filename", "name"))
    return next((name for name in map(collapse_rfc2231_value, given) if name), "image")
