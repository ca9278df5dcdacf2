"""Draw a sheet of held-out photographs: real, fake and reconstruction, both ways.

    python lessons/results/photos/sheet.py RUN DATA SHEET.jpg

RUN is a run folder or an export, DATA has testA and testB. The photographs are picked by a rule and
not by taste: one of every `--every`, in the order of their names, from the first on.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from minicyclegan import load_generator, read_image, to_image, to_tensor

SIDE, GAP = 128, 4  # of a thumbnail, and between them


def middle(path, size):
    """A photograph with its shorter side at `size`, the middle square of it, as a tensor."""
    image = read_image(path, 3, size)
    left, top = ((n - size) // 2 for n in image.size)
    return to_tensor(image.crop((left, top, left + size, top + size)))[None]


@torch.no_grad()
def main():
    args = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("run", type=Path)
    args.add_argument("data", type=Path)
    args.add_argument("sheet", type=Path)
    args.add_argument("--size", type=int, default=112, help="shorter side of a photograph (112)")
    args.add_argument("--every", type=int, default=6)
    args = args.parse_args()
    G = {d: load_generator(args.run, d)[0] for d in "AB"}
    rows = {}
    for here, there in ("AB", "BA"):
        files = sorted((args.data / f"test{here}").iterdir())[::args.every]
        real = [middle(file, args.size) for file in files]
        fake = [G[there](image) for image in real]
        rows |= {f"real_{here}": real, f"fake_{there}": fake,
                 f"rec_{here}": [G[here](image) for image in fake]}
    pitch, margin = SIDE + GAP, 48
    sheet = Image.new("RGB", (margin + pitch * max(map(len, rows.values())), pitch * len(rows)),
                      "white")
    for y, (name, images) in enumerate(rows.items()):
        ImageDraw.Draw(sheet).text((2, y * pitch + SIDE // 2), name, "black")
        for x, image in enumerate(images):
            picture = to_image(image[0]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            sheet.paste(picture, (margin + x * pitch, y * pitch))
    sheet.save(args.sheet, quality=88)


if __name__ == "__main__":
    main()
