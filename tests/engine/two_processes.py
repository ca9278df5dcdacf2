"""Run by test_parallel.py in each of several processes: a few steps, in float64."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from conftest import small_networks

from minicyclegan import CycleGAN, OneWayGAN
from minicyclegan.engine import parallel


def steps(one_way):
    """The weights after five steps on batches of four, this process with its share."""
    settings = dict(pool_size=6, lambda_cycle_A=0) if one_way else dict(
        pool_size=6, lambda_identity=0.5)
    model = (OneWayGAN if one_way else CycleGAN)(**small_networks(one_way), **settings)
    if parallel.rank():  # the weights of process 0 count
        for p in model.parameters():
            p.data.zero_()
    parallel.share(model)
    generator, share = torch.Generator().manual_seed(1), 4 // parallel.processes()
    mine = slice(parallel.rank() * share, (parallel.rank() + 1) * share)
    for _ in range(5):
        whole = torch.rand(2, 4, 3, 16, 16, dtype=torch.float64, generator=generator) * 2 - 1
        named = model.step(*whole[:, mine])
        losses = {name: parallel.mean(loss) for name, loss in named.items()}
    result = {"weights": model.state_dict(), "losses": losses,
              "pools": {k: p.state_dict() for k, p in model.pools.items()}}
    return model, result


if __name__ == "__main__":
    parallel.start()
    (_, one_way), (model, cyclegan) = steps(one_way=True), steps(one_way=False)
    if parallel.rank() == 0:
        torch.save({"one_way": one_way, "cyclegan": cyclegan}, sys.argv[1])
    parallel.stop(model)
