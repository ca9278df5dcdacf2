"""Weights from elsewhere: files of the authors' implementation, and models that ship with us."""

from pathlib import Path

import torch
from torch import nn

from .checkpoint import BEFORE, LAST, load_checkpoint, read_tensors, save_checkpoint
from .errors import InputError


def shipped_models():
    """The models that come with the package, {name: file}; data/README.md tells how each was
    made."""
    here = Path(__file__).parent.parent  # in a clone below data, in an installed package beside us
    for folder in (here.parent / "data" / "models", here / "models"):
        files = {file.stem: file for file in sorted(folder.glob("*.pt"))}
        if files:
            return files
    raise InputError(f"{here / 'models'} holds no models; install minicyclegan again, or clone it "
                     "anew.")


def export_generators(run, file, half=False):
    """Write the generators of a run, all that `translate` and `evaluate` need, to a file: a tenth
    of the checkpoint, and with `half` (16-bit floats) a twentieth. `run` is a run folder or a
    checkpoint; no training goes on from the file, but a new one can start from it (--init)."""
    if Path(file).name in (LAST, BEFORE):
        raise InputError(f"{file} is the name of a checkpoint, which training goes on from; name "
                         "another file.")
    content = load_checkpoint(run)
    if not {"G_AB", "G_BA"} <= content["networks"].keys():
        raise InputError(f"{run} does not hold both generators; give a run folder or a checkpoint.")
    save_checkpoint(file, generators_of(content, half))


def generators_of(checkpoint, half=False):
    """The part of a checkpoint's content that an export holds: the generators to translate with."""
    networks = {}
    for name in ("G_AB", "G_BA"):
        weights = checkpoint["networks"].get(f"average_{name}", checkpoint["networks"].get(name))
        networks[name] = {k: w.half() if half else w for k, w in weights.items()}
    return {"config": checkpoint["config"] | {"average": 0.0}, "step": checkpoint.get("step"),
            "networks": networks}


def load_reference(network, source):
    """Fill a Generator or Discriminator with weights of the authors' PyTorch implementation.

    source  a file as they publish them (latest_net_G_A.pth, latest_net_D_A.pth, ...) or its
            state dict. Their G_A is our G_AB, their D_A (which judges domain B) our D_B.
    Returns the network. A `module.` prefix and the running statistics of old versions are passed
    over; so are biases in front of an instance norm, which takes them out again.

    Raises InputError where the weights are of another architecture.
    """
    name = "the weights" if isinstance(source, dict) else str(source)
    theirs = their_convolutions(source if isinstance(source, dict) else read_tensors(source), name)
    ours = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    fits = len(ours) == len(theirs) and all(
        m.weight.shape == weight.shape and (m.bias is None or m.bias.shape == bias.shape)
        for m, (weight, bias) in zip(ours, theirs, strict=True))
    if not fits:
        raise InputError(
            f"{name} does not fit: it has {len(theirs)} convolutions, a {type(network).__name__} "
            f"of this width and depth {len(ours)}, or their shapes differ; build it as these "
            "weights were trained.")
    with torch.no_grad():
        for m, (weight, bias) in zip(ours, theirs, strict=True):
            m.weight.copy_(weight)
            if m.bias is not None:
                m.bias.copy_(bias)
    return network


def their_convolutions(state, name):
    """Their convolutions in the order of the layers, [(weight, bias), ...]; a bias may be empty."""
    state = state if isinstance(state, dict) else {}
    found = [(weight, state.get(str(key).replace("weight", "bias"), torch.empty(0)))
             for key, weight in state.items() if str(key).endswith("weight")]
    if not found or not all(torch.is_tensor(w) and w.dim() == 4 for w, _ in found):
        raise InputError(f"{name} holds no weights of a CycleGAN network with instance norm; give "
                         "one of the authors' ResNet generators or discriminators.")
    return found


def reference_config(state, name):
    """The architecture of one of the authors' ResNet generators, read off its weights: arguments
    of Generator. InputError names the file where it is of another kind."""
    shapes = [weight.shape for weight, _ in their_convolutions(state, name)]
    (width, channels), blocks = shapes[0][:2], (len(shapes) - 6) // 2  # three on either side
    if blocks < 0 or shapes[0][2] != 7 or shapes[-1][2] != 7 or shapes[-1][0] != channels:
        raise InputError(f"{name} is none of the authors' ResNet generators (latest_net_G_A.pth "
                         "for one); give one of those.")
    return {"width": width, "blocks": blocks, "channels": channels, "upsample": "transpose"}
