"""Scores without pairs, for real photographs: how near fakes are, as a set, to real images.

Both sets go through Inception v3, a network that names what is in a photograph, and the
distributions of its 2048 features are compared:

    KID   squared distance of the means in a space of cubic polynomials (Bińkowski et al. 2018);
          unbiased, so a few hundred images will do
    FID   distance of two Gaussians (Heusel et al. 2017); the fewer the images, the larger

torch-fidelity computes both, an extra: pip install "minicyclegan[fid]".
"""

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tqdm import tqdm

from ..engine.device import out_of_memory
from ..engine.errors import InputError
from ..engine.images import list_images, read_square, to_image
from ..translate import translate_image
from .evaluate import WAYS

LEAST = 50  # images of either domain; with fewer, chance decides
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"  # as torch-fidelity calls its file


def fid_scores(G_AB, G_BA, data, split, size, channels, device, source):
    """KID and FID of the fakes of `data`/`split`A and B, against the real images there.

    G_AB, G_BA  trained generators on `device`, for images (N, channels, size, size) in [-1, 1]
    split       "test" or "train"
    source      where the generators come from, a text for the table
    Returns {"A_to_B": {"kid", "kid_sd", "fid", and each "..._nothing": the score of the inputs left
    as they are, and "..._real": of other real images}, "B_to_A": {...}, "protocol": {title: text}}.

    Raises InputError where a folder holds fewer than LEAST images or one that cannot be read, where
    torch-fidelity is missing, or the weights of Inception cannot be downloaded.
    """
    try:
        import torch_fidelity
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision for another torch
        raise InputError("--fid needs torch-fidelity, and a torchvision that fits this torch "
                         f'({error}); get them with: pip install "minicyclegan[fid]", or see '
                         "pytorch.org.") from error
    files = {d: list_images(Path(data) / f"{split}{d}") for d in "AB"}
    for d, found in files.items():
        if len(found) < LEAST:
            raise InputError(f"{Path(data) / f'{split}{d}'} holds {len(found)} images, and --fid "
                             f"needs at least {LEAST} of either domain; add some, or score the "
                             "other split with --split.")
    protocol = {"generators": str(source), "images": f"{len(files['A'])} of {split}A, "
                                                     f"{len(files['B'])} of {split}B in {data}"}
    with TemporaryDirectory() as root:
        def write(name, files, generator=None):
            """Images as the run sees them, or their fakes, to root/name/0.png, 1.png, ..."""
            Path(root, name).mkdir()
            for i, file in enumerate(tqdm(files, f"{name} for KID and FID", leave=False, delay=2)):
                image = to_image(read_square(file, size, channels))
                image = translate_image(generator, image) if generator else image
                image.save(Path(root, name, f"{i}.png"))

        def compare(one, other, key=""):
            least = min(len(list(Path(root, name).glob("*.png"))) for name in (one, other))
            found = torch_fidelity.calculate_metrics(
                input1=str(Path(root, one)), input2=str(Path(root, other)), fid=True, kid=True,
                kid_subset_size=min(1000, least // 2), save_cpu_ram=True, verbose=False,
                cuda=torch.device(device).type == "cuda",
                # the features of a folder are computed once, and kept as long as the folder
                cache_root=str(Path(root, "cache")), input1_cache_name=one, input2_cache_name=other)
            return {f"kid{key}": found["kernel_inception_distance_mean"],
                    f"kid_sd{key}": found["kernel_inception_distance_std"],
                    f"fid{key}": found["frechet_inception_distance"]}

        for d in "AB":
            write(f"real_{d}", files[d])
        try:  # the first to use Inception; before the fakes, which may take long
            nothing = compare("real_A", "real_B", "_nothing")
        except Exception as error:  # no connection, or what came is a web page, or half a file
            if out_of_memory(error):
                raise
            raise InputError("--fid downloads the weights of Inception v3 (91 MB) when first used, "
                             f"which failed ({error}); try again with a connection, or bring "
                             f"{Path(torch.hub.get_dir(), 'checkpoints', WEIGHTS)} from another "
                             "machine, in place of what is there.") from error
        scores = {}
        for A, B, generator in (("A", "B", G_AB), ("B", "A", G_BA)):
            write(f"fake_{B}", files[A], generator)
            one, other, protocol[f"real {B}"] = two_real_sets(data, split, B, files)
            write(f"one_{B}", one)
            write(f"other_{B}", other)
            scores[f"{A}_to_{B}"] = (compare(f"fake_{B}", f"real_{B}") | nothing
                                     | compare(f"one_{B}", f"other_{B}", "_real"))
    protocol |= {
        "resize": f"all to the middle square at {size}×{size}, 8 bits, then 299×299, bilinear",
        "KID": "100 random subsets of half of the images, 1000 at most; ± is their spread",
        "FID": "the fewer the images, the larger: compare it only with FIDs of as many",
        "library": f"torch-fidelity {version('torch-fidelity')}, Inception v3"}
    return scores | {"protocol": protocol}


def two_real_sets(data, split, domain, files):
    """Two lists of real images of a domain, and a text about them: of the other split as many as
    there are fakes, against this one's; where that has too few, this one in two halves."""
    folder = Path(data) / f"{'train' if split == 'test' else 'test'}{domain}"
    found, real = list_images(folder) if folder.is_dir() else [], files[domain]
    count = min(len(files["A" if domain == "B" else "B"]), len(found))
    if count < LEAST:
        return real[::2], real[1::2], f"one half of {split}{domain} against the other half"
    return ([found[i * len(found) // count] for i in range(count)], real,
            f"{count} of {folder.name} against {len(real)} of {split}{domain}")


def fid_table(scores):
    """The scores as a text for the terminal, with what they were made of."""
    lines = [" " * 12 + "".join(f"{way:>10}{'nothing':>10}{'real':>10}" for way in WAYS.values())]
    for title, key, factor in (("KID × 1000", "kid", 1000), ("  ±", "kid_sd", 1000),
                               ("FID", "fid", 1)):
        lines.append(f"{title:<12}" + "".join(
            f"{factor * scores[way][key + kind]:>10.1f}"
            for way in WAYS for kind in ("", "_nothing", "_real")))
    lines.append('The nearer to 0 the better. "nothing": the inputs left as they are; "real": real '
                 "images against other real images of the domain.")
    return "\n".join(lines + [f"{key}: {text}" for key, text in scores["protocol"].items()])
