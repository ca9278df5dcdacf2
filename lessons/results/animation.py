"""Make a moving picture of a run's samples: the ring learning, from noise to zebras.

    minicyclegan train --precision fp32 --sample-every 20
    python lessons/results/animation.py runs/toy lessons/results/toy.webp
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

run, file = map(Path, sys.argv[1:])
samples = sorted((run / "samples").glob("step_*.png"))
steps = [int(path.stem.removeprefix("step_")) for path in samples]
frames, shown = [], 0
for path, step in zip(samples, steps, strict=True):
    if step >= 1.12 * shown or step == steps[-1]:  # early steps change more than late ones
        shown = step
        frame = Image.open(path).convert("RGB")
        frame = frame.resize((800, round(800 * frame.height / frame.width)),
                             Image.Resampling.LANCZOS)
        ImageDraw.Draw(frame).text((4, 2), f"step {step}", "black", font_size=16)
        frames.append(frame)
pauses = [250] * (len(frames) - 1) + [3000]  # milliseconds
frames[0].save(file, save_all=True, append_images=frames[1:], duration=pauses, loop=0, quality=70)
print(f"{file}: {len(frames)} frames, {file.stat().st_size / 1e6:.2f} MB")
