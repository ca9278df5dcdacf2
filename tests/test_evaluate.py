import math
import re

import pytest
import torch
from conftest import TOY_SET
from minicyclegan.checkpoint import shipped_model
from minicyclegan.evaluate import evaluate, mean_absolute_error, psnr, ssim, symptom, table

from minicyclegan import PairedImages, load_generator


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


def test_evaluate():
    """A is white, B is black; the fakes are B exactly and half-way to A."""
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    pairs = [(name, torch.ones(3, 16, 16), -torch.ones(3, 16, 16), mask) for name in "xyz"]
    scores, examples = evaluate(Constant(-1.0), Constant(0.0), pairs)
    assert scores["images"] == 3
    assert scores["A_to_B"]["mae"] == 0 and scores["A_to_B"]["mae_nothing"] == 255
    assert scores["A_to_B"]["psnr"] == 100 and scores["A_to_B"]["ssim"] == pytest.approx(1)
    assert scores["B_to_A"]["mae"] == pytest.approx(127.5)
    assert scores["B_to_A"]["psnr"] == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert scores["B_to_A"]["mae_animal"] == scores["B_to_A"]["mae_background"] == 127.5
    assert [row[1] for row in examples["A_to_B"]] == ["x", "y", "z"]
    lines = table(scores).splitlines()
    assert "3 test images" in lines[0]
    assert lines[1].split()[-4:] == ["0.0", "255.0", "127.5", "255.0"]


def test_examples_go_from_best_to_worst():
    pairs = [(str(v), torch.full((3, 16, 16), v), torch.zeros(3, 16, 16), None)
             for v in (0.5, -0.1, 0.9)]
    scores, examples = evaluate(torch.nn.Identity(), torch.nn.Identity(), pairs)
    assert [row[1] for row in examples["A_to_B"]] == ["-0.1", "0.5", "0.9"]
    assert "mae_animal" not in scores["A_to_B"]


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
    file, root = shipped_model("toy"), TOY_SET.parent
    assert file == root / "models" / "toy.pt" and file.stat().st_size < 3e6
    content = torch.load(file, weights_only=True)
    assert content.keys() == {"format", "config", "step", "networks"}
    assert content["networks"].keys() == {"G_AB", "G_BA"}
    claims = re.search(r"error of ([\d.]+) from A to B and ([\d.]+) from B to A",
                       (root / "README.md").read_text())
    pairs = [pair[1:3] for pair in PairedImages(TOY_SET, content["config"]["size"])]
    assert len(pairs) == 60
    for to, claim in zip("BA", claims.groups(), strict=True):
        generator, _ = load_generator(file, to)
        real, truth = (torch.stack(images) for images in zip(*pairs, strict=True))
        if to == "A":
            real, truth = truth, real
        error = mean_absolute_error(generator(real).flatten(1), truth.flatten(1))
        assert error == pytest.approx(float(claim), abs=0.2)
