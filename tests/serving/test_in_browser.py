"""The page in a browser: images, the camera, the keyboard, and a narrow screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from fercache.serving.guard import LOOPBACK, Guard
from tests.reporting.test_in_browser import CHROMIUM, QUIET
from tests.serving.served import Client, FakePredictor, image_file, served

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH or in FERCACHE_CHROMIUM")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *CAMERA])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with served({"fake": FakePredictor(), "two": FakePredictor(faces=2)}, guard=Guard(hosts=LOOPBACK)) as client:
        yield client


def opened(browser: Browser, address: str, width: int = 1280) -> tuple[Page, list[str]]:
    """A page, and what its console complains about and it asks others for."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_default_timeout(5000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((address.partition("#")[0], "data:", "blob:")) else wrong.append(r.url),
    )
    page.goto(address)
    return page, wrong


@pytest.fixture
def page(browser: Browser, client: Client) -> Iterator[Page]:
    page, wrong = opened(browser, client.address)
    yield page
    page.close()
    assert wrong == []


def choose(page: Page, *images: tuple[str, bytes]) -> None:
    files = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in images]
    page.locator("#files").set_input_files(files)


def status_is(page: Page, text: str) -> None:
    page.get_by_role("status").filter(has_text=text).wait_for()


def test_images_get_boxes_and_probabilities(page: Page) -> None:
    choose(page, ("a.png", image_file(400, 300)), ("b.png", image_file(300, 400)))
    status_is(page, "2 faces in 2 images")
    results = page.get_by_role("article")
    assert results.get_by_role("heading", level=2).all_inner_texts() == ["b.png fake", "a.png fake"]
    last = results.nth(1)
    image, box = last.get_by_role("img").bounding_box(), last.get_by_role("button").bounding_box()
    assert image and box
    assert box["width"] / image["width"] == pytest.approx(0.5, abs=0.01)
    assert (box["x"] - image["x"]) / image["width"] == pytest.approx(0.25, abs=0.01)
    assert (box["y"] - image["y"]) / image["height"] == pytest.approx(0.25, abs=0.01)
    assert last.get_by_role("button").inner_text() == "1 happiness 75 %"
    rows = [row.split() for row in last.locator(".shares li").all_inner_texts()]
    assert rows == [["happiness", "75", "%"], ["neutral", "20", "%"], ["anger", "5", "%"]]
    widths = [bar.bounding_box() for bar in last.locator(".bar").all()]
    assert widths[0] and widths[2] and widths[0]["width"] == pytest.approx(15 * widths[2]["width"], rel=0.05)


def test_an_image_is_dropped_or_pasted(page: Page) -> None:
    for event, place in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """([event, place, bytes]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], `${event}.png`));
              const made = new Event(event, { bubbles: true, cancelable: true });
              made[place] = data;
              document.body.dispatchEvent(made);
            }""",
            [event, place, list(image_file())],
        )
        page.get_by_role("heading", name=f"{event}.png").wait_for()


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.keyboard.press("Tab")
    for name in ("Choose images", "Use camera"):
        assert page.evaluate("document.activeElement.textContent") == name
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "model"
    page.locator("#model option").nth(1).wait_for(state="attached")
    with page.expect_response("**/model?model=two"):
        page.keyboard.press("ArrowDown")
    choose(page, ("a.png", image_file(400, 300)))
    status_is(page, "2 faces in 1 image")
    page.keyboard.press("Tab")
    assert page.locator(".box:focus").inner_text() == "1 happiness 75 %"
    assert page.locator(".faces .lit").count() == 1
    with page.expect_file_chooser():
        page.get_by_role("button", name="Choose images").focus()
        page.keyboard.press("Enter")


def test_the_card_of_the_model_is_shown(page: Page) -> None:
    page.get_by_text("About this model").click()
    rows = page.locator("#card > dl > dt, #card > dl > dd").all_inner_texts()
    shown = dict(zip(rows[::2], rows[1::2], strict=True))
    runs = [row.split("\t") for row in shown.pop("runs").split("\n")]
    assert runs == [["run", "temperature", "seed"], ["a" * 60, "0.123", "none"], ["b", "none", "none"]]
    assert shown.pop("encoder").split("\n")[0].split() == ["name"] and page.locator("dd dd").inner_text() == "bundled"
    assert shown == {"model": "fake", "trained on": "x, y", "scores": "none"}


def test_the_camera_is_read_until_it_is_stopped(page: Page) -> None:
    page.get_by_role("button", name="Use camera").click()
    status_is(page, "1 face, ")
    assert page.locator("video").evaluate("video => video.videoWidth") > 0
    assert page.locator("article .box").count() == 1
    page.get_by_role("button", name="Stop camera").click()
    page.locator("video").wait_for(state="detached")
    assert page.get_by_role("button", name="Use camera").count() == 1 and page.get_by_role("article").count() == 0


def test_what_cannot_be_read_says_why(browser: Browser, client: Client) -> None:
    page, _ = opened(browser, client.address)  # the browser itself writes every 4xx to its console
    choose(page, ("a.txt", b"hello"))
    page.get_by_text("Unreadable: text, not an image").wait_for()
    choose(page, ("empty.png", b""))
    status_is(page, "empty.png: The body is empty.")
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_screen_of_any_width_shows_everything(browser: Browser, client: Client, width: int, scheme: str) -> None:
    page, wrong = opened(browser, client.address, width)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    choose(page, ("a photograph with a very long name that does not fit.png", image_file(1200, 500)))
    status_is(page, "1 face in 1 image")
    page.get_by_text("About this model").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 23, 26)") == (scheme == "dark")
    controls = page.locator("button:visible:not(.box), select:visible").all()
    assert len(controls) == 3 and all((each.bounding_box() or {})["height"] >= 40 for each in controls)
    page.close()
    assert wrong == []


def test_the_token_is_asked_for_or_taken_from_the_address(browser: Browser) -> None:
    with served(FakePredictor(), guard=Guard("secret")) as client:
        page, _ = opened(browser, client.address)
        page.get_by_label("Token of this server").fill("secret")
        page.get_by_role("button", name="Use token").click()
        page.get_by_label("Token").wait_for(state="hidden")
        assert page.get_by_label("Model").input_value() == "fake"
        page.close()
        page, wrong = opened(browser, f"{client.address}/#token=secret")
        choose(page, ("a.png", image_file()))
        status_is(page, "1 face in 1 image")
        page.close()
    assert wrong == []


def test_the_page_is_part_of_the_wheel() -> None:
    import tomllib

    root = Path(__file__).parents[2]
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["fercache"]
    assert "serving/page/*" in listed
