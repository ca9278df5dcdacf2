"""The lessons in Chinese, by gettext files; README.md beside this file says more.

    python lessons/po/zh.py update [NN ...]   # bring zh_CN/NN.po in line with the English notebooks
    python lessons/po/zh.py make [NN ...]     # write lessons/zh_NN_*.ipynb from both

Without numbers: all lessons that have a .po file. `update NN` starts the file of a new one.
"""

import argparse
import json
import re
from pathlib import Path

import polib

LESSONS = Path(__file__).resolve().parent.parent
PO = LESSONS / "po" / "zh_CN"
PENDING = "「待更新」"  # to be updated
HEADER = {"Language": "zh_CN", "MIME-Version": "1.0",
          "Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit"}


def texts(notebook):
    """The English: {cell id: source} of the markdown cells with something in them, in order."""
    found = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]
             if cell["cell_type"] == "markdown"}
    return {name: text for name, text in found.items() if text.strip()}


def update(old, notebook):
    """The entries of a polib.POFile in line with a notebook, as a new one.

    A changed original makes its entry fuzzy and is kept as its previous msgid. A cell that is gone
    leaves an obsolete entry, if it was translated; should it come back, so does its translation.
    """
    new = polib.POFile(wrapwidth=0)  # a line of text stays one line of the file
    new.metadata = HEADER
    english = texts(notebook)
    by_name = {entry.msgctxt: entry for entry in old}
    by_text = {entry.msgid: entry for entry in old if entry.msgctxt not in english}
    for name, text in english.items():
        entry = by_name.pop(name, None) or by_text.pop(text, None) or polib.POEntry(msgid=text)
        by_name.pop(entry.msgctxt, None)  # it had another name
        entry.msgctxt, entry.obsolete = name, False
        if not entry.fuzzy:
            entry.previous_msgid = None  # a translator has taken the mark away
        if entry.msgid != text:
            translated = entry.previous_msgid if entry.fuzzy else entry.msgid
            entry.msgid = text
            entry.fuzzy = bool(entry.msgstr) and text != translated
            entry.previous_msgid = translated if entry.fuzzy else None
        new.append(entry)
    for entry in by_name.values():
        if entry.msgstr:
            entry.obsolete = True
            new.append(entry)
    return new


def make(po, notebook, numbers):
    """The notebook as text (JSON), in Chinese where `po` translates the English as it is now.

    Links to the lessons `numbers` lead to the Chinese ones.
    """
    english = texts(notebook)
    chinese = {(entry.msgctxt, entry.msgid): entry.msgstr for entry in po.translated_entries()}
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and cell["id"] in english:
            text = english[cell["id"]]
            text = chinese.get((cell["id"], text)) or f"{PENDING}\n\n{text}"
            text = re.sub(rf"\]\((?=({'|'.join(numbers)})_\w+\.ipynb)", "](zh_", text)
            cell = cell | {"source": text.splitlines(keepends=True)}
        cells.append(cell)
    return json.dumps(notebook | {"cells": cells}, ensure_ascii=False, indent=1) + "\n"


def main():
    english = {path.name[:2]: path for path in sorted(LESSONS.glob("[0-9][0-9]_*.ipynb"))}
    numbers = [path.stem for path in sorted(PO.glob("*.po"))]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["update", "make"])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="numbers of lessons, as 01")
    args = parser.parse_args()
    for number in args.numbers or numbers:
        if number not in english:
            parser.error(f"no lesson {number} in {LESSONS}; there are {', '.join(english)}")
        file = PO / f"{number}.po"
        if args.what == "make" and not file.exists():
            parser.error(f"{file} is not there; start it with: zh.py update {number}")
        notebook = json.loads(english[number].read_text(encoding="utf-8"))
        try:
            po = polib.pofile(file, wrapwidth=0) if file.exists() else polib.POFile()
        except OSError as error:  # the line that is not gettext
            parser.error(str(error))
        if args.what == "update":
            po = update(po, notebook)
            PO.mkdir(exist_ok=True)
            po.save(file, newline="\n")
            print(f"{file.name}: {po.percent_translated()}% of {len(texts(notebook))} cells")
        else:
            for earlier in LESSONS.glob(f"zh_{number}_*.ipynb"):  # perhaps by an earlier name
                earlier.unlink()
            made = LESSONS / f"zh_{english[number].name}"
            made.write_text(make(po, notebook, numbers), encoding="utf-8", newline="\n")
            print(made.name)


if __name__ == "__main__":
    main()
