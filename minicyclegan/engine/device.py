"""Where a run computes, and how: device, precision, threads, memory."""

import contextlib
from pathlib import Path

import torch

from .errors import InputError
from .parallel import say


def pick_device(name="auto"):
    """"auto" is the first of cuda, mps, cpu that this machine has; else the device asked for.
    InputError where that does not work."""
    if name == "auto":
        name = ("cuda" if torch.cuda.is_available()
                else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        torch.zeros(1, device=name).cpu()  # "meta" is a device too, and holds nothing
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(f"--device {name} does not work on this machine; "
                         "use cpu, or auto to take the best there is.") from error
    return torch.device(name)


def pick_precision(name, device):
    """"auto" is bf16 where the hardware computes in it: CUDA from Ampere on, CPUs with AVX512-BF16
    or AMX. Elsewhere it is emulated, and slower than fp32."""
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        fast = device.type == "cpu" and any(
            getattr(torch.cpu, f"_is_{kind}_supported", bool)()
            for kind in ("avx512_bf16", "amx_tile"))
    if name == "bf16" and not fast:
        say(f"bf16 is emulated on {device} and slow; --precision fp32 would be faster")
    return name if name != "auto" else "bf16" if fast else "fp32"


@contextlib.contextmanager
def for_training():
    """Settings of torch that suit training, for a while: as many threads as a Linux container may
    use (it often shows more cores), and on a GPU whatever algorithm is fastest for one shape."""
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    torch.set_num_threads(min(threads, allowed_threads()))
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        torch.set_num_threads(threads)


def allowed_threads():
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # not in a container, or no limit ("max")
        return torch.get_num_threads()


@contextlib.contextmanager
def seeded(seed):
    """Within it, torch's random numbers on the CPU come from `seed`; after it, they go on as if
    nothing had been."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        yield


def compile_networks(model, device):
    """Let torch.compile make a model's networks faster, in place; a minute or more per shape of
    batch. Where it does not work (it needs a C++ compiler, on GPUs Triton) say so and go on."""
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(1, device=device))
    except Exception as error:  # of torch, of the compiler, of the operating system
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        say(f"--compile: torch.compile does not work here ({reason}); going on without")
        return
    for network in model.children():
        network.compile(dynamic=False)


def uncompiled():
    """Within it, compiled networks run as they are written: pictures and scores have other shapes
    than batches, and each new shape would be compiled for minutes."""
    return torch.compiler.set_stance("force_eager")


def out_of_memory(error):
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "out of memory" in str(error) or "can't allocate memory" in str(error))


def free_memory(device):
    """Bytes that may still be taken on a device; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    bounds = []
    with contextlib.suppress(OSError):  # Linux
        lines = Path("/proc/meminfo").read_text().splitlines()
        bounds += [1024 * int(s.split()[1]) for s in lines if s.startswith("MemAvailable")]
    with contextlib.suppress(OSError, ValueError):  # a container, where there is a limit
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text())
                       for name in ("max", "current"))
        bounds.append(limit - used)
    return min(bounds, default=None)
