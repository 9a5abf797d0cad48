"""The page in a browser: what its script does, and how it is laid out."""

import os
import shutil
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from fercache.reporting.page import write_report
from fercache.store.run_files import run_files
from fercache.store.runs import write_run
from tests.fake_records import corrupted_records, demo_records, fake_record
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
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page of two sources whose runs are in a cache, so that it has a matrix and curves."""
    folder = tmp_path_factory.mktemp("reports")
    records = [
        fake_record(head, target=target, source=source, snapshot="epoch-2")
        for source in ("synthetic:studio", "synthetic:webcam")
        for head in ("linear-probe", "text-similarity")
        for target in ("synthetic:studio", "synthetic:night", "synthetic:sketch")
    ]
    scores = {"validation_accuracy": 0.8, "validation_mean_class_recall": 0.7, "similarity": 0.5}
    rows = [{"epoch": epoch, **scores, "snapshot": f"epoch-{epoch}"} for epoch in (1, 2, 3)]
    for run in {record.run for record in records if record.head == "text-similarity"}:
        write_run(folder / "runs" / run, run_files(folder / "runs" / run, config={}, history=rows, snapshots={}))
    return write_report(records, folder / "many", folder).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, report: str) -> Iterator[Page]:
    yield from watched(browser, report)


@pytest.fixture
def page_of_many(browser: Browser, many: str) -> Iterator[Page]:
    yield from watched(browser, many)


def watched(browser: Browser, report: str) -> Iterator[Page]:
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
        table = page.locator("#scores .scroll").first
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


def test_the_result_is_on_the_first_screen_and_secondary_sections_are_folded(page: Page) -> None:
    summary = page.locator("#summary").bounding_box()
    assert summary and summary["y"] + summary["height"] < 900
    assert page.locator("#summary h3").inner_text() == "text-similarity (mlp trunk) has the highest score, untested"
    for name in ("policies", "robustness", "samples", "repeat"):
        box = page.locator(f"#{name}").bounding_box()
        assert box and box["height"] < 100, name


def test_a_link_opens_what_it_leads_to(page: Page) -> None:
    table = page.locator("#policies table").first
    assert not table.is_visible()
    link = page.get_by_role("navigation").get_by_role("link", name="Selection policies")
    for _ in range(2):  # the second time, the address does not change
        link.focus()
        page.keyboard.press("Enter")
        table.wait_for(state="visible")
        page.locator("#policies > details > summary").click()
        assert not table.is_visible()


def test_a_page_that_is_opened_at_a_folded_section_shows_it(browser: Browser, report: str) -> None:
    page = browser.new_page()
    page.goto(f"{report}#repeat")
    assert page.locator("#repeat pre").is_visible()
    page.close()


def test_paper_opens_everything(page: Page) -> None:
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator(".copy").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#policies > details:not([open])").count() == 1


def test_a_command_is_copied(browser: Browser, report: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{report}#repeat")
    page.locator("pre .copy").first.click()
    command = "fercache extract --dataset synthetic:studio --encoder bundled"
    assert page.evaluate("navigator.clipboard.readText()") == command
    page.get_by_role("button", name="Copy all commands").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith(f"{command}\n")
    context.close()


def test_the_matrix_switches_metrics_and_unfolds_sources(page_of_many: Page) -> None:
    page = page_of_many
    rows = page.locator("#matrix tbody tr:visible")
    first = [row.inner_text() for row in rows.all()]
    assert len(first) == 1 + 2 + 1 and ["source" in row for row in first] == [False, True, False, False]
    button = page.locator("#matrix").get_by_role("button", name="linear-probe")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true" and rows.count() == 1 + 2 + 1 + 2
    page.keyboard.press("Enter")
    assert rows.count() == len(first)
    page.get_by_role("radio", name="mean class recall").check()
    second = [row.inner_text() for row in rows.all()]
    assert len(second) == len(first) and all(a != b for a, b in zip(first, second, strict=True))


def test_the_curves_have_a_circle_for_each_run(page_of_many: Page) -> None:
    page = page_of_many
    page.get_by_role("link", name="Learning curves").click()
    figures = page.locator("#curves figure")
    assert figures.count() == 2 and figures.first.is_visible()
    assert "circle: the chosen snapshot" in figures.first.locator("svg").text_content()
    assert "Epochs chosen: 2." in figures.first.locator("svg title").text_content()


def test_headings_and_names_stay_in_sight_where_a_table_scrolls(page_of_many: Page) -> None:
    page = page_of_many
    page.set_viewport_size({"width": 390, "height": 844})
    box = page.locator("#scores .scroll").first
    box.evaluate("element => { element.style.maxHeight = '200px'; element.scrollTo(300, 300); }")
    outer, name = box.bounding_box(), box.locator("tbody th").last.bounding_box()
    heading = box.locator("thead").bounding_box()
    assert outer and name and heading
    assert abs(name["x"] - outer["x"]) < 2 and abs(heading["y"] - outer["y"]) < 2


def test_a_table_that_goes_on_below_has_a_shadow_until_its_end(page_of_many: Page) -> None:
    table = page_of_many.locator("#scores .scroll").first

    def is_shaded(height: int, end: bool) -> bool:
        table.evaluate("(element, height) => { element.style.maxHeight = `${height}px`; }", height)
        table.evaluate("(element, end) => { element.scrollTop = end ? element.scrollHeight : 0; }", end)
        image = Image.open(BytesIO(table.screenshot())).convert("L")
        edge = [image.getpixel((image.width // 2, image.height - row)) for row in (2, 12)]
        return edge[0] < edge[1] - 8

    assert [is_shaded(170, False), is_shaded(170, True)] == [True, False]
