"""Things that must agree with each other."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

from minicyclegan.kid import NEEDS

import minicyclegan

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def requirements(key):
    """The list of a key in pyproject.toml, as {"name": ">=version"} (tomllib came with 3.11)."""
    block = re.search(rf"^{key} = \[(.*?)\]", PYPROJECT, re.M | re.S).group(1)
    return dict(re.findall(r'"([a-z0-9_-]+)(>=[\d.]+)"', block))


def test_conda_and_pip_ask_for_the_same():
    text = (ROOT / "environment.yml").read_text()
    conda = dict(re.findall(r"^  - ([a-z0-9]+)(>=[\d.]+)$", text, re.M))
    pip = requirements("dependencies") | requirements("lessons") | requirements("test")
    assert conda.pop("python") == re.search(r'requires-python = "(.*)"', PYPROJECT).group(1)
    pip["pytorch"] = pip.pop("torch")  # its name in conda
    assert conda == pip


def test_extras_are_what_the_messages_name():
    for extra, packages in NEEDS.items():
        assert list(requirements(extra)) == packages.split()


def test_public_names():
    from minicyclegan import (  # noqa: F401
        CycleGAN,
        Discriminator,
        Generator,
        ImagePool,
        OneWayGAN,
        losses,
    )
    for name in minicyclegan.__all__:
        assert getattr(minicyclegan, name).__doc__


def test_arrows_run_one_way():
    """design: who may import whom; the four components import none of each other."""
    def imports(name):
        text = (ROOT / "minicyclegan" / f"{name}.py").read_text()
        named = re.findall(r"^from \.(\w+) import", text, re.M)
        return set(named) | {n.strip() for line in re.findall(r"^from \. import (.*)", text, re.M)
                             for n in line.split(",")}
    for name in ("generator", "discriminator", "losses", "image_pool", "errors"):
        assert imports(name) == set()
    assert imports("cyclegan") == {"losses", "image_pool"}
    modules = [p.stem for p in (ROOT / "minicyclegan").glob("[a-z]*.py")]
    for name in modules:
        assert "__main__" not in imports(name)
        importlib.import_module(f"minicyclegan.{name}")


def test_import_draws_in_no_plots():
    code = "import sys, minicyclegan; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_columns():
    for path in [*(ROOT / "minicyclegan").glob("*.py"), *(ROOT / "tests").glob("*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= 100, f"{path.name}:{number}"


def test_readme_names_every_file_and_command():
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "minicyclegan").glob("*.py"):
        assert path.name in readme, path.name
    for command in ("train", "translate", "evaluate", "report", "export", "ablate", "hiding",
                    "draw", "download"):
        assert f"minicyclegan {command}" in readme
    for link in re.findall(r"\]\((?!http)([^)#]+)", readme):
        assert (ROOT / link).exists(), link
