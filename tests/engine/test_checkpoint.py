import errno
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch

from minicyclegan import Discriminator, Generator, InputError, load_generator, load_reference
from minicyclegan.engine.checkpoint import (
    BEFORE,
    FORMAT,
    LAST,
    load_checkpoint,
    save_checkpoint,
    write_whole,
)
from minicyclegan.engine.pretrained import export_generators


def fixture(name="step_lsgan"):
    return torch.load(Path(__file__).parent.parent / "data" / f"{name}.pt", weights_only=True)


def small_checkpoint(path, step=1):
    save_checkpoint(path, {"config": {}, "networks": {"G": {"w": torch.arange(3000.0)}},
                           "step": step})


def test_a_checkpoint_is_whole_or_not_written(tmp_path):
    """A limit of the operating system on the size of files stands in for a full disk."""
    path = tmp_path / "checkpoint.pt"
    small_checkpoint(path)
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limit[1]))
    try:
        with pytest.raises(OSError) as error:
            small_checkpoint(path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert error.value.filename == str(path) and error.value.errno == errno.EFBIG
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_one_before_is_kept(tmp_path):
    last, before = tmp_path / LAST, tmp_path / BEFORE
    for step in (1, 2, 3):
        save_checkpoint(last, {"config": {}, "networks": {}, "step": step}, before)
    assert (load_checkpoint(tmp_path)["step"], load_checkpoint(before)["step"]) == (3, 2)
    last.unlink()  # killed between two renames
    assert load_checkpoint(tmp_path)["step"] == 2


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: b"some other file", lambda data: bytes(reversed(data)),
    lambda data: data[:len(data) // 2], lambda data: data[:-1],
    lambda data: flipped(data, len(data) // 2),  # within the weights
    lambda data: b"PK" + data[:9000], lambda data: b"\x89HDF\r\n"])
def test_damage_is_named_and_the_one_before_serves(damage, tmp_path, capsys):
    last, before = tmp_path / LAST, tmp_path / BEFORE
    small_checkpoint(before, 1)
    small_checkpoint(last, 2)
    last.write_bytes(damage(last.read_bytes()))
    reason = "checkpoint.pt is no checkpoint, or is damaged or cut off; use another"
    with pytest.raises(InputError, match=reason):
        load_checkpoint(last)
    assert load_checkpoint(tmp_path)["step"] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line and f"{before} takes its place" in line
    assert last.exists()
    load_checkpoint(tmp_path, mend=True)
    assert [f.name for f in tmp_path.iterdir()] == [BEFORE]
    assert load_checkpoint(tmp_path)["step"] == 1
    before.write_bytes(b"")
    with pytest.raises(InputError, match="checkpoint_before.pt is no checkpoint, or is damaged"):
        load_checkpoint(tmp_path)


def test_a_flipped_bit_of_the_weights_is_seen(tmp_path):
    """torch.load by itself would hand out wrong weights."""
    path = tmp_path / "x.pt"
    small_checkpoint(path)
    data = path.read_bytes()
    start = data.index(torch.arange(3000.0).numpy().tobytes())
    for place in range(start, start + 12000, 500):
        path.write_bytes(flipped(data, place))
        with pytest.raises(InputError, match="is damaged"):
            load_checkpoint(path)


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(InputError, match="x.pt does not exist"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="checkpoint.pt does not exist"):
        load_checkpoint(tmp_path)
    for content in ({"fc.weight": torch.zeros(3)}, [1], torch.zeros(3), {"epoch": 3}):
        torch.save(content, path)
        with pytest.raises(InputError, match="x.pt is not a checkpoint of minicyclegan; give a"):
            load_checkpoint(path)
    for version in (1, FORMAT + 1):
        torch.save({"format": version, "config": {}, "networks": {}}, path)
        with pytest.raises(InputError, match=f"format {version}, this version reads {FORMAT}"):
            load_checkpoint(path)


def test_programs_and_other_zips(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.warns(DeprecationWarning):  # that TorchScript is old
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    with pytest.raises(InputError, match="x.pt is no checkpoint"):
        load_checkpoint(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/b.txt", "c")
    with pytest.raises(InputError, match="x.pt is no checkpoint"):
        load_checkpoint(path)


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_whole(tmp_path / "x", b"old")
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "x", b"new")
    assert [f.name for f in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_bytes() == b"old"


class Payload:
    def __reduce__(self):
        return print, ("the payload ran",)


def test_loading_runs_no_code(tmp_path, capsys):
    path = tmp_path / LAST
    small_checkpoint(tmp_path / BEFORE)
    for write in (lambda: torch.save({"format": FORMAT, "networks": Payload()}, path),
                  lambda: torch.save(Payload(), path, _use_new_zipfile_serialization=False),
                  lambda: path.write_bytes(pickle.dumps(Payload(), protocol=2))):
        write()
        for place in (path, tmp_path):  # no damage, so the one before must not hide it
            with pytest.raises(InputError, match="could run code; nothing of it was run"):
                load_checkpoint(place)
    assert "payload" not in capsys.readouterr().out


def test_published_files(tmp_path):
    """As the authors publish them: a bare state dict, whose old versions carry extra entries."""
    state = fixture()["initial"]["G_A"]
    old = {f"module.{k}": v.float() for k, v in state.items()}
    for layer in (2, 5, 8):
        old[f"module.model.{layer}.running_mean"] = torch.zeros(2)
        old[f"module.model.{layer}.num_batches_tracked"] = torch.tensor(7)
    image = torch.rand(1, 3, 32, 32)
    expected = load_reference(Generator(2, 6), state)(image)
    for name in ("latest_net_G_A.pth", "horses.pt", "horses"):  # what it holds counts
        path = tmp_path / name
        torch.save(old, path)
        assert torch.equal(load_reference(Generator(2, 6), path)(image), expected)
        generator, config = load_generator(path, "B")  # width and blocks are read off the file
        assert (config.width, config.blocks) == (2, 6)
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
        torch.save(state, tmp_path / "theirs.pth")
        with pytest.raises(InputError, match="theirs.pth holds no weights"):
            load_generator(tmp_path / "theirs.pth", "B")
    torch.save(fixture()["initial"]["D_A"], tmp_path / "theirs.pth")
    with pytest.raises(InputError, match="theirs.pth is none of the authors' ResNet generators"):
        load_generator(tmp_path / "theirs.pth", "B")


def test_a_checkpoint_without_its_generators(tmp_path):
    path = tmp_path / "x.pt"
    save_checkpoint(path, {"config": {"steps": 1}, "step": 1, "networks": {}})
    with pytest.raises(InputError, match="x.pt holds no G_AB"):
        load_generator(path, "B")
    with pytest.raises(InputError, match="x.pt does not hold both generators"):
        export_generators(path, tmp_path / "y.pt")


def test_weights_that_are_no_numbers(tmp_path):
    """Their images would be of one colour, without a word."""
    theirs, ours = tmp_path / "theirs.pth", tmp_path / "ours.pt"
    network = Generator(2, 1)
    weights = network.state_dict()
    weights["layers.1.weight"][0] = torch.nan
    torch.save(weights, theirs)
    config = {"generator": "resnet", "width": 2, "blocks": 1, "upsample": "transpose"}
    save_checkpoint(ours, {"config": config, "networks": {"G_AB": weights}})
    for path, name in ((theirs, "G"), (ours, "G_AB")):
        with pytest.raises(InputError, match=f"{path} has weights of {name} that are no finite"):
            load_generator(path, "B")
