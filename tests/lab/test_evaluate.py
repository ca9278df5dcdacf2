import math
import re

import pytest
import torch
from conftest import TINY, TOY_SET
from PIL import Image

from minicyclegan import InputError, PairedImages, load_generator, make_model
from minicyclegan.config import Config
from minicyclegan.engine.checkpoint import save_checkpoint
from minicyclegan.engine.pretrained import shipped_models
from minicyclegan.lab.evaluate import (
    evaluate,
    found,
    kept_table,
    lazy_answers,
    load_both,
    mean_absolute_error,
    psnr,
    scores_of,
    ssim,
    symptom,
    table,
)


def test_mean_absolute_error():
    image, truth = torch.full((3, 4, 4), 1.0), torch.full((3, 4, 4), -1.0)
    assert mean_absolute_error(image, truth) == 255
    mask = torch.zeros(1, 4, 4)
    mask[0, 0] = 1
    image[:, 1:] = -1
    assert mean_absolute_error(image, truth) == pytest.approx(255 / 4)
    assert mean_absolute_error(image, truth, mask) == 255
    assert mean_absolute_error(image, truth, 1 - mask) == 0


def test_psnr():
    image = torch.zeros(3, 4, 4)
    assert psnr(image + 0.2, image) == pytest.approx(20)  # a tenth of the range, everywhere
    assert psnr(image, image) == 100


def test_ssim_of_simple_images():
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ssim(image, image) == pytest.approx(1, abs=1e-6)
    assert ssim(image, -image) < 0
    # Two flat images: only the first factor is left, (2ab + C1) / (a² + b² + C1).
    a, b, c1 = 0.25, 0.75, 1e-4
    flat = (torch.full((1, 20, 20), 2 * x - 1) for x in (a, b))
    assert ssim(*flat) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-4)


def test_ssim_against_scikit_image():
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    image = torch.stack([torch.sin(x / 3), torch.cos(y / 4), torch.sin((x + y) / 5)])
    truth = torch.stack([torch.sin(x / 3 + 0.4), torch.cos(y / 5), 0.5 * torch.sin((x + y) / 5)])
    # skimage.metrics.structural_similarity of (image + 1) / 2 and (truth + 1) / 2 in float64, with
    # channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    # data_range=1, in scikit-image 0.26.0
    assert ssim(image, truth) == pytest.approx(0.630723, abs=1e-5)


class Constant(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, image):
        return torch.full_like(image, self.value)


def test_found():
    """Fakes that are nearer to their own truth than to any other; of large images at a glance."""
    truths = torch.rand(6, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    fakes = truths + 0.1
    assert found(fakes, truths) == 6
    fakes[:2] = truths[[1, 0]]
    assert found(list(fakes), list(truths)) == 4
    assert found(truths[:1].expand_as(truths), truths) == 1  # always the same answer


def test_scores_of():
    truths, masks = torch.zeros(2, 3, 16, 16), torch.zeros(2, 1, 16, 16)
    masks[:, :, :4] = 1
    fakes = truths.clone()
    fakes[1, :, :4] = 0.2
    scores = scores_of(fakes, truths, masks)
    assert list(scores) == ["mae", "mae_animal", "mae_background", "psnr", "ssim", "found"]
    assert scores["mae"] == pytest.approx(25.5 / 4 / 2)
    assert scores["mae_animal"] == pytest.approx(25.5 / 2) and scores["mae_background"] == 0
    assert "mae_animal" not in scores_of(fakes, truths)


def save(tensor, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = ((tensor + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file)


def test_lazy_answers(tmp_path):
    """Two training images of B: the average is between them, and matched colours are theirs."""
    rng = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 16, 16, generator=rng) * 0.4 + shift for shift in (-0.8, 0.2)]
    for i, image in enumerate(images):
        save(image, tmp_path / "trainB" / f"{i}.png")
    (tmp_path / "trainB" / "damaged.png").write_text("x")
    real = torch.rand(3, 16, 16, generator=rng)
    answers = lazy_answers([real], tmp_path, "B")
    assert answers["nothing"][0] is real
    assert torch.allclose(answers["average"][0], sum(images) / 2, atol=0.01)
    matched = answers["colours"][0]
    assert matched.mean() == pytest.approx(-0.1, abs=0.02)
    assert matched.std() == pytest.approx(images[0].std().item(), abs=0.02)
    assert torch.corrcoef(torch.stack([matched[0].flatten(), real[0].flatten()]))[0, 1] > 0.99
    assert list(lazy_answers([real], tmp_path, "A")) == ["nothing"]
    assert list(lazy_answers([real], None, "A")) == ["nothing"]


def test_evaluate():
    """A is white, B is black; the fakes are B exactly and half-way to A."""
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    pairs = [(name, torch.ones(3, 16, 16), -torch.ones(3, 16, 16), mask) for name in "xyz"]
    scores, examples = evaluate(Constant(-1.0), Constant(0.0), pairs)
    assert scores["images"] == 3
    ours, nothing = scores["A_to_B"]["ours"], scores["A_to_B"]["nothing"]
    assert ours["mae"] == 0 and nothing["mae"] == 255
    assert ours["psnr"] == 100 and ours["ssim"] == pytest.approx(1)
    back = scores["B_to_A"]["ours"]
    assert back["mae"] == back["mae_animal"] == back["mae_background"] == pytest.approx(127.5)
    assert back["psnr"] == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert [row[1] for row in examples["A_to_B"]] == ["x", "y", "z"]


def test_table():
    """80 columns; a * only where ours beats every lazy answer."""
    ours = {"mae": 20.7, "mae_animal": 69.4, "mae_background": 11.8, "psnr": 16.4, "ssim": 0.55,
            "found": 42}
    lazy = {"mae": 21.9, "mae_animal": 68.4, "mae_background": 13.2, "psnr": 17.0, "ssim": 0.42,
            "found": 42}
    way = {"ours": ours, "nothing": lazy, "average": lazy | {"mae": 30}, "colours": lazy}
    lines = table({"images": 60, "A_to_B": way, "B_to_A": way}).splitlines()
    assert max(map(len, lines)) <= 80 and lines[0].startswith("60 test images")
    assert lines[2].split() == ["ours", "20.7*", "69.4", "11.8*", "16.4", "0.550*", "42"]
    assert len(lines) == 1 + 2 * 5 + 1
    for answer in ("average", "colours"):
        del way[answer]
    assert table({"images": 60, "A_to_B": way, "B_to_A": way}).endswith("answer (the input).")


def test_which_of_the_kept_is_best():
    def scores(a, b):
        return {way: {"ours": {"mae": mae, "ssim": 0.5, "found": 7}} for way, mae in
                (("A_to_B", a), ("B_to_A", b))}
    best, text = kept_table({100: scores(20.0, 9.0), 200: scores(19.0, 9.5), 300: scores(19, 11)})
    assert best == 200 and text.splitlines()[2].endswith("best") and "A → B error" in text
    fid = {step: {way: {"fid": value} for way in ("A_to_B", "B_to_A")}
           for step, value in ((1, 30.0), (2, 50.0))}
    best, text = kept_table(fid)
    assert best == 1 and text.split()[-2:] == ["50.00", "50.00"] and "A → B FID" in text


class Own(torch.nn.Module):
    """A generator of one's own, which knows how to make B brighter."""

    def __init__(self):
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, image):
        return image + self.by


def test_generators_of_ones_own(tmp_path):
    def make_own(config, precision="fp32"):
        model = make_model(config, precision)
        model.G_AB, model.G_BA = Own(), Own()
        return model

    config = TINY | dict(generator="resnet")
    networks = {name: Own().state_dict() for name in ("G_AB", "G_BA")}
    save_checkpoint(tmp_path / "own.pt", {"config": config, "step": 0, "networks": networks})
    G_AB, _, found = load_both(tmp_path / "own.pt", make_model=make_own)
    assert isinstance(G_AB, Own) and found == Config(**config)
    with pytest.raises(InputError, match="make_model that it was trained with"):
        load_both(tmp_path / "own.pt")


def test_one_direction_is_not_enough(tmp_path):
    from minicyclegan import Generator
    network = Generator(2, 1)
    names = ([f"model.{i}" for i in (1, 4, 7)] + [f"model.10.conv_block.{i}" for i in (1, 5)]
             + [f"model.{i}" for i in (11, 14, 18)])
    convolutions = [m for m in network.modules() if hasattr(m, "kernel_size")]
    state = {f"{name}.weight": m.weight for name, m in zip(names, convolutions, strict=True)}
    state |= {f"{name}.bias": m.bias for name, m in zip(names, convolutions, strict=True)
              if m.bias is not None}
    torch.save(state, tmp_path / "latest_net_G_A.pth")
    with pytest.raises(InputError, match="one direction alone"):
        load_both(tmp_path / "latest_net_G_A.pth")


def test_examples_go_from_best_to_worst():
    pairs = [(str(v), torch.full((3, 16, 16), v), torch.zeros(3, 16, 16), None)
             for v in (0.5, -0.1, 0.9)]
    scores, examples = evaluate(torch.nn.Identity(), torch.nn.Identity(), pairs)
    assert [row[1] for row in examples["A_to_B"]] == ["-0.1", "0.5", "0.9"]
    assert "mae_animal" not in scores["A_to_B"]["ours"]


def test_symptoms():
    """What people report as inversion, collapse and black images is told; good fakes are not."""
    pairs = PairedImages(TOY_SET, 64)
    real_A, real_B = (torch.stack([pairs[i][k] for i in range(8)]) for k in (1, 2))
    noise = 0.01 * torch.randn_like(real_A)
    for fake, words in ((-real_B, "light and dark have changed places"),
                        (noise - 1, "are black"), (noise + 0.3, "are of one flat colour"),
                        (real_B[:1] + noise, "look the same")):
        warning = symptom(real_A, fake.expand_as(real_A))
        assert words in warning and "start again with" in warning
    for fake in (real_A, real_B, 0.5 * real_B + 20 * noise):
        assert symptom(real_A, fake) is None
    assert symptom(noise, real_B) is None  # and where there is nothing to compare with


@torch.no_grad()
def test_the_model_that_ships():
    """It is what data/README.md says: small, the generators alone, and as good as it claims."""
    file, root = shipped_models()["toy"], TOY_SET.parent
    assert file == root / "models" / "toy.pt" and file.stat().st_size < 3e6
    content = torch.load(file, weights_only=True)
    assert content.keys() == {"format", "config", "step", "networks"}
    assert content["networks"].keys() == {"G_AB", "G_BA"}
    claims = re.search(r"error of ([\d.]+) from A to B and ([\d.]+) from B to A",
                       " ".join((root / "README.md").read_text().split()))
    pairs = [pair[1:3] for pair in PairedImages(TOY_SET, content["config"]["size"])]
    assert len(pairs) == 60
    for to, claim in zip("BA", claims.groups(), strict=True):
        generator, _ = load_generator(file, to)
        real, truth = (torch.stack(images) for images in zip(*pairs, strict=True))
        if to == "A":
            real, truth = truth, real
        error = mean_absolute_error(generator(real).flatten(1), truth.flatten(1))
        assert error == pytest.approx(float(claim), abs=0.2)
