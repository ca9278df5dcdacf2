"""More than one process, with torchrun: each takes its share of every batch, on its own GPU.

    torchrun --nproc_per_node=8 -m minicyclegan train --preset paper --data horse2zebra

Instance norm treats every image by itself, so N processes with a batch of b each take the same
step as one process with a batch of N·b, to the rounding: before a step of an optimizer the
gradients are averaged over all of them, and the pools see the fakes of all. Only process 0 writes
files. With a single process, every function here does nothing.
"""

import gc
import os

import torch
import torch.distributed as dist


def start():
    """Join the other processes, if torchrun started this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # now "cuda" means this one
        # gloo for what is on the CPU: agreeing there never makes a GPU wait
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def processes():
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def say(text):
    """Print it once, however many processes there are."""
    if rank() == 0:
        print(text)


def from_first(value):
    """The value that process 0 has, in all processes: a string, a number or None."""
    if processes() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def largest(number):
    """The largest of the processes' whole numbers."""
    if processes() == 1:
        return number
    tensor = torch.tensor(number)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return tensor.item()


def mean(tensor):
    """The mean of a tensor over the processes."""
    if processes() == 1:
        return tensor
    tensor = tensor.clone()
    dist.all_reduce(tensor)
    return tensor / processes()


def lost_the_others(error):
    """Whether an error means that another process is gone."""
    return processes() > 1 and (isinstance(error, dist.DistError) or any(
        word in str(error) for word in ("gloo", "NCCL", "Connection")))


def share(model):
    """Let the processes train `model`, an OneWayGAN or CycleGAN, together. The weights of process
    0 count."""
    if processes() == 1:
        return
    for weight in model.state_dict().values():
        dist.broadcast(weight, 0)
    model.hooks = [optimizer.register_step_pre_hook(average_gradients)
                   for optimizer in model.optimizers.values()]
    model.pools = {domain: SharedPool(pool) for domain, pool in model.pools.items()}


def average_gradients(optimizer, *_):
    """All gradients of an optimizer in one flat tensor: one message instead of a hundred."""
    grads = [p.grad for group in optimizer.param_groups for p in group["params"]
             if p.grad is not None]
    if grads:
        flat = mean(torch.cat([grad.flatten() for grad in grads]))
        for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))


def stop(model):
    """Part from the other processes, all at the same time; `model` is one process's again."""
    if processes() == 1:
        return
    dist.barrier()  # or one would leave while another still talks to it
    for hook in model.hooks:
        hook.remove()
    model.pools = {domain: shared.pool for domain, shared in model.pools.items()}
    gc.collect()  # what still held the connection would crash now and then when Python ends
    dist.destroy_process_group()


class SharedPool:
    """One ImagePool for all processes. Each holds a copy, shows it the fakes of all of them in the
    same order with the same random numbers, and takes back its own share. So the pool is that of
    a single process with the whole batch, and any number of processes can go on with it."""

    def __init__(self, pool):
        self.pool = pool
        self.state_dict, self.load_state_dict = pool.state_dict, pool.load_state_dict

    def query(self, fakes):
        all_fakes = [torch.empty_like(fakes) for _ in range(processes())]
        dist.all_gather(all_fakes, fakes.contiguous())
        return self.pool.query(torch.cat(all_fakes)).split(len(fakes))[rank()]
