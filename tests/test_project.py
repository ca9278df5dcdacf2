"""Things that must agree with each other."""

import ast
import re
import subprocess
import sys
from pathlib import Path

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


PARTS = {"generator", "discriminator", "losses", "image_pool"}


def arrows():
    """Who imports whom at module level: {"train": {"cyclegan", "engine.run", ...}, ...}."""
    package, found = ROOT / "minicyclegan", {}
    for path in sorted(package.rglob("*.py")):
        module = list(path.relative_to(package).with_suffix("").parts)
        name = ".".join(module)
        found[name] = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                base = module[:len(module) - node.level] + (node.module or "").split(".")
                base = [part for part in base if part]
                for alias in node.names:
                    whole = ".".join([*base, alias.name])
                    file = package / Path(*whole.split(".")).with_suffix(".py")
                    found[name].add(whole if file.exists() else ".".join(base))
    return found


def test_arrows_run_one_way():
    """The four parts import none of each other, the engine nothing of the heart, nobody the lab;
    and there is no circle."""
    found = arrows()
    for name in (*PARTS, "engine.errors"):
        assert found[name] == set()
    assert found["cyclegan"] <= PARTS
    for name, others in found.items():
        if name.startswith("engine."):
            assert all(other.startswith("engine.") for other in others), name
        if not name.startswith("lab."):
            assert not any(other.startswith("lab") for other in others), name
        if not name.endswith("__init__"):
            assert "__main__" not in others or name == "lab.commands"
    done = set()
    while len(done) < len(found):
        ready = {name for name, others in found.items()
                 if name not in done and others & found.keys() <= done}
        assert ready, f"a circle among {sorted(found.keys() - done)}"
        done |= ready


def test_import_and_help_load_no_lab():
    code = ("import sys, minicyclegan.__main__; minicyclegan.__main__.parser(); print(sorted(name "
            "for name in sys.modules if name == 'matplotlib' or name.startswith('minicyclegan.lab'"
            ")), file=sys.stderr)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=True)
    assert result.stderr.strip() == "[]"


def test_columns():
    for path in [*(ROOT / "minicyclegan").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= 100, f"{path.name}:{number}"


def test_readme_names_every_file_and_command():
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "minicyclegan").rglob("*.py"):
        assert path.name in readme, path.name
    for command in ("train", "translate", "evaluate", "report", "export", "ablate", "hiding",
                    "draw", "download"):
        assert f"minicyclegan {command}" in readme
    for link in re.findall(r"\]\((?!http)([^)#]+)", readme):
        assert (ROOT / link).exists(), link
