"""minicyclegan ablate, and what it measures with."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import OPTIONS, TINY

from minicyclegan import InputError, read_image
from minicyclegan.__main__ import main, parser
from minicyclegan.engine.checkpoint import load_checkpoint
from minicyclegan.lab.ablate import (
    VARIANTS,
    config_of,
    measure,
    nyquist_energy,
    parse_settings,
    table,
    train_all,
)

TINY_TEXT = " ".join(f"{k}={v}" for k, v in TINY.items() if k != "device")


def test_settings():
    settings = parse_settings(["paper: width=8", "log, flipped: adversarial=log flip=false lr=1e-3",
                               "plain:"])
    assert list(settings) == [*VARIANTS, "log, flipped", "plain"]
    assert settings["GAN alone"] == {"lambda_cycle_A": 0, "lambda_cycle_B": 0, "width": 8}
    assert settings["log, flipped"] == {"adversarial": "log", "flip": False, "lr": 1e-3}
    assert settings["plain"] == {}
    assert parse_settings(["full"]) == {"full": {}}
    # what a variant switches off is not asked for
    assert parse_settings(["paper: pool-size=9"])["cycle alone"] == {"lambda_adversarial": 0}
    assert parse_settings(["full: lambda-identity=0.5"]) == {"full": {"lambda_identity": 0.5}}


@pytest.mark.parametrize("texts, message", [
    (["fast"], 'setting "fast" is neither paper nor one of cycle alone, .*NAME: OPTION=VALUE'),
    (["a: speed=2"], '"speed=2" is not OPTION=VALUE'), (["a: width"], '"width" is not OPTION=VAL'),
    ([": width=8"], "needs a name of its own"),
    (["paper", "Full: width=8"], '"Full: width=8" needs a name of its own'),
    (["a: seed=3"], '"seed=3" is not .* seeds and device are the same for all'),
    (["a: data=x"], '"data=x" is not .*; data, their pairs'),
    (["a: pairs=false"], '"pairs=false" is not .*; data, their pairs'),
])
def test_settings_that_cannot_be(texts, message):
    with pytest.raises(InputError, match=message):
        parse_settings(texts)


@pytest.mark.parametrize("option, message", [
    ("upsample=transpose", "--upsample has no effect with"), ("width=NaN", "type int, not nan"),
    ("width=big", "--width must be of type int, not 'big'"), ("lr=1e999", "--lr must be finite"),
    ("flip=maybe", "--flip must be of type bool, not 'maybe'"),
    ("epochs=2", "--epochs and --steps both say how long")])
def test_values_that_cannot_be(option, message):
    with pytest.raises(InputError, match=f'setting "a": .*{message}'):
        config_of("a", parse_settings([f"a: {option}"])["a"], {"steps": 9})


def test_checkerboards_show_at_the_nyquist_frequencies():
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    smooth = torch.sin(x / 16 * 2 * torch.pi).expand(1, 3, 16, 16)
    assert nyquist_energy(smooth) < 1e-10
    for pattern in ((-1.0) ** (x + y), (-1.0) ** x, (-1.0) ** y * torch.sin(x / 4 * torch.pi)):
        pattern = pattern.expand(1, 3, 16, 16)
        power = pattern.square().mean().item()  # Parseval: all of it, and counted once
        assert nyquist_energy(smooth + pattern) == pytest.approx(power, rel=1e-5)


class Shift(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, image):
        return image + self.by


def test_measure():
    """B is A, darker by 51 of 255; G_AB knows, G_BA brings only half of it back."""
    torch.manual_seed(0)
    real_A = torch.rand(12, 3, 16, 16)
    real_B, masks = real_A - 0.4, torch.zeros(12, 1, 16, 16)
    masks[..., :4] = 1
    pairs = list(zip(map(str, range(12)), real_A, real_B, masks, strict=True))
    right, _ = measure(Shift(-0.4), Shift(0.2), pairs)
    for name, a_to_b, b_to_a in (("error", 0, 25.5), ("animal", 0, 25.5), ("background", 0, 25.5),
                                 ("found", 12, 12), ("checkerboard", 1, 1), ("spread", 1, 1),
                                 ("collapsed", 0, 0)):
        assert right[f"{name}_A_to_B"] == pytest.approx(a_to_b, abs=1e-3), name
        assert right[f"{name}_B_to_A"] == pytest.approx(b_to_a, abs=1e-3), name
    assert right["reconstruction_A"] == right["reconstruction_B"] == pytest.approx(25.5)
    assert right["ssim_A_to_B"] == pytest.approx(1)


def test_collapsed():
    """No better than doing nothing, or nearly always the same answer."""
    torch.manual_seed(0)
    real_A = torch.rand(12, 3, 16, 16)
    pairs = [(str(i), image, image - 0.4, None) for i, image in enumerate(real_A)]

    def average(by):
        return lambda image: by * (image - real_A.mean(0)) + real_A.mean(0) - 0.4

    for G_AB, error, spread, collapsed in (
            (Shift(0), 51, 1, 1), (average(0.4), None, 0.4, 1), (average(0.6), None, 0.6, 0)):
        numbers, _ = measure(G_AB, Shift(0), pairs)
        assert error is None or numbers["error_A_to_B"] == pytest.approx(error)
        assert numbers["error_A_to_B"] < 51.01 and "animal_A_to_B" not in numbers
        assert numbers["spread_A_to_B"] == pytest.approx(spread, rel=1e-3)
        assert numbers["collapsed_A_to_B"] == collapsed


def test_table():
    rows = [{"setting": name, "seed": seed, "error_A_to_B": error, "found_A_to_B": found,
             "reconstruction_A": 2.0, "collapsed_A_to_B": seed,
             "error_B_to_A": 1.0, "collapsed_B_to_A": 0}
            for name, seed, error, found in (("one", 0, 20.0, 30), ("one", 1, 24.0, 40),
                                             ("two", 0, 9.0, 60))]
    lazy = [{"setting": "lazy: nothing", "error_A_to_B": 33.4, "found_A_to_B": 11,
             "error_B_to_A": 33.4}, {"setting": "lazy: average", "error_B_to_A": 14.5}]
    cells = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in table(rows + lazy).splitlines()]
    assert cells[0] == ["A → B", "error", "found", "reconstruction of A", "collapsed"]
    assert cells[2] == ["one", "22.0 ± 2.8", "35.0 ± 7.1", "2.0 ± 0.0", "1 of 2"]
    assert cells[3] == ["two", "9.0", "60.0", "2.0", "0 of 1"]
    assert cells[4] == ["lazy: nothing", "33.4", "11.0", "", ""]
    assert cells[5] == ["lazy: average", "", "", "", ""] and cells[6] == [""]
    assert cells[-1] == ["lazy: average", "14.5", ""]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("ablate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=10, trainB=10, testA=3, testB=3))
        assert main(["draw", str(root / "toy"), "--size", "16"]) == 0
    return root


def command(toy, *settings, out="grid", seeds=2):
    return ["ablate", *settings, "--data", str(toy / "toy"), "--out", str(toy / out), "--seeds",
            str(seeds), "--jobs", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def grid(toy):
    """A whole grid: one setting, two seeds, of which one was trained before."""
    assert main(["train", "--data", str(toy / "toy"), "--out", str(toy / "grid" / "one-0"),
                 *OPTIONS]) == 0
    assert main(command(toy, f"one: {TINY_TEXT}")) == 0
    return toy / "grid"


def test_what_a_grid_leaves(grid, toy, capsys):
    with open(grid / "runs.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(r["setting"], r["seed"]) for r in rows] == [("one", "0"), ("one", "1")]
    for row, run in zip(rows, ("one-0", "one-1"), strict=True):  # as minicyclegan evaluate has it
        scores = json.loads((grid / run / "scores.json").read_text())
        for way in ("A_to_B", "B_to_A"):
            for name, key in (("error", "mae"), ("animal", "mae_animal")):
                assert float(row[f"{name}_{way}"]) == pytest.approx(
                    scores[way]["ours"][key], rel=1e-3)
    assert read_image(grid / "samples.png").width > 400
    assert "| lazy: average |" in (grid / "table.md").read_text()

    before = {p: p.stat().st_mtime_ns for p in grid.rglob("checkpoint.pt")}
    table = (grid / "table.md").read_text()
    assert main(command(toy, f"one: {TINY_TEXT}")) == 0  # measured anew, nothing trained
    assert table in capsys.readouterr().out
    assert before == {p: p.stat().st_mtime_ns for p in before} and len(before) == 2


def test_a_run_with_other_options_is_not_taken(grid, toy, capsys):
    assert main(command(toy, f"one: {TINY_TEXT} beta1=0.4")) == 2
    assert "one-0 was trained with beta1 0.5, not 0.4; choose another --out" in (
        capsys.readouterr().err)


def test_hiding(grid, toy, capsys):
    assert main(["hiding", str(grid / "one-0"), str(grid / "one-1"), "--out",
                 str(toy / "hid")]) == 0
    assert "A → B → A: error" in capsys.readouterr().out
    assert (toy / "hid" / "hiding.png").exists()
    with open(toy / "hid" / "hiding.csv") as file:
        assert {r["damage"] for r in csv.DictReader(file)} == {"quantise", "blur", "noise"}
    assert main(["hiding", str(grid / "one-0" / "checkpoint.pt")]) == 2
    assert "say where they go with --out" in capsys.readouterr().err


@pytest.mark.slow
def test_stopped_in_the_middle_and_gone_on(toy):
    """SIGTERM while two runs of four are being trained: they save, and the same command goes on."""
    long = TINY_TEXT.replace("steps=4", "steps=300")
    arguments = command(toy, f"one: {long}", f"two: {long} model=one_way", out="stopped")
    process = subprocess.Popen([sys.executable, "-m", "minicyclegan", *arguments],
                               stderr=subprocess.PIPE, text=True)
    folder = toy / "stopped"
    while not (folder / "one-0" / "log.csv").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert "the same command goes on" in said
    left = load_checkpoint(folder / "one-0")["step"]
    assert 0 < left < 300
    (folder / "two-1").mkdir()  # as if killed while it wrote its options
    (folder / "two-1" / ".config.json.tmp").write_text("{")
    assert main(arguments) == 0
    log = (folder / "one-0" / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log[1:]] == [str(n) for n in range(2, 301, 2)]
    with open(folder / "runs.csv") as file:
        assert [(r["setting"], r["seed"]) for r in csv.DictReader(file)] == [
            ("one", "0"), ("one", "1"), ("two", "0"), ("two", "1")]


def test_bad_input_is_refused_before_anything_is_trained(toy, capsys):
    few = toy / "few"
    for split in ("trainA", "trainB", "testA", "testB"):
        (few / split).mkdir(parents=True)
        for name in ("000.png", "001.png")[:1 if split == "testB" else 2]:
            (few / split / name).write_bytes((toy / "toy" / split / name).read_bytes())
    kept = (few / "testA" / "001.png").read_bytes()

    def refused(arguments, message):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
        assert not (toy / "new").exists()

    def new(*settings, data=few):
        return ["ablate", *settings, "--data", str(data), "--out", str(toy / "new")]

    refused(new(), "testA and testB do not pair by file name")
    (few / "testA" / "001.png").unlink()
    refused(new(), "has 1 pair of test images; at least 2 are needed")
    for domain in "AB":
        (few / f"test{domain}" / "001.png").write_bytes(kept)
    refused(new("a: size=30", data=toy / "toy"), 'setting "a": --size must be a multiple of 8')
    refused(new("a: size=32", "b: size=24"), "of different sizes")
    refused(new("--seeds", "0"), "--seeds must be from 1 to 1000, not 0")
    refused(new("--jobs", "0"), "--jobs must be from 1 to 1000, not 0")


@pytest.mark.parametrize("end, message", [
    ("exit 2", "a-0 ended with exit code 2 .minicyclegan train: no..*, see output.txt there"),
    ("kill -9 $$", "a-0 ended with exit code -9 .*--jobs 1.*same command goes on")])
def test_a_run_that_fails_is_named(end, message, tmp_path, monkeypatch):
    """With what it said last; one beside it is ended, and one that waits is not trained."""
    started, Popen = [], subprocess.Popen

    def start(words, **settings):
        assert parser().parse_args(words[3:]).data == "-photos"
        run = Path(words[4]).name
        started.append(run)
        script = f"echo x; echo minicyclegan train: no.; {end}" if run == "a-0" else "exec sleep 60"
        return Popen(["sh", "-c", script], **settings)

    monkeypatch.setattr(subprocess, "Popen", start)
    config = config_of("a", {}, {"data": "-photos"})
    with pytest.raises(InputError, match=message):
        train_all({tmp_path / name: config for name in ("b-0", "a-0", "c-0")}, jobs=2, cores=2)
    assert started == ["b-0", "a-0"] and not (tmp_path / "c-0").exists()
    assert (tmp_path / "a-0" / "output.txt").read_text().startswith("x\n")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
