import pytest
import torch

from minicyclegan.lab.hiding import add_noise, blur, hiding, quantise, survival


def test_damage():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    assert set(quantise(images, 1).unique().tolist()) == {-1, 1}
    assert len(quantise(images, 3).unique()) == 8
    assert (quantise(images, 8) - images).abs().max() <= 1 / 255 + 1e-6
    assert torch.equal(blur(images, 0), images)
    flat = torch.full((1, 1, 16, 16), 0.3)
    assert torch.allclose(blur(flat, 3), flat)
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    at = torch.arange(31.0) - 15
    spread = blur(point, 2.0)[0, 0]
    assert spread.sum() == pytest.approx(1, abs=1e-3)
    assert (spread.sum(0) * at**2).sum() == pytest.approx(4, rel=0.05)  # sigma²
    noise = add_noise(torch.zeros(4, 3, 64, 64), 8)
    assert 127.5 * noise.std().item() == pytest.approx(8, rel=0.02)
    assert torch.equal(noise, add_noise(torch.zeros(4, 3, 64, 64), 8))


class Hide(torch.nn.Module):
    """To B: all black but for a faint trace of the image, a hundredth."""

    def forward(self, image):
        return image / 100 - 0.9


class Find(torch.nn.Module):
    def forward(self, image):
        return (image + 0.9) * 100


def test_a_faint_code_is_found_out():
    torch.manual_seed(0)
    real_A, real_B = torch.rand(4, 3, 16, 16) * 2 - 1, torch.full((4, 3, 16, 16), -0.9)
    rows = hiding(Hide(), Find(), real_A, real_B)
    at = {(r["damage"], r["strength"]): r for r in rows if r["cycle"] == "A → B → A"}
    assert at["noise", 0]["fake"] == pytest.approx(0, abs=1e-2)
    assert at["noise", 0]["truth"] == pytest.approx(127.5 / 2, rel=0.1)  # nothing to find there
    assert at["quantise", 8]["fake"] > 20 and at["noise", 8]["fake"] > 60
    assert at["blur", 2]["fake"] > 50
    a_line, b_line = survival(rows).splitlines()
    assert a_line.startswith("A → B → A: error 0.0 by way of the fake, 6")
