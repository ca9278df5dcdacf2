"""The run's page: what it says, that it needs nothing else, and that a browser shows it."""

import json
import os
import re
import shutil

import pytest
from PIL import Image

from minicyclegan import InputError
from minicyclegan.lab.plots import evenly
from minicyclegan.lab.report import SAMPLES, write_report

SETTINGS = {"data": "data/toy", "steps": 1200, "sample_every": 300, "log_every": 20}
OURS = {"mae": 21.94, "psnr": 15.6, "ssim": 0.6789, "mae_animal": 76.1, "found": 42}
WAY = {"ours": OURS, "nothing": OURS | {"mae": 33.4}, "average": OURS, "colours": OURS}
FID = {"A_to_B": {"fid": 123.4}, "B_to_A": {"fid": 99.9}}


@pytest.fixture(autouse=True)
def fid(monkeypatch):
    """Its table needs no more than a text here."""
    monkeypatch.setattr("minicyclegan.lab.report.fid_table", lambda scores: (
        f"FID {scores['A_to_B']['fid']} {scores.get('note')}"))


def make_run(folder, steps=(300, 600, 900), settings=SETTINGS, size=(560, 530)):
    """A run folder as training leaves it, with pictures of one colour each."""
    (folder / "samples").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    for step in steps:
        Image.new("RGB", size, (step % 256, 90, 90)).save(
            folder / "samples" / f"step_{step:06d}.png")
    lines = [f"{step},1,0.0005,0.{step},0.25" for step in steps]
    (folder / "log.csv").write_text("\n".join(["step,epoch,lr,cycle_A,cycle_B", *lines, ""]))
    (folder / "scores.json").write_text(json.dumps(
        {"images": 60, "A_to_B": WAY, "B_to_A": WAY | {"ours": OURS | {"mae": 9.02}}}))
    Image.new("RGB", (880, 440), "green").save(folder / "scores.png")
    return folder


def loads(text):
    """Everything that a page would fetch: the addresses of its pictures, links and styles."""
    return re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s>)]+)""", text)


def test_a_whole_run(tmp_path):
    run = make_run(tmp_path / "horses")
    (run / "scores_fid.json").write_text(json.dumps(FID))
    page = write_report(run)
    assert page == run / "report.html"
    text = page.read_text(encoding="utf-8")
    assert all(address.startswith("data:") for address in loads(text))
    assert text.count("<img ") == 3 + 1 + 1 == len(re.findall(r'<img [^>]*alt="[^"]+', text))
    for shown in ("horses", "step 900", "of 1200", "data/toy", "21.9", "33.4",
                  "9.0*", "0.679", "76.1", "60 test images", "cycle_A 0.9", "cycle_B 0.25",
                  "colours", "found", "FID 123.4"):
        assert shown in text, shown
    assert "are in this page" not in text and "No " not in text
    assert not list(run.glob(".*"))


def test_a_run_that_has_just_begun(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    text = write_report(tmp_path).read_text(encoding="utf-8")
    for shown in ("after step 0 of 1200", "No samples yet", "after 300 steps", "No scores",
                  "No losses yet", "after 20 steps"):
        assert shown in text, shown


def test_a_name_that_is_no_text(tmp_path):
    run = make_run(tmp_path / os.fsdecode(b"horses \xff"), size=(80, 60))
    assert "horses \\udcff" in write_report(run).read_text(encoding="utf-8")


def test_many_samples(tmp_path):
    """A page of modest size: the first, the last, and some in between; and it says so."""
    run = make_run(tmp_path / "run", range(100, 10100, 100), size=(80, 60))
    text = write_report(run).read_text(encoding="utf-8")
    shown = re.findall(r'data-step="(\d+)"', text)
    assert len(shown) == SAMPLES and (shown[0], shown[-1]) == ("100", "10000")
    assert f"{SAMPLES} of the 100 pictures" in text
    assert evenly([1, 2], 3) == [1, 2] and evenly(list(range(7)), 3) == [0, 3, 6]


EVIL = """"'><script>window.evil = true</script>{{ 7 * 7 }}<img src=x onerror="window.evil=true">"""


def hostile_run(folder):
    """Whatever text a run folder can hold, in every place that the page shows."""
    run = make_run(folder / re.sub("/", "", EVIL), settings=SETTINGS | {EVIL: EVIL, "steps": EVIL})
    shutil.copy(run / "samples" / "step_000300.png",
                run / "samples" / f"step_{re.sub('/', '', EVIL)}.png")
    log = run / "log.csv"
    log.write_text(log.read_text().replace("cycle", "c<script>window.evil = true</script>"))
    (run / "scores_fid_x.json").write_text(json.dumps(FID | {"note": EVIL}))
    (run / "scores.json").write_text(json.dumps(
        {"images": EVIL, "A_to_B": WAY | {EVIL: OURS}, "B_to_A": WAY}))
    return run


def test_text_of_a_run_stays_text(tmp_path):
    text = write_report(hostile_run(tmp_path)).read_text(encoding="utf-8")
    assert "<script>window" not in text and "<img src=x" not in text and ">49<" not in text
    assert "&lt;script&gt;" in text
    assert text.count("<script>") == 1


@pytest.mark.parametrize("name, content", [
    ("config.json", "{"), ("config.json", "[1]"), ("config.json", "[" * 10**5),
    ("log.csv", "step,cycle_A\n20"), ("log.csv", "step,cycle_A\nx,y\n"),
    ("scores.json", "{}"), ("scores.json", '{"images": 3, "A_to_B": {"mae": 3}}'),
    ("scores.json", "[]"), ("scores.png", "x"),
    ("scores_fid_x.json", "{}"), ("samples/step_000300.png", "x")])
def test_damaged_files_are_named(name, content, tmp_path):
    run = make_run(tmp_path / "run", size=(80, 60))
    (run / "report.html").write_text("before")
    (run / name).write_text(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        write_report(run)
    assert (run / "report.html").read_text() == "before"  # the old page is whole


def test_no_run(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist; give a run folder"):
        write_report(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, driven by selenium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    programs = [shutil.which(p) for p in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("needs chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def open_page(browser, page, width):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(
        width=width, height=800, deviceScaleFactor=1, mobile=False))
    browser.get(page.resolve().as_uri())


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1200])
def test_in_a_browser(browser, width, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    open_page(browser, write_report(make_run(tmp_path / "horses")), width)
    assert browser.title.startswith("horses")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(
        "return [...document.images].every(i => i.alt && i.complete && i.naturalWidth > 0)")
    assert browser.execute_script(
        "return performance.getEntriesByType('resource').every(r => r.name.startsWith('data:'))")

    def shown():
        samples = browser.find_elements(By.CSS_SELECTOR, "img.sample")
        (image,) = (i for i in samples if i.is_displayed())
        return image.get_attribute("data-step")

    slider, said = browser.find_element(By.ID, "step"), browser.find_element(By.ID, "at")
    assert slider.accessible_name == "Step" and slider.aria_role == "slider"
    assert shown() == "900" and said.text == "step 900"
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element == slider  # the keyboard reaches it first
    for key, step in ((Keys.ARROW_LEFT, "600"), (Keys.HOME, "300"), (Keys.ARROW_LEFT, "300"),
                      (Keys.ARROW_RIGHT, "600"), (Keys.END, "900")):
        slider.send_keys(key)
        assert shown() == step and said.text == f"step {step}"
        assert slider.get_attribute("aria-valuetext") == f"step {step}"
    assert not browser.get_log("browser")  # no error, and nothing that the page may not load


@pytest.mark.slow
def test_hostile_text_in_a_browser(browser, tmp_path):
    open_page(browser, write_report(hostile_run(tmp_path)), 360)
    assert browser.execute_script("return window.evil") is None
    assert browser.execute_script("return document.images.length") == 4 + 1 + 1
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    assert not browser.get_log("browser")


@pytest.mark.slow
def test_one_sample_in_a_browser(browser, tmp_path):
    """No slider where there is nothing to slide."""
    from selenium.webdriver.common.by import By
    open_page(browser, write_report(make_run(tmp_path / "run", [4])), 360)
    assert not browser.find_element(By.ID, "step").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, "img.sample").is_displayed()
