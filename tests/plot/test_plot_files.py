"""Pictures as files: pages that need no network and obey no param, images by Chrome, and what cannot be written."""

import json
import shutil
import stat

import plotly.graph_objects as go
import pytest
from playwright.sync_api import sync_playwright
from plot.generated import make_runs, run

from gitparams import plot
from gitparams.errors import UsageError
from gitparams.params import path_text
from gitparams.plot import files, look

EVIL = "</script><script>document.title='taken'</script><b>lr</b><img src=x onerror=\"document.title='taken'\">"


CHROME = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    if CHROME is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROME, args=["--no-sandbox"])
        yield opened
        opened.close()


def small():
    return look.finished(go.Figure(go.Scatter(x=[1, 2], y=[3, 4])), title="small", notes=["a note."])


def opened(browser, path):
    """Return the page, what it asked of the network, and its errors, once the picture is there."""
    page = browser.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_selector(".main-svg")
    return page, [url for url in asked if not url.startswith(("data:", "blob:"))], errors


def test_a_page_is_drawn_without_asking_anything_of_the_network(tmp_path, browser):
    files.write(plot.parallel(make_runs(60), "acc"), tmp_path / "runs.html")
    page, asked, errors = opened(browser, tmp_path / "runs.html")
    assert (asked, errors, page.title()) == ([(tmp_path / "runs.html").as_uri()], [], "58 runs by acc (higher is better)")
    assert page.locator(".axis-title").first.text_content() == "optim.lr"


def test_names_and_values_of_params_are_never_run_nor_read_as_html(tmp_path, browser):
    evil = path_text((EVIL,))
    runs = [run(number, {evil: number % 3, "words": EVIL + str(number % 4)}, {EVIL: float(number)}) for number in range(12)]
    files.write(plot.slice(runs), tmp_path / "evil.html")
    page, asked, errors = opened(browser, tmp_path / "evil.html")
    assert page.title() != "taken" and len(asked) == 1 and errors == []
    assert page.locator("img, svg a").count() == 0
    assert page.locator(".gtitle tspan[style*=bold]").count() == 0


def test_an_axis_of_the_page_is_brushed_by_a_drag(tmp_path, browser):
    files.write(plot.parallel(make_runs(60), "acc"), tmp_path / "runs.html")
    page, _, _ = opened(browser, tmp_path / "runs.html")
    box = page.locator(".y-axis").last.locator(".background").first.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    brushed = page.evaluate("document.querySelector('.js-plotly-plot').data[0].dimensions.at(-1).constraintrange")
    assert len(brushed) == 2 and brushed[0] < brushed[1]


@pytest.mark.skipif(CHROME is None, reason="no Chromium is installed")
@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<svg"), ("pdf", b"%PDF")])
def test_an_image_is_drawn_by_the_browser_that_is_there(tmp_path, suffix, begins):
    files.write(small(), tmp_path / f"small.{suffix}")
    assert (tmp_path / f"small.{suffix}").read_bytes().startswith(begins)


def test_json_is_the_figure_as_plotly_reads_it(tmp_path):
    files.write(small(), tmp_path / "small.json")
    written = json.loads((tmp_path / "small.json").read_text("utf-8"))
    assert (written["data"][0]["y"], written["layout"]["meta"]) == ([3, 4], {"notes": ["a note."]})


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    (tmp_path / "small.html").write_text("old")
    files.write(small(), tmp_path / "small.html")
    assert [path.name for path in tmp_path.iterdir()] == ["small.html"]
    assert (tmp_path / "small.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert stat.S_IMODE((tmp_path / "small.html").stat().st_mode) & 0o077 == 0o044


def test_a_picture_that_cannot_be_drawn_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    (tmp_path / "small.png").write_text("old")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-chrome"))
    with pytest.raises(UsageError) as raised:
        files.write(small(), tmp_path / "small.png")
    assert raised.value.message == (
        "A .png is drawn by Chrome or Chromium, and none was found: install one, or write an .html file."
    )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("small.png", "old")]


def test_a_chrome_that_does_not_start_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "chrome").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "chrome").chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "chrome"))
    with pytest.raises(UsageError, match=r"The Chrome that was found did not draw the \.png: "):
        files.write(small(), tmp_path / "small.png")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("small.bmp", "small.bmp: a picture cannot be written as .bmp."),
        ("small", "small: a picture cannot be written as a file without a suffix."),
        ("no/small.html", "no/small.html: there is no folder no."),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, name, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        files.write(small(), name)
    assert raised.value.message == sentence and raised.value.hint


def test_a_dark_page_has_a_dark_ground():
    page = files.page(look.finished(go.Figure(), title="dark", dark=True))
    assert f"background: {look.DARK.ground}" in page
