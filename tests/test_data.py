import csv
import os
import shutil
import struct
import time
import zlib

import numpy as np
import pytest
import torch
from conftest import TINY
from minicyclegan.checkpoint import load_checkpoint
from PIL import Image

from minicyclegan import InputError, PairedImages, UnpairedImages, read_image, to_image, to_tensor
from minicyclegan import data as data_module
from minicyclegan.config import Config
from minicyclegan.data import (
    check_images,
    decode,
    list_images,
    read_all,
    read_stamps,
    resize,
    samples,
    stamp,
    write_stamps,
)
from minicyclegan.train import Run, resume, train


def test_tensor_and_back():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    gray, colour = Image.fromarray(array), Image.fromarray(np.stack([array, array.T, array], -1))
    for image, shape in ((gray, (1, 16, 16)), (colour, (3, 16, 16))):
        tensor = to_tensor(image)
        assert tensor.shape == shape and tensor.min() == -1 and tensor.max() == 1
        assert np.array_equal(np.asarray(to_image(tensor)), np.asarray(image))


ramp = np.linspace(0, 255, 12 * 10).round().astype(np.uint8).reshape(12, 10)


@pytest.mark.parametrize("name", ["x.jpg", "x.JPEG", "x.Png", "x.bmp", "x.webp", "x.tif", "x.TIFF"])
def test_every_format_is_found_and_read(name, tmp_path):
    Image.fromarray(ramp).convert("RGB").save(tmp_path / name, quality=95)
    (tmp_path / "notes.txt").write_text("no image")
    (path,) = list_images(tmp_path)
    image = read_image(path)
    assert image.mode == "RGB" and image.size == (10, 12)
    assert np.abs(np.asarray(image)[..., 0].astype(int) - ramp).max() < 12  # JPEG, WebP are lossy


def palette():
    image = Image.fromarray(ramp).quantize(256)
    return image


MODES = {
    "L": lambda: Image.fromarray(ramp),
    "RGB": lambda: Image.fromarray(ramp).convert("RGB"),
    "P": palette,
    "1": lambda: Image.fromarray((ramp > 127).astype(np.uint8) * 255).convert("1"),
    "I;16": lambda: Image.fromarray(ramp.astype(np.uint16) * 257),
    "CMYK": lambda: Image.fromarray(ramp).convert("RGB").convert("CMYK"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_reads_right(mode, channels, tmp_path):
    path = tmp_path / ("x.tif" if mode in ("CMYK", "I;16") else "x.png")
    MODES[mode]().save(path)
    out = np.asarray(read_image(path, channels)).astype(int)
    truth = (ramp > 127) * 255 if mode == "1" else ramp.astype(int)
    out = out if channels == 1 else out[..., 1]
    assert np.abs(out - truth).max() <= 2


def test_sixteen_bits_in_a_png(tmp_path):
    Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / "x.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "x.png", 1)), ramp)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(mode, tmp_path):
    path = tmp_path / "x.png"
    if mode == "P":
        image = Image.new("P", (4, 4), 0)
        image.putpalette([10, 20, 30, 40, 50, 60])
        image.save(path, transparency=0)
    else:
        Image.new(mode, (4, 4), (10, 20, 30, 0) if mode == "RGBA" else (10, 0)).save(path)
    assert (np.asarray(read_image(path)) == 255).all()


def test_half_transparent(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "x.png")
    assert abs(int(np.asarray(read_image(tmp_path / "x.png"))[0, 0, 0]) - 127) <= 1


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    Image.fromarray(ramp).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(np.asarray(read_image(tmp_path / "x.png", 1)), np.rot90(ramp, -1))


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_a_bad_file_is_named(content, tmp_path):
    path = tmp_path / "broken.png"
    if content is None:  # an image cut off in the middle
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        content = path.read_bytes()[:5000]
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.png cannot be read"):
        read_image(path)


def test_bad_files_are_all_named_before_anything_is_trained(tmp_path):
    for domain in "AB":
        (tmp_path / f"train{domain}").mkdir()
        for i in range(3):
            Image.fromarray(ramp).save(tmp_path / f"train{domain}" / f"{i}.png")
    for name in ("bad1.jpg", "bad2.png"):
        (tmp_path / "trainB" / name).write_bytes(b"rubbish")
    with pytest.raises(InputError, match=r"(?s)bad1\.jpg.*bad2\.png"):
        UnpairedImages(tmp_path, size=8)


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (300, 5), (33, 64)])
def test_odd_sizes_make_whole_crops(size, tmp_path):
    for domain in "AB":
        (tmp_path / f"train{domain}").mkdir()
        Image.new("L", size, 200).save(tmp_path / f"train{domain}" / "x.png")
    real_A, real_B = UnpairedImages(tmp_path, size=16)[0]
    assert real_A.shape == real_B.shape == (3, 16, 16)
    assert (real_A - (200 / 127.5 - 1)).abs().max() < 1e-6


def test_resize_keeps_proportions():
    assert resize(Image.new("L", (100, 50)), 20).size == (40, 20)
    assert resize(Image.new("L", (50, 100)), 20).size == (20, 40)


def test_the_same_index_twice(photos):
    data = UnpairedImages(photos, size=16)
    first = data[0]
    assert all(torch.equal(a, b) for a, b in zip(first, data[0], strict=True))  # same epoch
    crops = []
    for epoch in range(1, 20):
        data.set_epoch(epoch)
        crops.append(data[0][0])
    assert sum(torch.equal(first[0], crop) for crop in crops) <= 1  # another: drawn anew
    again = UnpairedImages(photos, size=16)
    again.set_epoch(19)
    assert torch.equal(again[0][0], crops[-1])


def test_flips_about_half(photos):
    data = UnpairedImages(photos, size=20, zoom=1.0)  # the crop is the whole width
    same = 0
    for epoch in range(60):
        data.set_epoch(epoch)
        for i in range(5):
            number = data.order["A"][i]
            whole = data.images["A"][number]
            crop = ((data[i][0] + 1) * 127.5).round().byte()
            same += any(torch.equal(crop, whole[:, top:top + 20]) for top in range(5))
    assert 110 < same < 190  # of 300
    plain = UnpairedImages(photos, size=20, zoom=1.0, flip=False)
    assert torch.equal(plain[0][0], plain[0][0])


def test_an_epoch_shows_everything_and_pairs_nothing(photos):
    data = UnpairedImages(photos, size=16)
    assert len(data) == 7
    pairs = set()
    for epoch in range(200):
        data.set_epoch(epoch)
        assert sorted(data.order["B"]) == list(range(7))
        assert sorted(data.order["A"][:5]) == list(range(5))
        pairs |= set(zip(data.order["A"], data.order["B"], strict=True))
    assert len(pairs) == 35  # every A has met every B


def test_seeds_differ(photos):
    one, other = (UnpairedImages(photos, size=16, seed=seed) for seed in (0, 1))
    assert any(not torch.equal(one[i][0], other[i][0]) for i in range(5))


def test_more_images_than_memory_holds(photos, monkeypatch):
    whole = UnpairedImages(photos, size=16)
    monkeypatch.setattr("minicyclegan.data.KEEP_BYTES", 3000)
    frugal = UnpairedImages(photos, size=16)
    assert any(image is None for image in frugal.images["B"])
    for i in range(7):
        assert all(torch.equal(a, b) for a, b in zip(whole[i], frugal[i], strict=True))


@pytest.mark.parametrize("keep", [10**9, 3000, 0])
def test_batches_are_the_items(keep, photos, monkeypatch):
    """Prepared ahead by threads, from memory or from files: the same images in the same order."""
    whole = UnpairedImages(photos, size=16)
    monkeypatch.setattr("minicyclegan.data.KEEP_BYTES", keep)
    data = UnpairedImages(photos, size=16)
    assert data.all_kept() == (keep == 10**9)
    places = [(epoch, range(i, i + 3)) for epoch in (0, 1, 5) for i in (0, 3)]
    made = list(data.batches(places, torch.device("cpu"), workers=3))
    assert len(made) == len(places)
    for (epoch, indices), batch in zip(places, made, strict=True):
        whole.set_epoch(epoch)
        for i, *pair in zip(indices, *batch, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(whole[i], pair, strict=True))


def test_a_gpu_gets_the_images_when_they_fit(photos, monkeypatch):
    moved = []

    class Image:  # stands in for a tensor: there may be no GPU here
        def numel(self):
            return 100

        def to(self, device):
            moved.append(device)
            return self

    data = UnpairedImages(photos, size=16)
    data.images = {"A": [Image()] * 5, "B": [Image()] * 7}
    gpu = torch.device("cuda")
    for free, expected in ((4 * 1200, 12), (4 * 1200 - 4, 0)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**9))
        moved.clear()
        data.to(gpu)
        assert moved == [gpu] * expected
    data.to(torch.device("cpu"))
    assert not moved


def test_grayscale(photos):
    assert UnpairedImages(photos, size=16, channels=1)[0][0].shape == (1, 16, 16)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(InputError, match="trainA is not a folder"):
        UnpairedImages(tmp_path)
    (tmp_path / "trainA").mkdir()
    with pytest.raises(InputError, match="trainA holds no images"):
        UnpairedImages(tmp_path)


def test_pairs_by_name(tmp_path):
    for domain, names in (("A", ["1.png", "2.png"]), ("B", ["1.jpg", "2.png"])):
        (tmp_path / f"test{domain}").mkdir()
        for name in names:
            Image.new("RGB", (20, 12), name[0] == "1" and "white" or "black").save(
                tmp_path / f"test{domain}" / name)
    pairs = PairedImages(tmp_path, 8)
    assert [(name, a.shape, m) for name, a, _, m in pairs] == [
        ("1", (3, 8, 8), None), ("2", (3, 8, 8), None)]
    assert (pairs[0][1] == 1).all() and (pairs[0][2] > 0.95).all()
    (tmp_path / "testB" / "1.jpg").rename(tmp_path / "testB" / "one.jpg")
    with pytest.raises(InputError, match="do not pair.*1 for one"):
        PairedImages(tmp_path, 8)
    (tmp_path / "testB" / "one.jpg").rename(tmp_path / "testB" / "2.jpg")
    with pytest.raises(InputError, match="2.jpg and .*2.png pair with the same image"):
        PairedImages(tmp_path, 8)


def test_all_pairs_have_a_mask_or_none(tmp_path):
    for folder in ("testA", "testB", "testMask"):
        (tmp_path / folder).mkdir()
        for i in range(2 if folder != "testMask" else 1):
            Image.new("L", (8, 8), 255).save(tmp_path / folder / f"{i}.png")
    with pytest.raises(InputError, match="testMask lacks 1 masks, that of 1 for one"):
        PairedImages(tmp_path, 8)
    Image.new("L", (8, 8), 255).save(tmp_path / "testMask" / "1.png")
    (pair,) = PairedImages(tmp_path, 8, bad={tmp_path / "testB" / "0.png": "is empty"})
    assert pair[0] == "1" and (pair[3] == 1).all()


# What each of these is, and how it is seen or why it is refused.

def png(width, height, data=b""):
    """A PNG file with the given head, whatever its pixels are."""
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))


def test_what_a_file_holds_counts_not_how_it_is_called(tmp_path):
    for name, format in (("png.jpg", "PNG"), ("webp.png", "WEBP"), ("gif.jpg", "GIF"),
                         ("bmp.tif", "BMP"), ("tiff.webp", "TIFF")):
        Image.fromarray(ramp).save(tmp_path / name, format, lossless=True)
        assert np.abs(np.asarray(read_image(tmp_path / name, 1)).astype(int) - ramp).max() <= 1


@pytest.mark.parametrize("name", ["x.tif", "x.png"])
def test_sixteen_bits_of_colour(name, tmp_path):
    """Pillow cannot write these, so they are made by hand."""
    colour = np.stack([ramp, 255 - ramp, ramp // 2], -1)
    wide = (colour.astype(np.uint16) * 257).astype(">u2")
    if name == "x.png":
        rows = b"".join(b"\0" + row.tobytes() for row in wide)
        content = bytearray(png(10, 12, zlib.compress(rows)))
        content[24:26] = 16, 2  # bits, kind: RGB
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    else:
        entries = [(256, 3, 10), (257, 3, 12), (258, 3, 16), (259, 3, 1), (262, 3, 2),
                   (273, 4, 200), (277, 3, 3), (278, 3, 12), (279, 4, wide.nbytes)]
        bits = (258, 3, 3, 150)  # three numbers, at byte 150
        content = b"MM\0*" + struct.pack(">IH", 8, len(entries))
        for tag, kind, value in entries:
            content += (struct.pack(">HHII", *bits) if tag == 258 else
                        struct.pack(">HHI" + ("HH" if kind == 3 else "I"), tag, kind, 1, value,
                                    *([0] if kind == 3 else [])))
        content = content.ljust(150, b"\0") + struct.pack(">HHH", 16, 16, 16)
        content = content.ljust(200, b"\0") + wide.tobytes()
    (tmp_path / name).write_bytes(content)
    assert np.array_equal(np.asarray(read_image(tmp_path / name)), colour)


def test_cmyk_jpeg_as_adobe_writes_it(tmp_path):
    """Inverted, and marked as Adobe's: white must stay white."""
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, 8:, :3] = 255  # cyan, magenta and yellow together: black
    Image.fromarray(ink, "CMYK").save(tmp_path / "x.jpg", quality=100)
    assert b"Adobe" in (tmp_path / "x.jpg").read_bytes()
    out = np.asarray(read_image(tmp_path / "x.jpg")).astype(int)
    assert out[:, :8].min() > 250 and out[:, 8:].max() < 5


def test_palette_with_half_transparency(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([200, 0, 0, 0, 0, 0])
    image.save(tmp_path / "x.png", transparency=bytes([255, 128]))
    assert np.abs(np.asarray(read_image(tmp_path / "x.png")).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("name", ["x.webp", "x.png", "gif.png"])
def test_the_first_frame_of_an_animation(name, tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    format = {"x.webp": "WEBP", "x.png": "PNG", "gif.png": "GIF"}[name]
    frames[0].save(tmp_path / name, format, save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(tmp_path / name) as file:
        assert file.n_frames == 3
    assert (np.asarray(read_image(tmp_path / name)) == (255, 0, 0)).all()


def test_only_formats_that_run_no_other_program(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    with pytest.raises(InputError, match="no image of a known format"):
        read_image(tmp_path / "x.png")


def test_enormous_images_are_refused_before_memory_is_taken(tmp_path):
    for i, size in enumerate([(10000, 9000), (60000, 60000), (2**31 - 1, 2**31 - 1)]):
        (tmp_path / f"{i}.png").write_bytes(png(*size))
        with pytest.raises(InputError, match=r"\d\.png cannot be read.*than 89 million"):
            read_image(tmp_path / f"{i}.png")
    Image.new("L", (1, 20000)).save(tmp_path / "thread.png")
    assert read_image(tmp_path / "thread.png").size == (1, 20000)
    with pytest.raises(InputError, match="1×20000 pixels would become more than 89 million"):
        read_image(tmp_path / "thread.png", side=286)


@pytest.fixture
def odd(tmp_path):
    """A data set of good images under odd names, and a dict of bad files with reasons."""
    for folder in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / folder).mkdir()
        for name in ("plain", "ü 漢 🦓", "-dash", "line\nbreak", "$math$", os.fsdecode(b"\xff")):
            Image.fromarray(ramp).save(tmp_path / folder / f"{name}.png")
        (tmp_path / folder / "._plain.png").write_bytes(b"a Mac's notes")
        (tmp_path / folder / "Thumbs.db").write_bytes(b"Windows' own")
    whole = (tmp_path / "trainA" / "plain.png").read_bytes()
    A, B = tmp_path / "trainA", tmp_path / "trainB"
    (A / "empty.jpg").touch()
    (A / "cut.png").write_bytes(whole[:60])
    (A / "folder.jpg").mkdir()
    (A / "link.jpg").symlink_to("nowhere")
    (B / "to_folder.png").symlink_to(A, target_is_directory=True)
    os.mkfifo(B / "pipe.png")
    (B / "bomb.png").write_bytes(png(60000, 60000))
    (B / "text\nfile.bmp").write_text("hello")
    (tmp_path / "testA" / "plain.png").write_bytes(whole[:60])
    return tmp_path, {
        A / "empty.jpg": "is empty", A / "cut.png": "", A / "folder.jpg": "is a folder",
        A / "link.jpg": "links to nothing", B / "to_folder.png": "is a folder",
        B / "pipe.png": "is no plain file", B / "bomb.png": "more than 89 million pixels",
        B / "text\nfile.bmp": "no image of a known format", tmp_path / "testA" / "plain.png": ""}


def config(root, **options):
    return Config(**TINY | dict(data=str(root), steps=2, sample_every=9) | options)


def test_one_list_of_all_bad_files(odd, tmp_path):
    root, bad = odd
    with pytest.raises(InputError) as error:
        train(config(root), tmp_path / "run")
    head, *lines = str(error.value).splitlines()
    assert head.startswith("9 files cannot be read as images") and "--skip-bad" in head
    assert len(lines) == len(bad) == 9
    for file, why in bad.items():
        name = str(file) if "\n" not in file.name else repr(str(file))
        assert any(line.startswith(f"  {name}: ") and why in line for line in lines), file
    assert not (tmp_path / "run").exists()


def test_skip_bad_goes_on_without_them(odd, tmp_path, monkeypatch, capsys):
    root, bad = odd
    assert train(config(root, skip_bad=True), tmp_path / "run") == 0
    out = capsys.readouterr().out
    skipped = tmp_path / "run" / "skipped.csv"
    assert f"9 images cannot be read and are left out, see {skipped}" in out
    assert "5 test images" in out  # a pair with a bad half is left out
    with open(skipped, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {str(file) for file in bad}
    assert all(row["reason"] for row in rows)

    # To the bit like a run on the good ones alone
    for file in bad:
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        else:
            file.unlink()
    (root / "testB" / "plain.png").unlink()
    assert train(config(root), tmp_path / "clean") == 0
    assert not (tmp_path / "clean" / "skipped.csv").exists()
    one, other = (load_checkpoint(tmp_path / name)["networks"] for name in ("run", "clean"))
    assert all(torch.equal(one[n][k], other[n][k]) for n in one for k in one[n])


def test_a_resumed_run_wants_the_same_images(photos, tmp_path, monkeypatch):
    root, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(photos, root)
    (root / "trainB" / "bad.png").touch()
    assert train(config(root, skip_bad=True), run) == 0
    assert resume(run) == 0  # the bad one is still left out
    shutil.copy(root / "trainB" / "B0.png", root / "trainB" / "bad.png")  # mended
    before = (run / "checkpoint.pt").read_bytes()
    for change in (lambda: None, (root / "trainB" / "B1.png").unlink,
                   lambda: (root / "trainB" / "bad.png").rename(root / "trainB" / "B9.png")):
        change()
        with pytest.raises(InputError, match="trainB holds other images than when the run .* beg"):
            resume(run)
    assert (run / "checkpoint.pt").read_bytes() == before


def test_nothing_left(photos, tmp_path):
    for split in ("trainB", "testA"):
        root = tmp_path / split
        shutil.copytree(photos, root)
        for file in (root / split).iterdir():
            file.write_bytes(b"rubbish")
        with pytest.raises(InputError, match=f"nothing else is left in {split}"):
            train(config(root, skip_bad=True), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_file_that_may_not_be_read(photos, monkeypatch):
    real_open = Image.open

    def opened(path, **settings):  # as root, a test may read everything
        if path.name == "A1.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, **settings)

    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(InputError, match=r"A1.png cannot be read .*\(Permission denied\)"):
        UnpairedImages(photos, size=16)


def test_images_in_order_are_not_decoded_again(photos, tmp_path, monkeypatch):
    """Only what is kept in memory; but what has changed since, or where the list is damaged."""
    decoded = []

    def counting(path, *settings):
        decoded.append(path.name)
        return decode(path, *settings)

    monkeypatch.setattr(data_module, "decode", counting)
    root, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(photos, root)
    files = [f for folder in ("testA", "testB") for f in list_images(root / folder)]
    write_stamps(run.parent, files, {})
    seen = read_stamps(run.parent)
    check_images(files, bad := {}, seen, 16)
    assert not decoded and not bad
    os.utime(files[0], ns=(1, 1))
    files[1].write_bytes(files[1].read_bytes() + b" ")
    check_images(files, bad, seen, 16)
    assert decoded == [files[0].name, files[1].name]
    for content in (b"", b"[1, 2", b"\xff\xfe", b"7", b"[[]]", b'{"a": 1}', b"[" * 100000):
        (run.parent / "checked.json").write_bytes(content)
        assert not read_stamps(run.parent) & {stamp(f) for f in files}

    decoded.clear()
    seen = {stamp(f) for d in "AB" for f in list_images(root / f"train{d}")}
    UnpairedImages(root, size=16, seen=seen)
    assert len(decoded) == 12  # they are kept
    decoded.clear()
    monkeypatch.setattr(data_module, "KEEP_BYTES", 0)
    frugal = UnpairedImages(root, size=16, seen=seen)
    assert not decoded and not frugal.all_kept()
    frugal[0]
    assert len(decoded) == 2


def test_a_resumed_run_decodes_no_more_than_it_keeps(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(data_module, "KEEP_BYTES", 0)
    run = Run(config(photos), tmp_path / "run")
    run.save()
    run.lock.close()
    decoded = []
    monkeypatch.setattr(data_module, "decode", lambda path, *settings: (
        decoded.append(path.parent.name), decode(path, *settings))[1])
    Run(run.config, tmp_path / "run", load_checkpoint(tmp_path / "run"))
    assert sorted(decoded) == ["testA"] * 2 + ["testB"] * 3  # to draw them as samples


def test_the_check_can_be_interrupted():
    read = []

    def slow(file):
        if file == 3:
            raise KeyboardInterrupt
        time.sleep(0.001)
        read.append(file)

    with pytest.raises(KeyboardInterrupt):
        read_all(range(100_000), slow, {}, "checking")
    assert len(read) < 50_000  # it does not wait for all of them


def test_sample_rows_show_pairs(tmp_path):
    """The true counterpart stands below its image, also where one of either domain is bad."""
    for folder, suffixes in (("testA", ("png", "png", "png")), ("testB", ("png", "bmp", "tif"))):
        (tmp_path / folder).mkdir()
        for i, suffix in enumerate(suffixes):
            Image.new("L", (8, 8), 50 * i).save(tmp_path / folder / f"{i}.{suffix}")
    pairs, (real_A, real_B) = samples(tmp_path, 8, 3, {tmp_path / "testA" / "0.png": "is empty"})
    assert pairs.names == ["1", "2"] and torch.equal(real_A, real_B)
