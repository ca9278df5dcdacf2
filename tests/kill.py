"""Kills a run again and again, at random moments, and compares how it ends with one left alone.

    python tests/kill.py --kills 50

Each round is a small run that saves after every step, in fp32 and bf16 by turns. It is killed
(SIGKILL: nothing can be tidied up) while it starts, computes, logs, draws or saves, and resumed
until it is through. Its last checkpoint and its log have to equal, bit for bit, those of a run
that nothing stopped; and so has the list of its pictures. Exit code 1 if anything differs.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import OPTIONS, draw_photos, same
from tqdm import tqdm

from minicyclegan import InputError
from minicyclegan.engine.checkpoint import load_checkpoint

STEPS, KILLS_A_RUN = 120, 3


def start(*arguments):
    return subprocess.Popen([sys.executable, "-m", "minicyclegan", "train", *map(str, arguments)],
                            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def begin_or_resume(out, data, precision):
    if (out / "config.json").exists():
        return start("--resume", out)
    return start("--data", data, "--out", out, *OPTIONS, "--precision", precision,
                 "--steps", STEPS, "--pool-size", 4, "--log-every", 3, "--sample-every", 25,
                 "--save-seconds", 0)


def finish(process):
    error = process.communicate()[1]
    if process.returncode:
        sys.exit(f"kill.py: the run could not go on: {error}")


def kill(process, out, rng):
    """Kill it at a random moment; False if it was through before."""
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, 2))  # while it starts, most likely
    else:
        sign = out / "log.csv"
        before = sign.stat().st_mtime_ns if sign.exists() else 0
        while process.poll() is None and not (sign.exists() and sign.stat().st_mtime_ns != before):
            time.sleep(0.01)
        time.sleep(rng.expovariate(1 / 0.2))
    process.kill()
    process.communicate()
    return process.returncode < 0


def step_of(out):
    try:
        return load_checkpoint(out)["step"]
    except InputError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="in all (50)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (0)")
    args = parser.parse_args()
    rng, steps, wrong, rounds = random.Random(args.seed), [], 0, 0
    with tempfile.TemporaryDirectory() as folder, tqdm(total=args.kills, unit="kill") as bar:
        root = Path(folder)
        data, whole = draw_photos(root / "data"), {}
        while len(steps) < args.kills:
            precision = ("fp32", "bf16")[rounds % 2]
            if precision not in whole:
                whole[precision] = root / precision
                finish(begin_or_resume(whole[precision], data, precision))
            out = root / f"run{rounds}"
            for _ in range(min(KILLS_A_RUN, args.kills - len(steps))):
                if kill(begin_or_resume(out, data, precision), out, rng):
                    steps.append(step_of(out))
                    bar.update()
            finish(begin_or_resume(out, data, precision))
            rounds += 1
            runs = [whole[precision], out]
            if not (same(*map(load_checkpoint, runs))
                    and len({(run / "log.csv").read_bytes() for run in runs}) == 1
                    and len({tuple(sorted(f.name for f in (run / "samples").iterdir()))
                             for run in runs}) == 1):
                wrong += 1
                tqdm.write(f"{out.name} ({precision}) ended otherwise")
    print(f"{len(steps)} kills in {rounds} runs of {STEPS} steps, {wrong} differences; "
          f"the checkpoints were of step {', '.join(map(str, steps))} (None: before the first)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
