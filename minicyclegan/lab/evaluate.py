"""Scores against the true counterparts, where they are known (the toy set, or your own pairs).

A score alone tells little: doing nothing at all has one too. So the answers of the lazy are scored
beside ours, and what has not beaten them has not learned much:

    nothing   the image left as it is
    average   the average image of the other domain's training set, whatever went in
    colours   the image with the brightness and contrast of each channel brought to that set's
"""

import contextlib
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from .. import cyclegan
from ..data import PairedImages, check_tests
from ..engine.checkpoint import write_json
from ..engine.errors import InputError, shown
from ..engine.images import bad_images, left_alone, list_images, read_square, say_remarks
from ..translate import load_networks
from . import plots

MEASURES = {  # name of a score: (head of its column, digits)
    "mae": ("error", 1), "mae_animal": ("animal", 1), "mae_background": ("background", 1),
    "psnr": ("PSNR", 1), "ssim": ("SSIM", 3), "found": ("found", 0)}
WAYS = {"A_to_B": "A → B", "B_to_A": "B → A"}
AVERAGED = 500  # training images, at most; more would change the averages little


def mean_absolute_error(image, truth, weight=None):
    """Mean |image - truth| in units of 0..255; tensors (C, H, W) in [-1, 1]. With a weight
    (1, H, W) in [0, 1] some pixels count more, the animal's for one."""
    error = 127.5 * (image - truth).abs()
    if weight is None:
        return error.mean().item()
    return ((error * weight).sum() / (weight.sum() * len(image)).clamp(min=1e-9)).item()


def psnr(image, truth):
    """Peak signal-to-noise ratio in dB, higher is better; tensors in [-1, 1]. Equal images give 100
    dB, not infinity, so that a mean over images stays a number."""
    error = F.mse_loss(image, truth).item()
    return -10 * torch.tensor(max(error / 4, 1e-10)).log10().item()  # the range is 2, 2² = 4


def ssim(image, truth):
    """Structural similarity (Wang et al. 2004), 1 is best; tensors (C, H, W) in [-1, 1].

    The paper's settings: Gaussian window 11×11, sigma 1.5, K1 0.01, K2 0.03, population
    variances, the mean over channels and over the places where the window fits.
    """
    x, y = (image.double() + 1) / 2, (truth.double() + 1) / 2  # differences of near equals
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (
        gaussian_means(z, min(11, *z.shape[1:]), 1.5) for z in (x, y, x * x, y * y, x * y))
    var_x, var_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)
            / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean().item()


def gaussian_means(images, size, sigma):
    """Means of images (N, H, W) under a Gaussian window of size × size pixels, at all places where
    it fits: (N, H - size + 1, W - size + 1)."""
    at = torch.arange(size, dtype=images.dtype) - (size - 1) / 2
    window = torch.exp(-at.square() / (2 * sigma**2)).view(1, 1, size, 1)
    window /= window.sum()
    return F.conv2d(F.conv2d(images[:, None], window), window.mT)[:, 0]  # down, then across


def found(fakes, truths):
    """How many fakes have their own true counterpart as the nearest of all truths, by the mean
    absolute difference; of large images at 64 × 64 pixels, or 32 × 32 where there are many: every
    fake is compared with every truth."""
    side = 64 if len(fakes) < 500 else 32
    fakes, truths = (torch.stack([F.adaptive_avg_pool2d(x, [min(side, n) for n in x.shape[1:]])
                                  for x in images]).flatten(1) for images in (fakes, truths))
    nearest = torch.cdist(fakes, truths, p=1).argmin(1)
    return (nearest == torch.arange(len(nearest))).sum().item()


def scores_of(fakes, truths, masks=None):
    """The scores of fakes against their true counterparts: a dict of means over the images.

    fakes, truths  as many tensors (C, H, W) in [-1, 1], or two of (N, C, H, W)
    masks          as many (1, H, W) in [0, 1], 1 on the animal; None: they are not known
    mae, and with masks mae_animal and mae_background: mean absolute error, 0 to 255; psnr; ssim;
    found: how many fakes are nearer to their own counterpart than to any other.
    """
    def mean(measure, *others):
        return sum(map(measure, fakes, truths, *others)) / len(fakes)

    scores = {"mae": mean(mean_absolute_error)}
    if masks is not None:
        scores["mae_animal"] = mean(mean_absolute_error, masks)
        scores["mae_background"] = mean(mean_absolute_error, [1 - mask for mask in masks])
    return scores | {"psnr": mean(psnr), "ssim": mean(ssim), "found": found(fakes, truths)}


def lazy_answers(reals, root, domain):
    """What the lazy answer to real images: {"nothing": images, "average": ..., "colours": ...}.

    root  the data set; without its training images of `domain` only "nothing" is known
    """
    answers, folder = {"nothing": reals}, root and Path(root) / f"train{domain}"
    if not folder or not folder.is_dir():
        return answers
    files, count, sums = list_images(folder), 0, [0, 0, 0]
    for file in tqdm(files[::-(-len(files) // AVERAGED)], f"average of {domain}", leave=False,
                     delay=2):
        with contextlib.suppress(InputError):  # the run left it out too
            image = read_square(file, reals[0].shape[-1], len(reals[0]))
            sums = [a + b for a, b in zip(sums, (image, *colours(image)), strict=True)]
            count += 1
    if not count:
        return answers
    average, mean, sd = (x / count for x in sums)
    matched = [((x - own_mean) / own_sd.clamp(min=1e-3) * sd + mean).clamp(-1, 1)
               for x in reals for own_mean, own_sd in [colours(x)]]
    return answers | {"average": [average] * len(reals), "colours": matched}


def colours(image):
    """Mean and standard deviation of every channel, two tensors (C, 1, 1)."""
    return image.mean((1, 2), keepdim=True), image.std((1, 2), keepdim=True)


def symptom(real, fake):
    """What looks wrong with fakes, and what helps: one sentence for people, or None. Tensors
    (N, C, H, W) in [-1, 1]: what went into a generator, what came out."""
    spread = fake.std(dim=(1, 2, 3))
    if (spread < 0.05).float().mean() > 0.5:  # of a range of 2
        colour = "black" if fake.mean() < -0.9 else "of one flat colour"
        return (f"most fakes are {colour}; if it stays so, start again with another --seed or a "
                "smaller --lr.")
    if len(real) > 1 and fake.std(dim=0).mean() < 0.1 * real.std(dim=0).mean():
        return ("all fakes look the same, whatever went in; if it stays so, start again with "
                "another --seed or more --lambda-cycle-A and --lambda-cycle-B.")
    pairs = zip(real.mean(1).flatten(1), fake.mean(1).flatten(1), strict=True)
    brightness = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs])
    if brightness.nanmedian() < -0.5:
        return ("light and dark have changed places in the fakes; if it stays so, start again with "
                "--lambda-identity 0.5 (paper, section 5.2), or another --seed.")


@torch.no_grad()
def apply(G, images, device):
    """What a generator makes of images (N, C, H, W), on the CPU."""
    return torch.cat([G(x.to(device)).float().cpu() for x in images.split(8)])


@torch.no_grad()
def evaluate(G_AB, G_BA, pairs, device="cpu"):
    """Translate every test pair both ways and compare with the truth.

    pairs     data.PairedImages, or a list of such items: then the lazy answers that need the
              training set are left out. Returns (scores, examples)
    scores    {"images": N, "A_to_B": {"ours": scores_of(...), "nothing": ..., "average": ...,
              "colours": ...}, "B_to_A": ...}
    examples  {"A_to_B": [(mae, name, real, fake, truth), ...], ...}, best first
    """
    names, reals_A, reals_B, masks = zip(*tqdm(pairs, "reading", leave=False, delay=2), strict=True)
    masks = None if masks[0] is None else masks
    scores, examples = {"images": len(names)}, {}
    for way, G, reals, truths in (("A_to_B", G_AB, reals_A, reals_B),
                                  ("B_to_A", G_BA, reals_B, reals_A)):
        fakes = [G(x[None].to(device))[0].float().cpu()
                 for x in tqdm(reals, f"evaluating {way}", leave=False, delay=2)]
        answers = {"ours": fakes} | lazy_answers(reals, getattr(pairs, "root", None), way[-1])
        scores[way] = {name: scores_of(images, truths, masks) for name, images in answers.items()}
        errors = map(mean_absolute_error, fakes, truths)
        examples[way] = sorted(zip(errors, names, reals, fakes, truths, strict=True),
                               key=lambda row: row[:2])
    return scores, examples


def cells(scores, way):
    """The table of one direction as texts: the heads of its columns, and {answer: texts}. A * is
    behind a score of ours that no lazy answer reaches."""
    ours, *lazy = scores[way].values()
    names = [name for name in MEASURES if name in ours]

    def best(name):
        sign = -1 if name.startswith("mae") else 1  # of an error, less is better
        return all(sign * ours[name] > sign * row[name] for row in lazy)

    return [MEASURES[name][0] for name in names], {
        answer: [f"{row[name]:.{MEASURES[name][1]}f}" + " *"[row is ours and best(name)]
                 for name in names] for answer, row in scores[way].items()}


def table(scores):
    """The scores as a text for the terminal, of at most 80 columns."""
    lines = [f"{scores['images']} test images. Error: 0-255. Found: fakes nearest to their own "
             "truth."]
    for way, arrow in WAYS.items():
        heads, rows = cells(scores, way)
        lines.append(f"{arrow:<9}" + "".join(f"{head:>10} " for head in heads).rstrip())
        lines += [f"  {answer:<7}" + "".join(f"{text:>11}" for text in texts).rstrip()
                  for answer, texts in rows.items()]
    lazy = {"nothing": "the input", "average": "the average image", "colours": "matched colours"}
    names = [lazy[answer] for answer in scores["A_to_B"] if answer != "ours"]
    return "\n".join([*lines, f"* beats every lazy answer ({', '.join(names)})."])


def write_scores(G_AB, G_BA, pairs, device, json_file, picture):
    """Evaluate; write the scores as JSON, and a picture of the best, the median and the worst image
    of either direction, unless the file is None. Returns the table as a text."""
    scores, examples = evaluate(G_AB, G_BA, pairs, device)
    if json_file:
        write_json(json_file, scores)
    if picture:
        columns, heads = [], []
        for way, rows in examples.items():
            for rank, i in (("best", 0), ("median", len(rows) // 2), ("worst", -1)):
                error, name, *images = rows[i]
                columns.append(images)
                heads.append(f"{way[0]}→{way[-1]}, {rank}\n{shown(name)}: {error:.1f}")
        plots.show(list(zip(*columns, strict=True)), ["real", "fake", "truth"], picture, heads)
    return table(scores)


def load_both(path, device="cpu", make_model=cyclegan.make_model):
    """G_AB, G_BA and their Config, of a run folder, a checkpoint or an export; make_model as in
    translate.load_networks. InputError for a file that holds one direction alone."""
    networks, config = load_networks(path, make_model)
    if not {"G_AB", "G_BA"} <= networks.keys():
        raise InputError(f"{path} holds the generator of one direction alone, and this needs both; "
                         "give a run folder, a checkpoint or an export.")
    G_AB, G_BA = (networks.get(f"average_{name}", networks[name]) for name in ("G_AB", "G_BA"))
    return G_AB.to(device), G_BA.to(device), config


def read_pairs(data, config):
    """The test pairs in a folder as PairedImages, every file looked at first. InputError lists
    those that cannot be read, unless the run left out such files (--skip-bad)."""
    bad, left, remarks = {}, {}, {}
    check_tests(data, config.size, bad, left, remarks)
    if bad and not config.skip_bad:
        raise bad_images(bad)
    if left:
        print(left_alone(left))
    say_remarks(remarks)
    return PairedImages(data, config.size, config.channels, bad)


def kept_files(run):
    """The generators of RUN/kept, {step: file}. InputError where there are none."""
    files = {int(file.stem[5:]): file for file in sorted(Path(run).glob("kept/step_*.pt"))
             if file.stem[5:].isdecimal()}
    if not files:
        raise InputError(f"{run} has kept no generators of steps before its last; train with "
                         "--keep-every N.")
    return files


def kept_table(scores):
    """The best of the kept steps, by the mean over both directions, and a table of all as a text;
    {step: scores}, as `evaluate` or fid_scores gives them."""
    name, head = (("fid", "FID") if "fid" in next(iter(scores.values()))["A_to_B"] else
                  ("mae", "error"))
    rows = {step: [both[way].get("ours", both[way])[name] for way in WAYS]
            for step, both in scores.items()}
    best = min(rows, key=lambda step: sum(rows[step]))
    return best, "\n".join(
        ["   step" + "".join(f"{f'{arrow} {head}':>15}" for arrow in WAYS.values())]
        + [f"{step:>7}" + "".join(f"{value:>15.2f}" for value in row) + "  best" * (step == best)
           for step, row in rows.items()])
