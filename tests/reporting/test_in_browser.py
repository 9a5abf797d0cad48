"""The page in a browser: what its script does, and how it is laid out."""

import os
import shutil
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from fercache.reporting.page import write_report
from tests.fake_records import corrupted_records, demo_records
from tests.reporting.reported import measured

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM = os.environ.get("FERCACHE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH or in FERCACHE_CHROMIUM")

ACCURACY = "accuracy, synthetic:night"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with all sections but masks; one cell of the scores is missing."""
    missing = ("linear-probe", 1, "synthetic:night")
    records = [measured(each) for each in demo_records() if (each.head, each.seed, each.target) != missing]
    corrupted = list(corrupted_records("synthetic:webcam", seeds=2, corruption="blur"))
    return write_report([*records, *corrupted], tmp_path_factory.mktemp("reports") / "browser").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, report: str) -> Iterator[Page]:
    """The page, which must neither complain nor ask for anything else, whatever a test does to it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(5000)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report)
    yield page
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [report]


def shown(page: Page, place: int = 0) -> list[str]:
    """A column of the first table of scores, as far as it is shown."""
    rows = page.locator("table[data-headline] tbody tr:visible")
    return [row.locator("th, td").nth(place).inner_text().split("\n")[0] for row in rows.all()]


def test_a_click_sorts_and_another_turns_the_order_and_x_stays_last(page: Page) -> None:
    heading = page.get_by_role("button", name=ACCURACY, exact=True)
    column = page.locator("th[data-sort]", has=heading)
    place = int(column.get_attribute("data-sort") or 0)
    for order, sign in (("descending", -1), ("ascending", 1)):
        heading.click()
        assert column.get_attribute("aria-sort") == order
        *scores, last = shown(page, place)
        values = [float(score.split()[0]) for score in scores]
        assert last == "X" and len(set(values)) > 2 and values == sorted(values, key=lambda value: sign * value)


def test_the_keyboard_sorts_and_the_arrow_is_seen(page: Page) -> None:
    before = shown(page)
    page.get_by_role("button", name="Method", exact=True).focus()
    page.keyboard.press("Enter")
    assert shown(page) == sorted(before) != before
    arrow = "getComputedStyle(document.querySelector('[aria-sort] button'), '::after').content"
    assert page.evaluate(arrow) == '"↑"'
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("[aria-sort]").count() == 1
    assert page.locator("[aria-sort]").get_attribute("aria-sort") == "descending"


def test_filters_choose_rows_and_are_counted_and_reset(page: Page) -> None:
    before = shown(page)
    assert page.locator("#count").inner_text() == f"{len(before)} of {len(before)} methods"
    page.get_by_label("Head").select_option("sigmoid-mask")
    assert set(shown(page)) == {"sigmoid-mask"}
    assert page.locator("#count").inner_text() == f"2 of {len(before)} methods"
    page.get_by_label("Trunk").select_option("none")
    assert shown(page) == [] and page.locator(".nothing:visible").count() == 1
    page.get_by_role("button", name="Method", exact=True).click()
    page.get_by_role("button", name="Reset").click()
    assert shown(page) == before and page.locator("[aria-sort]").count() == 0


def test_the_keyboard_switches_the_policy(page: Page) -> None:
    before = shown(page, 1)
    page.get_by_label("Policy").focus()
    page.keyboard.press("End")
    assert page.get_by_label("Policy").input_value() == "oracle"
    assert len(shown(page, 1)) == len(before) - 1  # the oracle bounds no readout but the main one
    assert shown(page, 1) != before
    caption = page.locator("table[data-headline] caption").inner_text()
    assert "a bound, not a result" in caption and "source validation" not in caption and "bold" not in caption


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_itself_does_not_scroll_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_a_table_that_goes_on_has_a_shadow_until_its_end(page: Page) -> None:
    def is_shaded(width: int, end: bool) -> bool:
        page.set_viewport_size({"width": width, "height": 900})
        table = page.locator(".scroll").first
        table.evaluate("(element, end) => { element.scrollLeft = end ? element.scrollWidth : 0; }", end)
        image = Image.open(BytesIO(table.screenshot())).convert("L")
        # Beside the caption, which never reaches the edge.
        return image.getpixel((image.width - 2, 4)) < image.getpixel((image.width // 2, 1)) - 8

    assert [is_shaded(390, False), is_shaded(390, True), is_shaded(1440, False)] == [True, False, False]


def test_the_dark_page_is_dark(page: Page) -> None:
    def lightness(element: str, colour: str) -> float:
        found = page.evaluate(f"getComputedStyle(document.querySelector('{element}')).{colour}")
        return sum(map(float, found.removeprefix("rgb(").removesuffix(")").split(", "))) / 3

    page.emulate_media(color_scheme="light")
    assert lightness("body", "backgroundColor") > 240 and lightness("svg text", "fill") < 60
    page.emulate_media(color_scheme="dark")
    assert lightness("body", "backgroundColor") < 40 and lightness("svg text", "fill") > 200


def test_paper_shows_no_controls_but_all_targets(page: Page) -> None:
    assert page.locator("#filters").is_visible()
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible() and not page.locator("nav").is_visible()
    assert all(details.is_visible() for details in page.locator("#targets figure svg").all())


def test_without_its_script_the_page_is_whole(browser: Browser, report: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(report)
    assert page.locator("#filters").is_hidden()
    assert shown(page) == ["zero-shot", "linear-probe", "sigmoid-mask", "sigmoid-mask", "text-similarity"]
    page.close()
