"""Errors and maps in a browser: the faces behind a cell, two methods side by side, the face at a point of a map."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from fercache.records import MAIN, Record
from fercache.reporting.page import write_report
from fercache.reporting.report import ReportRequest
from fercache.reporting.sections import _map_faces
from fercache.reporting.sections._map_faces import Layout
from tests.fake_records import CLASSES
from tests.reporting.error_files import error_data
from tests.reporting.fake_predictions import FACES, IDS, TRUTH, readings, scored_record
from tests.reporting.test_in_browser import CHROMIUM, browser

__all__ = ["browser"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH or in FERCACHE_CHROMIUM")

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
TARGETS = ("synthetic:studio", "synthetic:night")
SKILLS = {"zero-shot": 0.4, "linear-probe": 0.6, "sigmoid-mask": 0.7}


def records_in(cache: Path) -> list[Record]:
    """Three methods on two targets; one has three seeds, and features for a map."""
    features = np.random.default_rng(0).normal(size=(FACES, 3)).astype(np.float16)
    return [
        scored_record(
            cache,
            readings(17 * seed + 5 * number + len(head), skill - 0.2 * number),
            head=head,
            seed=seed,
            target=target,
            method_key=head,
            features=features,
        )
        for head, skill in SKILLS.items()
        for seed in range(3 if head == "sigmoid-mask" else 1)
        for number, target in enumerate(TARGETS)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with an image for every second face."""
    cache = tmp_path_factory.mktemp("cache")
    request = ReportRequest(images=lambda target, ids: {id: PIXEL for id in ids if int(id[-1]) % 2})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            _map_faces, "_place", lambda vectors: Layout(vectors[:, :2], np.zeros((len(vectors), 10), np.int16))
        )
        return write_report(records_in(cache), cache / "report", cache, request).parent


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page, which loads nothing before anything is chosen, and then only files of the report."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "index.html").as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [(folder / "index.html").as_uri()]
    yield page
    page.close()
    assert complaints == []
    assert all(url.startswith(("data:", folder.as_uri())) for url in requests)


def hardest(page: Page) -> Locator:
    """The only open target."""
    (found,) = page.locator("details.target[open]").all()
    return found


def test_one_target_is_open_and_the_others_name_their_scores(page: Page) -> None:
    assert hardest(page).locator("h3").inner_text().startswith("synthetic:night")
    assert hardest(page).locator(".errors img").count() > 0
    (summary,) = page.locator("details.target:not([open]) > summary").all()
    assert re.search(r"sigmoid-mask: accuracy \d+\.\d ±\d\.\d, mean class recall \d+\.\d", summary.inner_text())
    folded = page.locator("details.target:not([open])").element_handle()
    page.locator("details.target:not([open]) > summary").click()
    assert folded is not None
    folded.wait_for_selector(".errors img[alt^='Face face-']")
    assert folded.query_selector("[data-place]") is None


def test_a_cell_shows_its_faces_the_most_confident_first(page: Page, folder: Path) -> None:
    data = error_data(folder)["synthetic:night"]
    leading = data["methods"][0]
    cell = hardest(page).locator(".confusion td[data-answers] button").first
    label = cell.get_attribute("aria-label") or ""
    truth, predicted = re.match(r"(\w+) predicted as (\w+): ", label).groups()  # type: ignore[union-attr]
    cell.click()
    dialog = page.get_by_role("dialog", name=f"{truth} predicted as {predicted}", exact=True)
    of_cell = f"{CLASSES.index(truth)} {CLASSES.index(predicted)}"
    dialog.locator("li").first.wait_for()  # until then it says that it loads
    assert f"{leading['faces'][of_cell]} faces, by any of its 3 seeds" in dialog.inner_text()
    cards = dialog.locator("li").all()
    assert len(cards) == leading["faces"][of_cell]
    said = 0
    for card in cards:
        id = card.locator("code").inner_text()
        assert TRUTH[IDS.tolist().index(id)] == CLASSES.index(truth)
        card.get_by_alt_text(f"Face {id}").or_(card.get_by_text("no image")).wait_for()
        assert card.get_by_alt_text(f"Face {id}").count() == int(id[-1]) % 2
        seeds = re.search(r"(\d) of 3 seeds", card.locator(".who").inner_text())
        said += int(seeds[1]) if seeds else 0
        face = data["id"].index(id)
        rows = [row.inner_text().split("\t") for row in card.locator("tbody tr").all()]
        assert rows == [[name, f"{leading['sure'][face][i] / 100:.1f} %"] for i, name in enumerate(CLASSES)]
        for method in data["methods"][1:]:
            right = method["answers"][0][face] == data["truth"][face]
            (line,) = [text for text in card.locator("> p").all_inner_texts() if method["name"] in text]
            assert line.startswith("Right" if right else "Wrong")
    assert f"{said} answers" in label
    shares = [float(card.locator(".who span").last.inner_text().split(" %")[0]) for card in cards]
    assert shares == sorted(shares, reverse=True)


def test_the_keyboard_goes_from_cell_to_cell_and_opens_and_closes(page: Page) -> None:
    buttons = hardest(page).locator(".confusion").first.locator("button")
    assert buttons.count() > 5 and hardest(page).locator(".confusion").first.locator("[tabindex='0']").count() == 1
    buttons.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label != buttons.first.get_attribute("aria-label")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name=label.split(":")[0], exact=True).wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label


def test_two_methods_stand_side_by_side_and_each_count_shows_its_faces(page: Page, folder: Path) -> None:
    data = error_data(folder)["synthetic:night"]
    card = hardest(page).locator(".pair")

    def counts() -> list[int]:
        return [
            int(card.locator(f"[data-count='{name}']").inner_text()) for name in ("both", "only_a", "only_b", "neither")
        ]

    before = counts()
    p = card.locator("[data-count='p']").inner_text()
    assert sum(before) == FACES and re.fullmatch(r"= 0\.\d{3}|< 0\.001", p)
    names = [method["name"] for method in data["methods"]]
    second = int(card.get_by_label("Method B").input_value())
    assert card.get_by_label("Method A").locator(f"option[value='{second}']").is_disabled()
    third = 3 - second  # after the leading one, which is A, and B
    card.get_by_label("Method A").select_option(label=f"{names[third]}, seed 0")
    other = counts()
    assert sum(other) == FACES and other != before
    answers = [data["methods"][i]["answers"][0] for i in (third, second)]
    faces = range(len(data["id"]))
    right = [[answer[face] == data["truth"][face] for face in faces] for answer in answers]
    for count, name, belongs in (
        (other[1], "Only A is right", lambda a, b: a and not b),
        (other[2], "Only B is right", lambda a, b: b and not a),
        (other[3], "Both are wrong", lambda a, b: not a and not b),
    ):
        expected = {data["id"][face] for face in faces if belongs(right[0][face], right[1][face])}
        card.get_by_role("button", name=name).click()
        dialog = page.get_by_role("dialog", name=name, exact=True)
        dialog.get_by_text("about first").wait_for()
        while dialog.get_by_role("button", name="Show more").count():
            dialog.get_by_role("button", name="Show more").click()
        assert set(dialog.locator("code").all_inner_texts()) == expected and len(expected) == count
        dialog.get_by_role("button", name="Close").click()


def test_a_point_of_a_map_shows_its_face_to_pointer_and_keyboard(page: Page, folder: Path) -> None:
    page.locator("#maps > details > summary").click()
    svg = page.locator(".map[data-side='before'] svg")
    svg.scroll_into_view_if_needed()
    svg.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator(".tip")
    tip.wait_for()
    first = tip.locator("code").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("first => document.querySelector('.tip code').textContent !== first", arg=first)
    id, text = tip.locator("code").inner_text(), tip.inner_text()
    assert CLASSES[TRUTH[IDS.tolist().index(id)]] in text and "synthetic:" in text and "predicted" in text
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    ring = svg.bounding_box()
    assert ring is not None
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(ring["x"] + ring["width"] / 2, ring["y"] + 4)
    point = page.evaluate(
        """async () => {
          const svg = document.querySelector(".map[data-side='before'] svg");
          const data = await fercache.load(svg.closest(".map").dataset.file);
          const {x, y} = new DOMPoint(...data.before[7]).matrixTransform(svg.getScreenCTM());
          return [x, y, data.before.map(([a, b]) => Math.hypot(a - data.before[7][0], b - data.before[7][1]))
            .map((far, i) => far < 1 ? data.id[i] : null)];
        }"""
    )
    page.mouse.move(point[0], point[1])
    tip.wait_for()
    assert tip.locator("code").inner_text() in point[2]


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.querySelector('#targets').scrollWidth") <= 390
    hardest(page).locator(".confusion td[data-answers] button").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("li").first.wait_for()
    box = dialog.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert dialog.evaluate("element => element.scrollWidth - element.clientWidth") == 0


def test_a_page_without_its_files_says_what_is_missing(browser: Browser, folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "index.html"
    alone.write_bytes((folder / "index.html").read_bytes())
    page = browser.new_page()
    page.goto(alone.as_uri())
    hardest(page).locator(".confusion td[data-answers] button").first.click()
    page.get_by_role("dialog").get_by_text("errors/synthetic-studio-synthetic-night.js is missing").wait_for()
    page.close()


def test_without_its_script_the_page_still_compares_two_methods(browser: Browser, folder: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto((folder / "index.html").as_uri())
    card = hardest(page).locator(".pair")
    assert "A sigmoid-mask" in card.inner_text().replace("\n", " ") and card.locator("button, select").count() == 0
    assert hardest(page).locator(".errors li").count() == 9
    assert page.locator(".scripted:visible").count() == 0
    page.close()


def test_counts_on_the_page_are_those_of_the_records(page: Page, folder: Path) -> None:
    data = error_data(folder)["synthetic:night"]
    records = [each for each in records_in(folder.parent) if each.target == "synthetic:night"]
    for table in hardest(page).locator(".confusion").all():
        method = data["methods"][int(table.get_attribute("data-method") or -1)]
        own = [record for record in records if record.head == method["name"].split(" ")[0]]
        wrong = np.sum([record.scores[MAIN].confusion for record in own], axis=0)
        np.fill_diagonal(wrong, 0)
        assert (
            sum(int(cell.get_attribute("data-answers") or 0) for cell in table.locator("td[data-answers]").all())
            == wrong.sum()
        )
