import numpy as np
import pytest
import torch
from PIL import Image

from minicyclegan import InputError, PairedImages, UnpairedImages, read_image, to_image, to_tensor
from minicyclegan.data import list_images, resize


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
