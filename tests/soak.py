"""Trains a tiny configuration for many steps and looks whether memory or open files grow.

    python tests/soak.py --steps 10000

Every so often it logs, draws and saves as any run does. Prints both through the run; exit code 1
if memory grows by 1 % or more after the first 40 % of them (until then caches fill, matplotlib's
for one), by the line that fits the measurements best, or a file stays open. Linux only: the
numbers come from /proc.
"""

import argparse
import gc
import itertools
import os
import statistics
import sys
import tempfile
from pathlib import Path

from conftest import TINY, draw_photos

from minicyclegan import make_model
from minicyclegan.config import Config
from minicyclegan.train import train


def memory():
    """MB that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=10_000, metavar="N", help="steps (10000)")
    steps = parser.parse_args().steps
    rows = []

    def watched(config, precision):
        """Looks at memory and open files a hundred times."""
        model = make_model(config, precision)
        step, done = model.step, itertools.count(1)

        def stepping(real_A, real_B):
            losses = step(real_A, real_B)
            number = next(done)
            if number % max(1, steps // 100) == 0:
                gc.collect()
                rows.append((number, memory(), len(os.listdir("/proc/self/fd"))))
            return losses
        model.step = stepping
        return model

    with tempfile.TemporaryDirectory() as folder:
        data = draw_photos(Path(folder) / "data")
        config = Config(**TINY | dict(data=str(data), steps=steps, log_every=10, save_seconds=1.0,
                                      sample_every=max(1, steps // 40)))
        train(config, Path(folder) / "run", make_model=watched)
    print("step    memory (MB)  open files")
    for step, megabytes, files in rows[9::10]:
        print(f"{step:<7} {megabytes:>11.1f} {files:>11}")
    at, memories, files = zip(*rows[len(rows) * 2 // 5:], strict=True)
    slope = statistics.linear_regression(at, memories).slope
    growth = slope * (at[-1] - at[0]) / memories[0]
    more = max(files) - files[0]
    print(f"after the first 40 %: {growth:+.1%} memory, {more:+} files")
    return 1 if growth >= 0.01 or more > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
