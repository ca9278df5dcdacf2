"""That the Chinese lessons say what the English ones say, and all of it.

What is a deliberate exception stands with its entry, in a translator's comment of the .po file:

    # free: patch; 90,000
"""

import csv
import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import polib
import pytest

ROOT = Path(__file__).parent.parent
zh = SimpleNamespace(**runpy.run_path(str(ROOT / "lessons" / "po" / "zh.py")))
ENGLISH = {path.name[:2]: path for path in sorted(zh.LESSONS.glob("[0-9][0-9]_*.ipynb"))}
PO = {path.stem: path for path in sorted(zh.PO.glob("*.po"))}
with open(ROOT / "lessons" / "po" / "glossary.csv", encoding="utf-8", newline="") as file:
    GLOSSARY = sorted(csv.DictReader(file), reverse=True, key=lambda row: len(row["english"]))
NUMBER = r"\d+(?:[.,]\d+)*"
# Taken out of a text in this order, and what is left is looked at by the next: $ in code is no
# formula, and a number in a formula no number.
KEPT = {"code block": r"^```.*?^```", "name": r"(?<!`)(`+)(?!`)[^\n]+?(?<!`)\1(?!`)",
        "formula": r"\$\$.+?\$\$|\$[^$]+\$", "link": r"\]\([^)]+\)", "title": "「[^」]+」",
        "number": NUMBER}
SHAPE = r"^#+ |^> |^[-*] |^\d+\. |\||</?\w[^>]*>|!\["  # headings, lists, cells of tables, tags
HANZI = "[\u4e00-\u9fff]"
STYLE = {"a space between hanzi and Latin": rf"{HANZI}[\w`$]|[\w`$]{HANZI}",
         "full-width punctuation": rf"{HANZI}[,.;:?!()]|[,;:?!] ?{HANZI}|[()]{HANZI}",
         "「」": "[“”]"}
EMPHASIS = r"(\w?)(\*+)(?=(\S))[^*]+(?<=(\S))\2(?=(\w?))"
FORMS = r"(?:s|es|d|ed|ing)?\b(?!\.\w)"  # of an English term; "toy.py" is none


def parts(text):
    """{kind: what has to be kept}, and the prose that is left."""
    found = {}
    for kind, pattern in KEPT.items():
        found[kind] = [match.group() for match in re.finditer(pattern, text, re.M | re.S)]
        if kind not in ("title", "number"):
            text = re.sub(pattern, {"name": "`", "formula": "$", "link": "]"}.get(kind, ""), text,
                          flags=re.M | re.S)
    return found, text


def complaints(english, chinese, free=()):
    """What a translation lacks, as a list of (kind, what)."""
    (kept, prose), (there, ours) = parts(english), parts(chinese)
    found = [(kind, what) for kind in KEPT for what in kept[kind] if what not in there[kind]]
    if re.findall(SHAPE, prose, re.M) != re.findall(SHAPE, ours, re.M):
        found.append(("shape", "headings, lists, tables and tags in the same order"))
    squeezed = re.sub(r"\s", "", ours).lower()
    for row in GLOSSARY:  # the longest first: "discriminator loss" is not also a "loss"
        prose, count = re.subn(rf"\b(?:{row['english']}){FORMS}", "", prose, flags=re.I)
        allowed = [form for form in (row["chinese"], *row["also"].split("|")) if form]
        if count and not any(form.replace(" ", "").lower() in squeezed or form == "*"
                             for form in allowed):
            found.append(("term", row["english"]))
    for a, _, b, c, d in re.findall(EMPHASIS, ours):  # outside, marker, inside, inside, outside
        if a and not b.isalnum() or d and not c.isalnum():
            found.append(("style", f"not shown as emphasis, for punctuation: {a}*{b}...{c}*{d}"))
    ours = re.sub(r"\*|(?<=单向)GAN", "", ours)
    found += [("style", f"{rule}: {match.group()}") for rule, pattern in STYLE.items()
              for match in re.finditer(pattern, ours, re.A)]
    return [(kind, what) for kind, what in found if what not in free]


def load(number):
    """A lesson's notebook, and its translation."""
    notebook = json.loads(ENGLISH[number].read_text(encoding="utf-8"))
    return notebook, polib.pofile(PO[number], wrapwidth=0)


def test_every_translation_has_its_lesson():
    assert PO.keys() <= ENGLISH.keys()
    made = {path.name for path in zh.LESSONS.glob("zh_*.ipynb")}
    assert made == {f"zh_{ENGLISH[number].name}" for number in PO}, "zh.py make"


@pytest.mark.parametrize("number", ENGLISH)
def test_complete(number):
    if number not in PO:
        pytest.skip(f"not translated yet; start with: python lessons/po/zh.py update {number}")
    notebook, po = load(number)
    entries = [(entry.msgctxt, entry.msgid) for entry in po if not entry.obsolete]
    assert entries == list(zh.texts(notebook).items()), f"zh.py update {number}"
    assert not [entry.msgctxt for entry in po.fuzzy_entries() + po.untranslated_entries()]


@pytest.mark.parametrize("number", PO)
def test_made_notebook_is_in_step(number):
    notebook, po = load(number)
    made = (zh.LESSONS / f"zh_{ENGLISH[number].name}").read_text(encoding="utf-8")
    same = made == zh.make(po, notebook, PO)  # without a diff of their pictures
    assert same, f"zh.py make {number}"


@pytest.mark.parametrize("number", PO)
def test_translation_keeps_what_it_must(number):
    found = []
    for entry in load(number)[1].translated_entries():
        free = "; ".join(re.findall("free: (.*)", entry.tcomment)).split("; ")
        found += [f"{entry.msgctxt}: {kind}: {what}"
                  for kind, what in complaints(entry.msgid, entry.msgstr, free)]
    assert not found, "\n".join(found)


def notebook(**texts):
    cells = [{"cell_type": "markdown", "id": name, "metadata": {}, "source": [text]}
             for name, text in texts.items()]
    code = {"cell_type": "code", "id": "code", "source": ['print("“$x$” `y`", 02)'], "outputs": []}
    return {"cells": [*cells, code]}


def test_a_changed_original_waits_for_its_translator():
    before = notebook(a="# A fake", b="See [2](02_next.ipynb).", c="Gone.", d="Renamed.")
    po = zh.update(polib.POFile(), before)
    chinese = ["# 假图", "见 [2](02_next.ipynb)。", "没了。", "改名。"]
    for entry, text in zip(po, chinese, strict=True):
        entry.msgstr = text
    after = notebook(a="# Two fakes", new="New.", b="See [2](02_next.ipynb).", e="Renamed.")
    po = zh.update(polib.pofile(str(po), wrapwidth=0), after)
    assert [(e.msgctxt, e.msgid, e.msgstr, e.fuzzy, e.previous_msgid, e.obsolete) for e in po] == [
        ("a", "# Two fakes", "# 假图", True, "# A fake", 0), ("new", "New.", "", False, None, 0),
        ("b", "See [2](02_next.ipynb).", "见 [2](02_next.ipynb)。", False, None, 0),
        ("e", "Renamed.", "改名。", False, None, 0), ("c", "Gone.", "没了。", False, None, 1)]
    made = json.loads(zh.make(po, after, ["02"]))["cells"]
    assert ["".join(cell["source"]) for cell in made[:4]] == [
        "「待更新」\n\n# Two fakes", "「待更新」\n\nNew.", "见 [2](zh_02_next.ipynb)。", "改名。"]
    assert made[4] == notebook()["cells"][0]
    po = zh.update(polib.pofile(str(po), wrapwidth=0), before)  # and all is as it was
    assert [e.msgstr for e in po.translated_entries()] == chinese


@pytest.mark.parametrize("english, chinese, kind", [
    ("A patch.", "一个图块。", None), ("A patch.", "一个补丁。", "term"),
    ("The discriminator loss.", "判别 loss。", None), ("A loss.", "一个判别器。", "term"),
    ("[toy.py](toy.py)", "[toy.py](toy.py)", None), ("The epochs", "各个周期", "term"),
    ("A one-way GAN", "一个单向GAN", None), ("A `b` and $c$", "一个 `b` 和 $c$", None),
    ("A `b`", "一个 b", "name"), ("``a `b` c``", "``a `c` c``", "name"),
    ("`$a` `$b`", "`$b` 和 `$a`", None), ("$a$ and $b$", "$a$", "formula"),
    ("```\nx $1\n```", "```\nx\n```", "code block"), ("[a](b.md)", "[甲](c.md)", "link"),
    ("| 1 | 2 |\n|---|---|", "| 1 | 2 |", "shape"), ("1. a\n2. b", "1. 甲\n2. 乙", None),
    ("<details>a</details>", "<details>甲", "shape"), ("5.9 of 60", "60 中的 5.8", "number"),
    ("「前言」", "前言", "title"), ("a, (b)", "甲，（乙）", None), ("a, b", "甲,乙", "style"),
    ("a G", "甲G", "style"), ('"a"', "“甲”", "style"), ('"a"', "「甲」", None),
    ("**a** b", "**甲**乙", None), ("**a.** b", "**甲。**乙", "style"),
    ("b **a** b", "乙**「甲」**乙", "style"), ("b **a** b", "乙「**甲**」乙", None)])
def test_complaints(english, chinese, kind):
    assert {found for found, _ in complaints(english, chinese)} == {kind} - {None}


def sections(text):
    """What stands before the first heading of second order, and under each."""
    return re.split("^## ", text, flags=re.M)


def rows(text):
    """Of each row of a table: the numbers in each of its cells."""
    return [[sorted(re.findall(NUMBER, cell)) for cell in line.split("|")]
            for line in text.splitlines() if line.startswith("|")]


def pieces(text):
    """What two spaces or more set apart in each line, without comments."""
    found = [piece for line in text.splitlines() for piece in re.split(r"(?<=\S) {2,}", line)]
    return {piece for piece in found if not piece.startswith("#")}


def readme_complaints(english, chinese):
    """What a section of the Chinese README says other than the English, which may say more."""
    found = [("number", what) for what in re.findall(NUMBER, chinese)
             if what not in re.findall(NUMBER, english)]
    found += [("row", row) for row in rows(chinese) if row not in rows(english)]
    found += [("left out", row) for row in rows(english)  # each row of figures, as 13.7
              if row not in rows(chinese) and re.search(r"\d\.\d", str(row))]
    found += [("command", piece) for block in re.findall(r"^ *```.*?^ *```", chinese, re.M | re.S)
              for piece in pieces(block) - pieces(english)]
    found += [("name", name) for name in parts(chinese)[0]["name"]
              if name.strip("`") not in english]
    return found + [fault for fault in complaints(english, chinese)
                    if fault[0] in ("term", "style")]


def test_readme_says_what_the_english_says():
    names = ["README.md", "lessons/README.md", "lessons/zh-CN/README.md"]
    english, lessons, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in names)
    found = []
    for theirs, ours in zip(sections(english), sections(chinese), strict=True):
        if ours.startswith("课程"):
            theirs += lessons.partition("## Starting over")[0]
        found += [f"{ours.splitlines()[0]}: {kind}: {what}"
                  for kind, what in readme_complaints(theirs, ours)]
    for title, link in re.findall(r"\[([^]]*)\]\(([^)#]+)[^)]*\)", chinese):
        file = ROOT / "lessons" / "zh-CN" / link
        if not (link in english + lessons if link.startswith("http") else file.exists()):
            found.append(f"link: {link}")
        elif link.endswith(".ipynb"):
            head = json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"][0]
            if head != f"# {link[6:8]}  {title}\n":
                found.append(f"title: {title}: {head}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("chinese, kind", [
    ("一个损失。\n| 甲 | 1.5 |\n```\nrun --a 2  # 说明\n```", None),
    ("一个损失。\n| 甲 | 2 |\n| 甲 | 1.5 |", "row"), ("一个损失。", "left out"),
    ("一个损失，3。\n| 甲 | 1.5 |", "number"), ("损失 `run` 和 `runs`。\n| 甲 | 1.5 |", "name"),
    ("一个损失。\n| 甲 | 1.5 |\n```\nrun --a\n```", "command"), ("错。\n| 甲 | 1.5 |", "term")])
def test_readme_complaints(chinese, kind):
    english = "A loss.\n| a | 1.5 |\n```\nrun --a 2  # why\n```\n"
    assert {found for found, _ in readme_complaints(english, chinese)} == {kind} - {None}
