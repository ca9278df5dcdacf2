import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from minicyclegan import (
    Generator,
    InputError,
    UNet,
    read_image,
    to_image,
    to_tensor,
    translate,
    translate_image,
)
from minicyclegan.engine.checkpoint import save_checkpoint
from minicyclegan.engine.targets import memory_needed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = dict(generator="resnet", width=2, blocks=1, upsample="transpose", size=16,
                  disc_depth=1)
    torch.manual_seed(0)
    G_AB, G_BA = Generator(2, 1), Generator(2, 1)
    save_checkpoint(folder / "checkpoint.pt", {"config": config, "networks": {
        "G_AB": G_AB.state_dict(), "G_BA": G_BA.state_dict()}})
    return folder, G_AB, G_BA


class Echo(torch.nn.Module):
    """Not a generator: gives the image back, and takes the same sizes only."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, image):
        assert image.shape[-1] % 8 == image.shape[-2] % 8 == 0 and min(image.shape[-2:]) >= 16
        return image


def picture(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (7, 7), (8, 8), (33, 18), (101, 64)])
def test_every_size_is_kept(size):
    image = picture(*size)
    out = translate_image(Echo(), image)
    assert np.array_equal(np.asarray(out), np.asarray(image))  # padded and cropped at one place
    assert translate_image(Generator(2, 1), image).size == size
    assert translate_image(Generator(2, 1, channels=1), image.convert("L")).mode == "L"
    assert translate_image(UNet(2), image).size == size


@pytest.mark.parametrize("mode", ["P", "1", "YCbCr", "RGBA", "F", "I;16"])
def test_an_image_of_another_mode_is_not_taken_for_gray_or_rgb(mode):
    image = picture(16, 16).convert("L" if mode in "F I;16" else "RGB").convert(mode)
    for channels in (1, 3):
        with pytest.raises(InputError, match=f"mode {mode} holds no gray or RGB in 0..255"):
            translate_image(Generator(2, 1, channels=channels), image)
    with pytest.raises(InputError, match="mode float64"):
        translate_image(Generator(2, 1), np.ones((16, 16, 3)))


def test_a_size_that_fits_is_left_alone():
    generator, image = Generator(2, 1), picture(16, 12)
    with torch.no_grad():
        expected = to_image(generator(to_tensor(image)[None])[0])
    assert np.array_equal(np.asarray(translate_image(generator, image)), np.asarray(expected))


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    for i, name in enumerate(["a.png", "b b.JPG", "ü.bmp", "d.tif"]):
        picture(9 + i, 14, i).save(folder / name)
    return folder


def test_a_folder_and_a_file_both_ways(run, inputs, tmp_path):
    folder, G_AB, G_BA = run
    extra = tmp_path / "extra.png"
    picture(16, 16, 9).save(extra)
    files = translate(folder, "B", [inputs, extra], tmp_path / "to_B", device="cpu")
    assert sorted(f.name for f in files) == sorted(
        ["a.png", "b b.JPG", "ü.bmp", "d.tif", "extra.png"])
    for file in files:
        source = extra if file.name == extra.name else inputs / file.name
        with Image.open(file) as out, Image.open(source) as image:
            assert out.size == image.size and out.format == image.format
    translate(folder / "checkpoint.pt", "A", [extra], tmp_path / "to_A", device="cpu")
    for to, generator in (("B", G_AB), ("A", G_BA)):
        with Image.open(tmp_path / f"to_{to}" / "extra.png") as out:
            assert np.array_equal(np.asarray(out), np.asarray(
                translate_image(generator, picture(16, 16, 9))))


def test_nothing_is_written_over(run, inputs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "d.tif").write_text("mine")
    with pytest.raises(InputError, match="d.tif exists already.*--overwrite"):
        translate(run[0], "B", [inputs], out)
    assert [p.name for p in out.iterdir()] == ["d.tif"]
    assert (out / "d.tif").read_text() == "mine"
    assert len(translate(run[0], "B", [inputs], out, overwrite=True)) == 4
    before = (inputs / "a.png").read_bytes()
    for how in ({}, {"overwrite": True}, {"skip_existing": True}):  # an input never is
        with pytest.raises(InputError, match="is the image itself; choose another --out.$"):
            translate(run[0], "B", [inputs], inputs, **how)
    with pytest.raises(InputError, match="--overwrite replaces .* give one of them"):
        translate(run[0], "B", [inputs], out, overwrite=True, skip_existing=True)
    assert (inputs / "a.png").read_bytes() == before


def test_inputs_that_cannot_be_used(run, inputs, tmp_path):
    out = tmp_path / "out"
    (inputs / "broken.png").write_text("rubbish")
    (tmp_path / "a.png").write_bytes((inputs / "a.png").read_bytes())
    for given, message in (([inputs], "broken.png cannot be read"),
                           ([tmp_path / "none.png"], "none.png cannot be read .*does not exist"),
                           ([tmp_path / "notes.txt"], "notes.txt does not end like an image"),
                           ([inputs, inputs / "a.png"], "the same name.*name an image once"),
                           ([inputs / "a.png", tmp_path / "a.png"], "the same name")):
        with pytest.raises(InputError, match=message):
            translate(run[0], "B", given, out)
    with pytest.raises(InputError, match="to A or to B, not to 'b'"):
        translate(run[0], "b", [inputs / "a.png"], out)
    assert not out.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):  # the command line makes a sentence of it
        translate(run[0], "B", [inputs / "a.png"], tmp_path / "file")


def test_work_that_broke_off_goes_on(run, inputs, tmp_path, capsys):
    out = tmp_path / "out"
    translate(run[0], "B", [inputs / "a.png"], out)
    before = (out / "a.png").stat().st_mtime_ns
    assert len(translate(run[0], "B", [inputs], out, skip_existing=True)) == 3
    assert (out / "a.png").stat().st_mtime_ns == before and len(list(out.iterdir())) == 4
    assert translate(run[0], "B", [inputs], out, skip_existing=True) == []


def test_the_longest_names(run, tmp_path):
    for i in "01":
        picture(16, 16).save(tmp_path / f"{250 * 'x'}{i}.png")
    assert len(translate(run[0], "B", [tmp_path], tmp_path / "out")) == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_results_are_whole_or_not_there(run, inputs, tmp_path, monkeypatch):
    """Killed in the middle of writing one, and gone on."""
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            translate(run[0], "B", [inputs], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert len(translate(run[0], "B", [inputs], tmp_path / "out", skip_existing=True)) == 4


def test_what_is_left_and_lost_is_said(run, inputs, tmp_path, capsys):
    (inputs / "more").mkdir()
    (inputs / "notes.txt").write_text("hello")
    clear = picture(16, 16).convert("RGBA")
    clear.putalpha(100)
    clear.save(inputs / "clear.png")
    clear.save(inputs / "clear too.png")
    translate(run[0], "B", [inputs], tmp_path / "out")
    out = capsys.readouterr().out
    assert "2 others left alone (.txt, folder)" in out
    assert out.count("what no result will have: transparency") == 1


def test_an_image_far_larger_than_those_learned_from(run, inputs, tmp_path, capsys):
    picture(50, 40).save(inputs / "large.png")
    translate(run[0], "B", [inputs], tmp_path / "out")
    assert "large.png has 50×40 pixels, and the model has learned from a shorter side of 16: try " \
        "--size 16" in capsys.readouterr().out
    translate(run[0], "B", [inputs], tmp_path / "small", size=16)
    translate(run[0], "B", [inputs / "a.png"], tmp_path / "again")
    assert "--size" not in capsys.readouterr().out


def test_an_image_too_large_for_the_memory(run, inputs, tmp_path, monkeypatch, capsys):
    """Refused by name before anything is written, or made smaller where somebody says so."""
    picture(60, 40).save(inputs / "large.png")
    needed = memory_needed(run[1], 60, 40)
    monkeypatch.setattr("minicyclegan.engine.targets.free_memory", lambda device: needed / 4)
    with pytest.raises(InputError, match="large.png, 60×40 pixels, would take about .*--shrink"):
        translate(run[0], "B", [inputs], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    translate(run[0], "B", [inputs], tmp_path / "out", shrink=True)
    assert read_image(tmp_path / "out" / "large.png").size == (30, 20)
    assert "large.png is translated with a shorter side of 20 pixels" in capsys.readouterr().out
    translate(run[0], "B", [inputs / "large.png"], tmp_path / "small", size=20)  # the same by hand
    assert (tmp_path / "small" / "large.png").read_bytes() == (
        tmp_path / "out" / "large.png").read_bytes()
    with pytest.raises(InputError, match="--size must be at least 16, not 0"):
        translate(run[0], "B", [inputs], tmp_path / "none", size=0)
    assert read_image(tmp_path / "out" / "a.png").size == read_image(inputs / "a.png").size


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("network", [Generator(32, 1), UNet(32)], ids=["ResNet", "UNet"])
def test_memory_is_estimated_well_enough(network):
    """The most that a process takes, beside the bound that translate goes by."""
    code = f"""
import re
from pathlib import Path
from PIL import Image
from minicyclegan import Generator, UNet, translate_image
def most():  # that this program has held; getrusage would count the one it was started from
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
network = {type(network).__name__}(32, 1)
translate_image(network, Image.new("RGB", (64, 64)))
before = most()
translate_image(network, Image.new("RGB", (1024, 1024)))
print(1024 * (most() - before))"""
    used = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              check=True).stdout)
    assert 0.5 * memory_needed(network, 1024, 1024) < used <= memory_needed(network, 1024, 1024)
