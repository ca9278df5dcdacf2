import pickle

import pytest
import torch

from minicyclegan import Discriminator, Generator, InputError, load_generator, load_reference
from minicyclegan.checkpoint import FORMAT, load_checkpoint, pick_device, save_checkpoint


def fixture(name="step_lsgan"):
    from pathlib import Path
    return torch.load(Path(__file__).parent / "data" / f"{name}.pt", weights_only=True)


def test_save_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"networks": {}, "step": 1})

    def fails(content, file):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError):
        save_checkpoint(path, {"networks": {}, "step": 2})
    assert load_checkpoint(path)["step"] == 1


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(InputError, match="x.pt does not exist"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="checkpoint.pt does not exist"):
        load_checkpoint(tmp_path)
    for content in (b"", b"rubbish"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="x.pt cannot be read"):
            load_checkpoint(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="x.pt is not a checkpoint of minicyclegan"):
        load_checkpoint(path)
    torch.save({"format": 99, "networks": {}}, path)
    with pytest.raises(InputError, match="format 99"):
        load_checkpoint(path)


class Payload:
    def __reduce__(self):
        return print, ("the payload ran",)


def test_loading_runs_no_code(tmp_path, capsys):
    path = tmp_path / "x.pt"
    torch.save({"format": FORMAT, "networks": Payload()}, path)
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(path)
    assert "payload" not in capsys.readouterr().out


def test_published_files(tmp_path):
    """As the authors publish them: a bare state dict, whose old versions carry extra entries."""
    state = fixture()["initial"]["G_A"]
    old = {f"module.{k}": v.float() for k, v in state.items()}
    for layer in (2, 5, 8):
        old[f"module.model.{layer}.running_mean"] = torch.zeros(2)
        old[f"module.model.{layer}.num_batches_tracked"] = torch.tensor(7)
    path = tmp_path / "latest_net_G_A.pth"
    torch.save(old, path)
    image = torch.rand(1, 3, 32, 32)
    expected = load_reference(Generator(2, 6), state)(image)
    assert torch.equal(load_reference(Generator(2, 6), path)(image), expected)
    generator, config = load_generator(path, "B")  # width and blocks are read off the file
    assert (config["width"], config["blocks"]) == (2, 6)
    assert torch.equal(generator(image), expected)


def test_weights_with_dropout_layers_in_between():
    # The authors' option --no_dropout off moves the second convolution of a block from 5 to 6.
    state = fixture()["initial"]["G_A"]
    moved = {k.replace("conv_block.5", "conv_block.6"): v for k, v in state.items()}
    one, other = (load_reference(Generator(2, 6), s).state_dict() for s in (state, moved))
    assert all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("network", [
    lambda: Generator(2, 9), lambda: Generator(4, 6), lambda: Discriminator(2),
    lambda: Generator(2, 6, channels=1), lambda: Generator(2, 6, upsample="resize")])
def test_another_architecture(network):
    with pytest.raises(InputError, match="does not fit"):
        load_reference(network(), fixture()["initial"]["G_A"])


def test_weights_that_are_of_no_cyclegan(tmp_path):
    batch_norm = fixture()["initial"]["G_A"] | {"model.2.weight": torch.ones(2)}
    for state in (batch_norm, {"fc.weight": torch.zeros(3, 3)}, {}):
        with pytest.raises(InputError, match="no weights of a CycleGAN network"):
            load_reference(Generator(2, 6), state)


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("quantum", "cuda:99"):
        with pytest.raises(InputError, match=f"--device {name} does not work"):
            pick_device(name)
