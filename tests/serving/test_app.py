"""The routes, as a client sees them."""

import base64
import json
import threading
from collections.abc import Iterator

import pytest

from fercache.serving.guard import LOOPBACK, Guard
from fercache.serving.limits import Limits
from tests.serving.served import SHARES, Client, FakePredictor, image_file, served


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with served({"fake": FakePredictor(), "other": FakePredictor(faces=2, name="other")}) as client:
        yield client


def form(*files: tuple[str, bytes], boundary: str = "xyz") -> tuple[bytes, str]:
    head = 'Content-Disposition: form-data; name="image"; filename="{}"\r\nContent-Type: image/png\r\n\r\n'
    parts = [f"--{boundary}\r\n".encode() + head.format(name).encode() + data + b"\r\n" for name, data in files]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def as_json(*images: object) -> str:
    return json.dumps({"images": images})


FOUND = {
    "box": [10.0, 7.5, 30.0, 22.5],
    "score": 0.9,
    "landmarks": [[20.0, 15.0]] * 5,
    "expression": "happiness",
    "probabilities": SHARES,
}


def test_an_image_gives_what_predict_gives(client: Client) -> None:
    answer = client.post(image_file())
    assert answer.status == 200
    assert answer.json == {
        "model": FakePredictor().describe(),
        "images": [{"image": "image", "width": 40, "height": 30, "faces": [FOUND]}],
    }


def test_a_form_and_json_keep_names_and_order(client: Client) -> None:
    body, kind = form(("a.png", image_file(50)), ("ü b.png", image_file(60)))
    found = client.post(body, kind).json["images"]
    assert [(each["image"], each["width"]) for each in found] == [("a.png", 50), ("ü b.png", 60)]
    text = base64.b64encode(image_file(70)).decode()
    body = as_json({"name": "c.png", "data": text}, text, f"data:image/png;base64,{text}")
    found = client.post(body, "application/json; charset=utf-8").json["images"]
    assert [(each["image"], each["width"]) for each in found] == [("c.png", 70), ("image 2", 70), ("image 3", 70)]


def test_a_query_chooses_the_model(client: Client) -> None:
    assert client.get("/models").json == {"models": ["fake", "other"], "default": "fake"}
    assert client.get("/model").json == FakePredictor().describe()
    assert client.get("/model?model=other").json == FakePredictor(name="other").describe()
    found = client.post(image_file(), path="/predict?model=other").json
    assert found["model"]["model"] == "other" and len(found["images"][0]["faces"]) == 2


def test_an_unreadable_image_does_not_stop_the_others(client: Client) -> None:
    body, kind = form(("a.png", b"not an image"), ("b.png", image_file()))
    answer = client.post(body, kind)
    assert answer.status == 200
    assert answer.json["images"][0] == {"image": "a.png", "unreadable": "text, not an image"}
    assert "faces" in answer.json["images"][1]


def test_no_readable_image_is_an_error_with_the_reasons(client: Client) -> None:
    answer = client.post(image_file()[:60])
    assert answer.status == 422
    assert answer.json["images"] == [{"image": "image", "unreadable": "truncated"}]


WRONG = {
    "an empty body": (b"", "image/png", 400, "empty"),
    "another kind": (b"<a/>", "text/xml; charset=utf-8", 415, "'text/xml'"),
    "no kind": (b"abc", "", 415, "Send an image"),
    "no JSON": (b"{", "application/json", 400, "not JSON"),
    "JSON that is not UTF-8": (b'{"images": ["\xff"]}', "application/json", 400, "not JSON"),
    "deep JSON": (b"[" * 100_000, "application/json", 400, "not JSON"),
    "JSON of another form": (b'{"image": 1}', "application/json", 400, "no list of images"),
    "an empty list": (b'{"images": []}', "application/json", 400, "no list of images"),
    "a number as image": (b'{"images": [1]}', "application/json", 400, "Image 1 has no text"),
    "a number as name": (b'{"images": [{"name": 1, "data": ""}]}', "application/json", 400, "Image 1 has no text"),
    "no base64": (b'{"images": ["***"]}', "application/json", 400, "image 1 is not base64"),
    "too many in JSON": (as_json(*["aaaa"] * 65).encode(), "application/json", 413, "64 images"),
    "a form without boundary": (b"--x--", "multipart/form-data", 400, "boundary"),
    "a form without parts": (b"--x--\r\n", "multipart/form-data; boundary=x", 400, "no part"),
    "a form cut off": (form(("a", b"b"))[0][:-8], form()[1], 400, "cut off"),
    "a part without headers": (b"--x\r\nabc\r\n--x--\r\n", "multipart/form-data; boundary=x", 400, "headers"),
    "too many parts": (form(*[("a", b"b")] * 65)[0], form()[1], 413, "64 images"),
}


@pytest.mark.parametrize(("body", "kind", "status", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_body_is_refused(client: Client, body: bytes, kind: str, status: int, text: str) -> None:
    answer = client.post(body, kind)
    assert answer.status == status
    assert text in answer.json["error"]


def test_wrong_paths_methods_and_models_are_refused(client: Client) -> None:
    assert client.get("/nothing").json == {"error": "/nothing: Not Found"}
    assert client.get("/predict").status == 405 and client.get("/models/").status == 404
    assert client.send("POST", "/health", b"x" * 100).status == 405
    answer = client.post(image_file(), path="/predict?model=fak")
    assert answer.status == 404 and "Did you mean 'fake'?" in answer.json["error"]
    assert client.get("/model?model=fak").status == 404


def test_sizes_are_limited() -> None:
    limits = Limits(body=5000, pixels=2000, faces=2)
    with served({"two": FakePredictor(faces=2), "three": FakePredictor(faces=3)}, limits) as client:
        assert client.post(b"x" * 5001).status == 413
        assert client.post(iter([b"x" * 3000] * 2)).status == 413  # in chunks, so without a length
        answer = client.post(image_file(50, 41))
        assert answer.status == 413 and "0.0 megapixels" in answer.json["error"]
        assert client.post(image_file(50, 40)).status == 200
        answer = client.post(image_file(50, 40), path="/predict?model=three")
        assert answer.status == 413 and "image has 3 faces, more than 2" in answer.json["error"]


def test_a_compressed_body_is_refused(client: Client) -> None:
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    assert client.send("POST", "/predict", image_file(), headers).status == 415


def in_threads(client: Client, count: int) -> tuple[list[int], list[threading.Thread]]:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(client.post(image_file()).status)) for _ in range(count)]
    for thread in threads:
        thread.start()
    return statuses, threads


@pytest.mark.parametrize(("limits", "status"), [(Limits(per_client=3), 429), (Limits(waiting=3), 503)])
def test_too_many_waiting_requests_are_refused_at_once(limits: Limits, status: int) -> None:
    predictor = FakePredictor()
    predictor.let_go.clear()
    with served(predictor, limits) as client:
        statuses, threads = in_threads(client, 3)
        while client.get("/health").json["waiting"] < 3:
            pass
        refused = client.post(image_file())
        assert refused.status == status and refused.headers["retry-after"] == "1"
        predictor.let_go.set()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 3
        assert client.get("/health").json["waiting"] == 0
        assert client.post(image_file()).status == 200


def test_an_answer_that_takes_too_long_is_an_error() -> None:
    predictor = FakePredictor()
    predictor.let_go.clear()
    with served(predictor, Limits(answer_seconds=0.05)) as client:
        answer = client.post(image_file())
        predictor.let_go.set()
    assert answer.status == 503 and "within 0.05 seconds" in answer.json["error"]


def test_requests_are_computed_together() -> None:
    predictor = FakePredictor()
    predictor.let_go.clear()
    with served(predictor) as client:
        statuses, threads = in_threads(client, 1)
        while not predictor.calls:
            pass
        more, others = in_threads(client, 6)
        while client.get("/health").json["waiting"] < 7:
            pass
        predictor.let_go.set()
        for thread in (*threads, *others):
            thread.join()
    assert statuses + more == [200] * 7
    assert predictor.calls[0] == 1 and len(predictor.calls) < 5 and sum(predictor.calls) == 7


def test_a_token_is_needed_for_all_but_the_page_and_health() -> None:
    with served(FakePredictor(), guard=Guard("secret")) as client:
        assert [client.get(path).status for path in ("/", "/page.js", "/page.css", "/health", "/openapi.json")] == [
            200
        ] * 5
        assert [client.get(path).status for path in ("/models", "/model")] == [401] * 2
        assert client.post(image_file()).headers["www-authenticate"] == "Bearer"
        assert client.get("/models", Authorization="Bearer wrong").status == 401
        assert client.get("/models", Authorization="secret").status == 401
        assert client.get("/models", Authorization="Bearer secret").status == 200
        assert client.get("/models", Host="example.org", Authorization="Bearer secret").status == 200


def test_other_hosts_are_refused_on_loopback() -> None:
    with served(FakePredictor(), guard=Guard(hosts=LOOPBACK)) as client:
        for host in ("localhost", f"127.0.0.1:{client.port}", "[::1]:8000", "[::1]"):
            assert client.get("/models", Host=host).status == 200
        for host in ("example.org", "localhost.example.org:80", ""):
            answer = client.get("/models", Host=host)
            assert answer.status == 403 and "Host is" in answer.json["error"]


def test_every_answer_keeps_the_page_to_itself(client: Client) -> None:
    for answer in (client.get("/"), client.get("/nothing"), client.post(b"")):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
