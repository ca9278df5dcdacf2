"""KID and FID. The weights of Inception are not here, so the features are the colours of images:
with torch-fidelity's own mathematics where it is installed, else with a plain stand-in."""

import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from minicyclegan import InputError
from minicyclegan.lab import fid


class Inverted(torch.nn.Module):
    def __init__(self, sign=-1.0):
        super().__init__()
        self.sign = torch.nn.Parameter(torch.tensor(sign))

    def forward(self, x):
        return self.sign * x


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Dark images A, bright images B, each of one colour: inverted, A is like B."""
    root, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    for name, count, low in (("testA", 60, 0), ("testB", 64, 155), ("trainA", 90, 0),
                             ("trainB", 90, 155)):
        (root / name).mkdir()
        for i, colour in enumerate(rng.integers(low, low + 101, (count, 3))):
            Image.new("RGB", (24, 20), tuple(map(int, colour))).save(root / name / f"{i}.png")
    return root


def colours(folder):
    images = [Image.open(file) for file in sorted(Path(folder).iterdir())]
    assert {image.size for image in images} == {(16, 16)}
    return np.stack([np.asarray(image.convert("RGB"))[0, 0] / 255 for image in images])


def plain(input1, input2, kid_subset_size, **settings):
    """Stands for torch_fidelity.calculate_metrics: the distance of the means."""
    one, other = colours(input1), colours(input2)
    assert 2 <= kid_subset_size <= min(len(one), len(other)) and not settings["cuda"]
    distance = float(np.square(one.mean(0) - other.mean(0)).sum())
    return {"kernel_inception_distance_mean": distance, "kernel_inception_distance_std": 0.0,
            "frechet_inception_distance": distance}


def stand_in(monkeypatch, calculate_metrics):
    library = ModuleType("torch_fidelity")
    library.calculate_metrics = calculate_metrics
    monkeypatch.setitem(sys.modules, "torch_fidelity", library)
    monkeypatch.setattr(fid, "version", lambda name: "0.0")


def own_mathematics(monkeypatch):
    try:
        import torch_fidelity
        from torch_fidelity import registry
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision for another torch
        pytest.skip(f"torch-fidelity does not work here: {error}")

    class Colours(torch_fidelity.FeatureExtractorBase):
        def __init__(self, name, features_list, **settings):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return ("mean",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "mean"

        def forward(self, images):
            assert images.dtype == torch.uint8 and images.shape[1:] == (3, 16, 16)
            return (images.double().mean((2, 3)) / 255,)

    monkeypatch.setitem(registry.FEATURE_EXTRACTORS_REGISTRY, "colours", Colours)
    monkeypatch.setattr(torch_fidelity, "calculate_metrics", partial(
        torch_fidelity.calculate_metrics, feature_extractor="colours"))


@pytest.mark.parametrize("library", ["plain", "torch-fidelity"])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways(library, channels, data, monkeypatch):
    """A generator that is right scores near 0, as real images do; one that does nothing scores as
    "nothing" does."""
    stand_in(monkeypatch, plain) if library == "plain" else own_mathematics(monkeypatch)
    scores = fid.fid_scores(Inverted(), Inverted(1.0), data, "test", 16, channels, "cpu",
                            "runs/x, step 7")
    right, wrong = scores["A_to_B"], scores["B_to_A"]
    for key in ("kid", "fid"):
        assert abs(right[key]) < 0.05 * right[f"{key}_nothing"]
        assert abs(right[f"{key}_real"]) < 0.05 * right[f"{key}_nothing"]
        assert wrong[key] == pytest.approx(wrong[f"{key}_nothing"], rel=0.1)
    text = fid.fid_table(scores)
    for shown in (f"{1000 * right['kid']:10.1f}", f"{wrong['fid_real']:10.1f}", "runs/x, step 7",
                  "60 of testA, 64 of testB", "60 of trainB against 64 of testB", "16×16",
                  "299×299", "torch-fidelity 0.", "Inception v3"):
        assert shown in text, shown


def test_identical_sets(data, monkeypatch, tmp_path):
    own_mathematics(monkeypatch)
    for name, source in (("testA", "testA"), ("testB", "testA"), ("trainA", "testA")):
        (tmp_path / name).symlink_to(data / source)
    (tmp_path / "trainB").symlink_to(data / "trainB")
    scores = fid.fid_scores(Inverted(1.0), Inverted(1.0), tmp_path, "test", 16, 3, "cpu", "x")
    for way in ("A_to_B", "B_to_A"):
        assert scores[way]["fid"] == pytest.approx(0, abs=1e-6)
        assert scores[way]["fid_nothing"] == pytest.approx(0, abs=1e-6)
        assert abs(scores[way]["kid"]) < 2 * scores[way]["kid_sd"]  # of random subsets
    # training images of B are not like "testB": their means are 155 / 255 apart in each channel
    assert scores["A_to_B"]["fid_real"] == pytest.approx(3 * (155 / 255) ** 2, rel=0.1)


def test_one_split_alone(data, monkeypatch, tmp_path):
    stand_in(monkeypatch, plain)
    for d in "AB":
        (tmp_path / f"train{d}").symlink_to(data / f"train{d}")
    scores = fid.fid_scores(Inverted(), Inverted(), tmp_path, "train", 16, 3, "cpu", "x")
    assert scores["protocol"]["real A"] == "one half of trainA against the other half"
    assert scores["A_to_B"]["fid_real"] < 0.05 * scores["A_to_B"]["fid_nothing"]


def test_too_few_images(data, monkeypatch, tmp_path):
    stand_in(monkeypatch, plain)
    (tmp_path / "testA").symlink_to(data / "testA")
    (tmp_path / "testB").mkdir()
    for i in range(49):
        (tmp_path / f"testB/{i}.png").symlink_to(data / f"testB/{i}.png")
    with pytest.raises(InputError, match="testB holds 49 images, and --fid needs at least 50"):
        fid.fid_scores(None, None, tmp_path, "test", 16, 3, "cpu", "x")


@pytest.mark.parametrize("problem, message", [
    (ImportError("No module named 'torch_fidelity'"), r'pip install "minicyclegan\[fid\]"'),
    (RuntimeError("operator torchvision::nms does not exist"), "this torch.*nms.*pytorch.org")])
def test_the_extra_is_missing(problem, message, data, monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name, *_):
            if name == "torch_fidelity":
                raise problem

    monkeypatch.delitem(sys.modules, "torch_fidelity", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(InputError, match=message):
        fid.fid_scores(None, None, data, "test", 16, 3, "cpu", "x")


@pytest.mark.parametrize("problem", [
    URLError("no route to host"), RuntimeError("PytorchStreamReader failed reading zip archive")])
def test_no_weights_of_inception(problem, data, monkeypatch):
    def calculate_metrics(**settings):
        raise problem

    stand_in(monkeypatch, calculate_metrics)
    with pytest.raises(InputError, match=f"--fid downloads the weights.*{problem}.*try again with "
                                         "a connection.*checkpoints/weights-inception"):
        fid.fid_scores(None, None, data, "test", 16, 3, "cpu", "x")
