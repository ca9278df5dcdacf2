"""KID and FID without pairs. What needs the extras is slow; the sentences that say what is missing
are not."""

import json
import os
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from minicyclegan.kid import (
    LEAST,
    NEEDS,
    evaluate_unpaired,
    feature_network,
    features,
    fid,
    kid,
    table,
)
from PIL import Image

from minicyclegan import InputError
from minicyclegan.__main__ import main
from minicyclegan.data import list_images

ROOT = Path(__file__).parent.parent
# two folders of photographs, trainA and trainB: horses and zebras
PHOTOS = Path(os.environ.get("MINICYCLEGAN_PHOTOS", ROOT.parent / "shared/photos/horse2zebra"))


@pytest.fixture
def torchmetrics():
    return pytest.importorskip("torchmetrics", reason=f"pip install {NEEDS['efficientnet']}")


@pytest.fixture(scope="module")
def network():
    for module in NEEDS["efficientnet"].split():
        pytest.importorskip(module, reason=f"pip install {NEEDS['efficientnet']}")
    return feature_network("efficientnet")


@pytest.mark.parametrize("name, missing", [
    ("inception", "torchmetrics"), ("efficientnet", "torchmetrics"),
    ("efficientnet", "efficientnet_lite_pytorch")])
def test_a_missing_extra(name, missing, monkeypatch):
    if missing != "torchmetrics":
        pytest.importorskip("torchmetrics")
    for module in [m for m in sys.modules if m.split(".")[0] == missing] + [missing]:
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(InputError, match=f"--kid {name} needs packages.*{missing}.*"
                                         f"pip install {NEEDS[name]}"):
        feature_network(name)


class Module:
    """Stands for torchmetrics.image.fid with an Inception that cannot be had."""

    def __init__(self, error):
        self.error = error

    def NoTrainInceptionV3(self, *_):
        raise self.error


@pytest.mark.parametrize("error, message", [
    (URLError("no route to host"), r"downloads the weights.*no route to host.*--kid efficientnet"),
    (RuntimeError("operator torchvision::nms does not exist"), "nms does not exist.*pytorch.org")])
def test_no_weights_of_inception(error, message, monkeypatch):
    fake = type(sys)("torchmetrics")
    fake.image = type(sys)("torchmetrics.image")
    fake.image.fid = Module(error)
    for name, module in {"torchmetrics": fake, "torchmetrics.image": fake.image,
                         "torchmetrics.image.fid": fake.image.fid,
                         "torch_fidelity": type(sys)("torch_fidelity")}.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(InputError, match=message):
        feature_network("inception")


@pytest.mark.slow
def test_kid_and_fid_of_known_distributions(torchmetrics):
    torch.manual_seed(0)
    one, other = torch.randn(3000, 4), torch.randn(3000, 4)
    # Gaussians: FID is |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½)
    assert fid(one, other) == pytest.approx(0, abs=0.02)
    assert fid(one, other + 1) == pytest.approx(4, rel=0.05)
    assert fid(one, 3 * other) == pytest.approx(4 * (1 + 9 - 2 * 3), rel=0.05)
    # KID by its definition: unbiased MMD² with the kernel (x·y / 4 + 1)³, on all images at once
    few, more = one[:60], other[:60] + 0.5

    def kernel(x, y):
        return (x @ y.T / 4 + 1) ** 3

    n, off = 60, ~torch.eye(60, dtype=bool)
    expected = (kernel(few, few)[off].sum() + kernel(more, more)[off].sum()) / (n * (n - 1)) \
        - 2 * kernel(few, more).mean()
    mean, sd = kid(few, more, n)
    assert mean == pytest.approx(expected.item(), rel=1e-4) and sd == pytest.approx(0, abs=1e-4)
    state = torch.get_rng_state()
    assert kid(one, other + 1, 100) == kid(one, other + 1, 100)  # the subsets are the same
    assert torch.equal(torch.get_rng_state(), state)
    mean, sd = kid(one, other, 500)
    assert abs(mean) < 3 * sd


@pytest.mark.slow
def test_photographs(network):
    """A against itself in halves is near 0, A against B far off; zebras are seen as zebras."""
    if not PHOTOS.is_dir():
        pytest.skip("no photographs; name a folder with trainA and trainB in MINICYCLEGAN_PHOTOS")
    files = {d: list_images(PHOTOS / f"train{d}")[:100] for d in "AB"}
    (horses,), (zebras,) = (features(network, f, 224, 3) for f in files.values())
    assert horses.shape == (100, 1280)
    apart, _ = kid(horses, zebras, 50)
    for same in (horses, zebras):
        mean, _ = kid(same[::2], same[1::2], 50)
        assert abs(mean) < apart / 20
    assert apart > 0.1
    assert (network.classes(zebras) == 340).float().mean() > 0.9
    assert (network.classes(horses) == 340).float().mean() < 0.05
    assert (network.classes(horses) == 339).float().mean() > 0.2


@pytest.mark.slow
def test_what_the_network_sees(network):
    """Small colour images reach it at 224×224 as (rgb - 127) / 128, resized as PIL does."""
    seen = []
    hook = network.network._conv_stem.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with torch.no_grad():
        network(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    hook.remove()
    found = seen[0][0].numpy() * 128 + 127
    for channel, x in zip(found, pixels.transpose(2, 0, 1), strict=True):
        image = Image.fromarray(x.astype(np.float32))  # or PIL rounds twice
        image = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))
        assert np.abs(channel - image.round().clip(0, 255)).max() <= 1.01


class Inverted(torch.nn.Module):
    def forward(self, image):
        return -image


class Brightness(torch.nn.Module):
    """Stands for Inception: mean and spread of each channel, and a constant fourth of nothing."""

    def forward(self, images):
        assert images.dtype == torch.uint8 and images.shape[1:] == (3, 16, 16)
        pixels = images.float() / 255
        return torch.cat([pixels.mean((2, 3)), pixels.std((2, 3))], 1)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Dark images A, bright images B, no two alike: inverted, A is B."""
    root, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    for split, low in (("testA", 0), ("testB", 155)):
        (root / split).mkdir()
        for i in range(LEAST + (split == "testB")):
            pixels = rng.integers(low, low + 101, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(root / split / f"{i}.png")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_the_whole_way(torchmetrics, sets, channels, monkeypatch):
    """A generator that is right scores near 0, one that does nothing as "nothing" does."""
    monkeypatch.setattr("minicyclegan.kid.feature_network", lambda name: Brightness())
    scores = evaluate_unpaired(Inverted(), torch.nn.Identity(), sets, "test", 16, channels,
                               "inception")
    for key in ("kid", "fid"):
        right, wrong = scores["A_to_B"], scores["B_to_A"]
        assert abs(right[key]) < 0.02 * right[f"{key}_nothing"]
        assert wrong[key] == pytest.approx(wrong[f"{key}_nothing"])
    text = table(scores)
    for shown in ("KID × 1000", "FID", "50 of testA, 51 of testB", "16×16", "100 of 25 images",
                  "torchmetrics", "compare it with no FID of another"):
        assert shown in text, shown
    assert "EfficientNet" not in text


def test_too_few_images(sets, tmp_path):
    (tmp_path / "testA").symlink_to(sets / "testB")
    (tmp_path / "testB").mkdir()
    for file in sorted((sets / "testA").iterdir())[1:]:
        (tmp_path / "testB" / file.name).symlink_to(file)
    with pytest.raises(InputError, match="testB holds 49 images, and --kid needs at least 50"):
        evaluate_unpaired(None, None, tmp_path, "test", 16, 3, "inception")


@pytest.mark.slow
def test_the_command(network, sets, tmp_path, monkeypatch, capsys):
    """The protocol is printed with the scores and stored in the JSON, and never as a FID."""
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", "--model", "toy", "--data", str(sets), "--kid", "efficientnet",
               "--classes", "339", "340", "--json", "scores.json"]
    assert main(command) == 0
    text, scores = capsys.readouterr().out, json.loads(Path("scores.json").read_text())
    assert "EfficientNet-Lite0 KID × 1000" in text and "FID" not in text
    assert "are taken for class 340" in text and "checkpoint: toy, step" in text
    for key, value in scores["protocol"].items():
        assert f"{key}: {value}" in text
    assert {"kid", "kid_sd", "kid_nothing", "share", "share_real", "class"} <= scores[
        "A_to_B"].keys() == scores["B_to_A"].keys()
    assert scores["A_to_B"]["class"] == 340 and scores["features"] == "EfficientNet-Lite0"
