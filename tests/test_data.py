"""Drawing A and B, and looking at every image before anything is trained."""

import csv
import os
import shutil
import zlib

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image

from minicyclegan import InputError, PairedImages, UnpairedImages
from minicyclegan.config import Config
from minicyclegan.data import read_tests
from minicyclegan.engine.checkpoint import load_checkpoint
from minicyclegan.train import resume, train

ramp = np.linspace(0, 255, 12 * 10).round().astype(np.uint8).reshape(12, 10)


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
    with pytest.raises(InputError, match="zoom must be at least 1, not 0.5"):
        UnpairedImages(photos, size=20, zoom=0.5)
    for wrong, message in (({"zoom": float("nan")}, "zoom must be at least 1, not nan"),
                           ({"size": 0}, "at least 1 pixel, not 0"),
                           ({"channels": 4}, "channels must be 1 or 3, not 4")):
        with pytest.raises(InputError, match=message):
            UnpairedImages(photos, **{"size": 20} | wrong)
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
    steps = [0, 1, 2, 3, 10]  # of 7 images two batches of 3 make an epoch
    made = list(data.batches(steps, 3, workers=3))
    assert len(made) == len(steps)
    for step, batch in zip(steps, made, strict=True):
        whole.set_epoch(step // 2)
        for i, *pair in zip(range(step % 2 * 3, 7), *batch, strict=False):
            assert all(torch.equal(a, b) for a, b in zip(whole[i], pair, strict=True))


def test_processes_share_a_batch(photos):
    data = UnpairedImages(photos, size=16)
    for step, (real_A, real_B) in enumerate(data.batches(range(3), 4)):
        parts = [list(data.batches([step], 4, part=part, parts=2))[0] for part in (0, 1)]
        assert torch.equal(real_A, torch.cat([a for a, _ in parts]))
        assert torch.equal(real_B, torch.cat([b for _, b in parts]))


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
    whole_png = bytearray(whole)
    whole_png[16:24] = (60000).to_bytes(4, "big") * 2  # says that it is enormous
    whole_png[29:33] = zlib.crc32(whole_png[12:29]).to_bytes(4, "big")
    (B / "bomb.png").write_bytes(whole_png)
    (B / "text\nfile.bmp").write_text("hello")
    (tmp_path / "testA" / "plain.png").write_bytes(whole[:60])
    return tmp_path, {
        A / "empty.jpg": "is empty", A / "cut.png": "", A / "folder.jpg": "is a folder",
        A / "link.jpg": "links to nothing", B / "to_folder.png": "is a folder",
        B / "pipe.png": "is no plain file", B / "bomb.png": "more than 89 million pixels",
        B / "text\nfile.bmp": "no image of the kinds", tmp_path / "testA" / "plain.png": ""}


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
    assert train(config(root, skip_bad=True, steps=9), tmp_path / "run", stop_after=2) == 0
    out = capsys.readouterr().out
    skipped = tmp_path / "run" / "skipped.csv"
    assert "9 that cannot be read left out, see skipped.csv" in out
    assert "5 pairs to test" in out  # a pair with a bad half is left out
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
    assert train(config(root, steps=9), tmp_path / "clean", stop_after=2) == 0
    assert not (tmp_path / "clean" / "skipped.csv").exists()
    one, other = (load_checkpoint(tmp_path / name)["networks"] for name in ("run", "clean"))
    assert all(torch.equal(one[n][k], other[n][k]) for n in one for k in one[n])


def test_a_resumed_run_wants_the_same_images(photos, tmp_path, monkeypatch):
    root, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(photos, root)
    (root / "trainB" / "bad.png").touch()
    assert train(config(root, skip_bad=True, steps=9), run, stop_after=1) == 0
    assert resume(run, stop_after=1) == 0  # the bad one is still left out
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


def test_sample_rows_show_pairs(tmp_path):
    """The true counterpart stands below its image, also where one of either domain is bad."""
    for folder, suffixes in (("testA", ("png", "png", "png")), ("testB", ("png", "bmp", "tif"))):
        (tmp_path / folder).mkdir()
        for i, suffix in enumerate(suffixes):
            Image.new("L", (8, 8), 50 * i).save(tmp_path / folder / f"{i}.{suffix}")
    bad = {tmp_path / "testA" / "0.png": "is empty"}
    pairs, (real_A, real_B) = read_tests(tmp_path, 8, 3, bad=bad)
    assert pairs.names == ["1", "2"] and torch.equal(real_A, real_B)
    assert read_tests(tmp_path, 8, 3, named=False)[0] is None  # numbered, and no pairs at all


def test_a_run_says_what_it_uses_and_what_it_leaves_alone(photos, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(photos, root)
    (root / "trainA" / "more").mkdir()
    (root / "trainB" / "notes.txt").write_text("hello")
    shutil.copy(root / "trainA" / "A0.png", root / "trainA" / "A9.jfif")
    assert train(config(root), tmp_path / "run", stop_after=1) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(f"{root}: 6 images of A; 7 images of B; ")
    assert "2 others left alone (.txt, folder)" in line


def test_test_images_of_one_domain_are_not_left_alone_in_silence(photos, tmp_path, capsys):
    shutil.copytree(photos, tmp_path / "data")
    unused = "not used without both testA and testB; add the other"
    assert train(config(tmp_path / "data"), tmp_path / "both", stop_after=1) == 0
    assert unused not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "data" / "testA")
    assert train(config(tmp_path / "data"), tmp_path / "one", stop_after=1) == 0
    assert f"{tmp_path / 'data' / 'testB'}: {unused}." in capsys.readouterr().out


def test_numbered_images_are_no_pairs_where_somebody_says_so(photos, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(photos, root)
    for domain in "AB":
        for i, file in enumerate(sorted((root / f"test{domain}").iterdir())[:2]):
            file.rename(file.with_name(f"{i}.png"))
    (root / "testB" / "B2.png").unlink()
    for pairs in (True, False):
        assert train(config(root, pairs=pairs), tmp_path / str(pairs)) == 0
        out = capsys.readouterr().out
        assert ("2 pairs to test, by name (--no-pairs if they are none)" in out) == pairs
        assert (tmp_path / str(pairs) / "scores.json").exists() == pairs
