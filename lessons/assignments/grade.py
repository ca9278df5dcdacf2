"""Assignments: hand them out and grade a class.

    python grade.py release a1_*.ipynb --out handout     the version for students
    python grade.py grade a1_*.ipynb submissions/        points and feedback for everybody

Each student's answers are put into the master, nbval runs that notebook in a process of its own,
and a test cell's points are given if its visible and its hidden tests pass: all that is in
check.py, which students have too. README.md says what this protects from, and what not.
"""

import argparse
import contextlib
import copy
import csv
import datetime
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import check
import jinja2
import nbformat
from check import (
    LARGEST_NOTEBOOK,
    SEED,
    InputError,
    Parser,
    at_least,
    number,
    read_master,
    read_notebook,
    read_submission,
    shown,
)
from tqdm import tqdm

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION$.*?^[ \t]*### END SOLUTION[ \t]*$", re.M | re.S)
MARKER = re.compile(r"#.*\b(BEGIN|END)\s+(SOLUTION|HIDDEN)\w*", re.I)
FOLDER = Path(__file__).parent


# ---- handing out ---------------------------------------------------------------------------------


def stub(source, markdown=False):
    """An answer cell's text with the solution taken out; None where it marks no solution."""
    text = "YOUR ANSWER HERE" if markdown else (
        r"\1# YOUR CODE HERE" "\n" r"\1raise NotImplementedError()")
    source, n = SOLUTION.subn(text, source)
    return source if n else None


def with_seed(master, seed):
    """The master with its line `SEED = ...` set to this student's number."""
    if not master.seed:
        raise InputError(f"{master.name} has no line `SEED = ...` in a cell that it gives, so it "
                         "can't differ by student; leave out --students or --seeds.")
    master = copy.deepcopy(master)
    for cell in master.given.values():
        cell.source = SEED.sub(f"SEED = {seed}", cell.source)
    return master


def release(master):
    """The student version: stubs for solutions, no hidden tests, no outputs."""
    master = copy.deepcopy(master)
    for label, cell in master.cells.items():
        if cell.metadata.nbgrader.get("solution"):
            source = stub(cell.source, cell.cell_type == "markdown")
            if source is None:
                raise InputError(f"{master.name}: the answer cell {label} needs ### BEGIN SOLUTION "
                                 "and ### END SOLUTION, each on a line of its own.")
            cell.source = source
        elif cell.metadata.nbgrader.get("grade"):
            cell.source = check.hidden_tests(cell.source)[0]
    for cell in master.notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if left := MARKER.search(cell.source):
            raise InputError(f"{master.name}: {left[0]!r} in the cell {cell.get('id')} would be "
                             "released; is it mistyped, or in a cell without metadata?")
    return master.notebook


def command_release(args):
    seeds = {"": None}
    if args.students:
        lines = map(str.strip, read_text(args.students).splitlines())
        seeds = {name: seed for seed, name in
                 enumerate(dict.fromkeys(filter(None, lines)), args.first_seed)}
    files = {}
    for student, seed in seeds.items():
        if student and file_names([student])[student] != student:
            raise InputError(f"{shown(student)} in {shown(args.students)} can't be the name of a "
                             "folder; take letters, digits, spaces and . _ - ( ).")
        for path in args.master:
            master = read_master(path)
            version = release(with_seed(master, seed) if student else master)
            files[Path(student, path.name)] = nbformat.writes(version) + "\n"
        files[Path(student, "check.py")] = Path(check.__file__).read_text("utf-8")
    if args.students:
        files[Path("seeds.csv")] = as_csv(("student", "seed"), seeds.items())
    for name, text in files.items():
        path = args.out / name
        if name.suffix != ".py" and path.exists() and path.read_bytes() != text.encode():
            raise InputError(f"{shown(path)} is there and differs: it may be somebody's work. Give "
                             "another --out, or delete it.")
    for name, text in files.items():
        write(args.out / name, text)
        print(args.out / name)


# ---- tables and files ----------------------------------------------------------------------------


def write(path, text):
    """A file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:200]}.part")
    part.write_bytes(text.encode("utf-8", "backslashreplace"))
    os.replace(part, path)


def read_text(path):
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{shown(path)} is not in UTF-8; save it so.") from None


def as_csv(columns, rows, formula="'"):
    """CSV text; what a spreadsheet would take for a formula gets an apostrophe in front."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(
        [[f"{formula}{value}" if str(value).startswith(("=", "+", "-", "@")) else value
          for value in row] for row in [columns, *rows]])
    return buffer.getvalue()


def read_table(path, *columns):
    """The rows of a CSV file as dicts, or InputError where it lacks one of `columns`."""
    text = read_text(path)
    first = text.partition("\n")[0]
    semicolons = first.count(";") > first.count(",")  # Excel, in half of Europe
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if semicolons else ",")
        table = [{key: value or "" for key, value in row.items() if key} for row in rows]
    except csv.Error as error:
        raise InputError(f"{shown(path)} cannot be read as CSV ({error}).") from None
    if not set(columns) <= set(rows.fieldnames or []):
        raise InputError(f"{shown(path)} needs the columns {', '.join(columns)} in its first line.")
    return table


def read_seeds(path):
    """{student: seed}"""
    seeds = {}
    for line, row in enumerate(read_table(path, "student", "seed"), 2):
        if not re.fullmatch(r"\d{1,9}", row["seed"].strip()) or row["student"] in {"", *seeds}:
            raise InputError(f"{shown(path)}, line {line}: a student stands there once, with a "
                             f"whole number as seed, not {shown(row['seed'])}.")
        seeds[row["student"]] = int(row["seed"])
    if not seeds:
        raise InputError(f"{shown(path)} names no student.")
    return seeds


def read_by_hand(path, master):
    """What a person has given: {(student, question): (points, comment)}."""
    given = {}
    most = {q.name: q.points for q in master.questions if q.test is None}
    for line, row in enumerate(read_table(path, "student", "question", "points", "comment")
                               if path.exists() else [], 2):
        row = {key: re.sub(r"^'(?=[=+@-])", "", value) for key, value in row.items()}  # of as_csv
        question, text = row["question"], row["points"].strip().replace(",", ".")
        if question not in most or text and not (
                re.fullmatch(r"\d*\.?\d+", text) and float(text) <= most[question]):
            raise InputError(f"{shown(path)}, line {line}: points for a question by hand are "
                             f"from 0 to what it is worth, not {shown(text)} for "
                             f"{shown(question)}.")
        given[row["student"], question] = float(text) if text else None, row["comment"]
    return given


def file_names(students):
    """A file name, without its ending, for each student, whatever their names hold."""
    names = {s: re.sub(r"[^\w.() -]", "_", s).encode()[:150].decode(errors="ignore").strip(". ")
             for s in students}  # file systems take 255 bytes
    folded = Counter(name.casefold() for name in names.values())
    return {s: name if name == s and folded[name.casefold()] == 1 else
            f"{name}-{hashlib.sha256(os.fsencode(s)).hexdigest()[:6]}" for s, name in names.items()}


# ---- what was handed in --------------------------------------------------------------------------


@dataclass
class HandIn:
    """One student's file, or why there is none."""

    file: str = ""
    data: bytes = b""
    reason: str = ""  # why it can't be graded
    status: str = "refused"  # if there is a reason; or: nothing handed in
    when: float | None = None  # seconds since 1970
    notes: list = field(default_factory=list)


def unpack(path, folder):
    """A .zip into a folder, with the files' dates. A file that is damaged, encrypted or too large
    becomes an empty one."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{shown(path)} is a damaged .zip ({error}); download it again.") from None
    for info in archive.infolist():
        target = folder.joinpath(*(p for p in Path(info.filename).parts if p not in ("..", "/")))
        with contextlib.suppress(OSError, ValueError, OverflowError):  # odd names, odd dates
            try:
                if info.file_size > LARGEST_NOTEBOOK:
                    raise ValueError
                archive.extract(info, folder)  # never out of the folder
            except Exception:  # zipfile has many of them for what is damaged
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"")
            if not info.is_dir():
                when = time.mktime((*info.date_time, 0, 0, -1))
                os.utime(target, (when, when))


def collect(path, assignment, roster=None):
    """What everybody handed in: {student: HandIn}, in the roster's order, else by name.

    `path` is a folder or a .zip with one file or folder per student. Of several notebooks of one
    student the last counts.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        folder = path
        if not path.is_dir():
            if not zipfile.is_zipfile(path):
                raise InputError(f"{shown(path)} is no folder and no .zip; give what the "
                                 "submissions are in.")
            folder = Path(unpacked)
            unpack(path, folder)
            tops = [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]
            if len(tops) == 1 and tops[0].is_dir() and len(list(tops[0].rglob("*.ipynb"))) > 1:
                folder = tops[0]  # a folder was zipped
        by_student = {}
        for top in sorted(folder.iterdir()):
            if not top.name.startswith((".", "__MACOSX")):
                name = top.name if top.is_dir() else top.name.removesuffix(".ipynb")
                by_student.setdefault(student_of(name, roster), []).append(top)
        if not by_student:
            raise InputError(f"{shown(path)} holds no submissions; put one .ipynb or one folder "
                             "per student into it.")
        found = {student: choose(tops, folder, assignment.split("_")[0])
                 for student, tops in sorted(by_student.items())}
    if roster is None:
        return found
    nobody = HandIn(reason="nothing was handed in", status="nothing handed in")
    for student in set(found) - set(roster):
        found[student].reason = "nobody in the roster has this name; rename it, or add a line"
    return {s: found.get(s, nobody) for s in [*roster, *sorted(set(found) - set(roster))]}


def choose(tops, folder, prefix):
    """A student's last notebook, of all their files and folders."""
    notebooks = [p for top in tops for p in ([top] if not top.is_dir() else sorted(
        top.rglob("*.ipynb"))) if p.suffix == ".ipynb" and not p.is_dir() and not any(
            part.startswith((".", "__MACOSX")) for part in p.relative_to(folder).parts)]
    named = [p for p in notebooks if p.name.startswith(prefix) or p.parent == folder] or notebooks
    if not named:
        return HandIn(tops[0].name, reason="it holds no notebook (.ipynb)" if tops[0].is_dir()
                      else "it is no notebook (.ipynb)")
    last = max(named, key=lambda p: (p.lstat().st_mtime, p.as_posix()))
    hand_in = HandIn(last.relative_to(folder).as_posix(), when=last.lstat().st_mtime)
    if len(named) > 1 and not (last.name.startswith(prefix) or last.parent == folder):
        hand_in.reason = f"it holds {len(named)} notebooks, and none is named {prefix}*.ipynb"
    elif last.is_symlink():
        hand_in.reason = "it is a link, not a file"
    else:
        with last.open("rb") as file:
            hand_in.data = file.read(LARGEST_NOTEBOOK + 1)  # read_notebook refuses what is larger
        if not hand_in.data:
            hand_in.reason = "it is empty, or damaged or larger than 25 MB in the .zip"
    if len(named) > 1:
        hand_in.notes.append(f"{len(named)} notebooks; the last counts: {hand_in.file}")
    return hand_in


# ---- the roster ----------------------------------------------------------------------------------


def read_roster(path):
    """{student: row} of a CSV with a column `student`, or of Moodle's grading worksheet."""
    rows = read_table(path)
    columns = set(rows[0]) if rows else set()
    if not columns & {"student", "Identifier"}:
        raise InputError(f"{shown(path)} is no roster: its first line needs a column `student`, or "
                         "those of Moodle's grading worksheet (Identifier, Full name, Grade); then "
                         "comes a line for each student.")
    roster = {}
    for line, row in enumerate(rows, 2):
        name = (row.get("student") or row.get("Full name") or row.get("Identifier") or "").strip()
        if name in roster and "Identifier" in row:
            name += f" ({row['Identifier']})"  # Moodle's numbers tell them apart
        if name in {"", *roster}:
            raise InputError(f"{shown(path)}, line {line}: there is no name, or it stands there "
                             f"twice: {shown(name)}.")
        roster[name] = row
    return roster


def student_of(name, roster):
    """Whose a file or folder is: by Moodle's number in its name, by the name, or by a name with
    `_...` behind it. Its own name, if nobody's or if there is no roster."""
    found = []
    for student, row in (roster or {}).items():
        moodle = re.sub(r"\D", "", row.get("Identifier", ""))
        if moodle and re.search(rf"_{moodle}_assignsubmission", name):
            return student
        if f"{name}_".casefold().startswith(f"{student}_".casefold()):
            found.append(student)
    return max(found, key=len) if found else name


def lateness(hand_in, row, due):
    """'' in time; else how late, by the file's date, or what the roster says of it."""
    said = re.search(r".*\blate\b.*", row.get("Status", ""), re.I)
    if said or row.get("late", "").strip().lower() not in ("", "0", "no", "false"):
        return (said[0] if said else row["late"]).strip()
    if due is None or hand_in.when is None or hand_in.when <= due:
        return ""
    return str(datetime.timedelta(seconds=int(hand_in.when - due)))


# ---- a class -------------------------------------------------------------------------------------


def fingerprint(*parts):
    return hashlib.sha256(json.dumps([*parts, sys.version, Path(check.__file__).read_text(
        "utf-8")]).encode()).hexdigest()


def grade_class(master, limits, hand_ins, out, jobs, seeds):
    """Grade everybody who has not been; {student: result}. Interrupted: KeyboardInterrupt, and
    what is done is in out/work, for the next call."""
    names = file_names(hand_ins)
    results, open_ones = {}, []
    text = nbformat.writes(master.notebook)
    for student, hand_in in hand_ins.items():
        seed = seeds.get(student_of(student, {name: {} for name in seeds})) if seeds else None
        if seeds and seed is None and not hand_in.reason:
            hand_in.reason = ("no line of --seeds has this student; add one, or rename the "
                              "submission")
        result = {"student": student, "file": hand_in.file, "master": master.name,
                  "seed": seed, "points": 0, "out_of": master.points, "by_hand": 0,
                  "questions": [], "flags": [], "status": hand_in.reason and hand_in.status,
                  "reason": hand_in.reason}
        result["fingerprint"] = fingerprint(text, result, limits.cell, limits.total, limits.memory,
                                            hashlib.sha256(hand_in.data).hexdigest())
        kept = out / "work" / f"{names[student]}.json"
        before = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
        if before.get("fingerprint") == result["fingerprint"] and before["status"] != "failed":
            results[student] = before
        else:
            open_ones.append((result, hand_in))

    def work(result, hand_in):
        try:
            if not result["reason"]:
                its = master if result["seed"] is None else with_seed(master, result["seed"])
                notebook = read_notebook(hand_in.data, hand_in.file)
                result |= check.grade(its, read_submission(notebook, its), limits)
                result["status"] = "graded"
        except InputError as error:
            result |= {"status": "refused", "reason": str(error)}
        except Exception as error:  # a submission that we did not foresee; the class goes on
            result |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        return result

    pool = ThreadPoolExecutor(jobs)
    futures = [pool.submit(work, *one) for one in open_ones]
    try:
        with tqdm(total=len(hand_ins), initial=len(results), desc="graded", unit="student",
                  file=sys.stderr) as progress:
            for future in as_completed(futures):
                result = future.result()
                write(out / "work" / f"{names[result['student']]}.json", json.dumps(result))
                results[result["student"]] = result
                progress.update()
    finally:
        limits.stop.set()
        pool.shutdown(cancel_futures=True)
    return {student: results[student] for student in hand_ins}


def try_master(master, limits, out):
    """Does it work here at all? Better said now than by a class of zeros. Once is enough."""
    mark, ours = out / "work" / ".master", fingerprint(nbformat.writes(master.notebook))
    if mark.exists() and mark.read_text("utf-8") == ours:
        return
    for q in check.grade(master, read_submission(master.notebook, master), limits)["questions"]:
        if q["points"] == 0 < q["out_of"]:
            raise InputError(f"{master.name}: its own answer to {q['name']} gets no points "
                             f"({q['message']}); give the master, with its solutions.")
    write(mark, ours)


def find_other_seeds(hand_ins, master):
    """A class released with --students and graded without --seeds would lose points in silence."""
    lines = {student: re.search(rb'(?:"|\\n)SEED = (\d{1,9})', hand_in.data)
             for student, hand_in in hand_ins.items()}
    seeds = {student: int(line[1]) for student, line in lines.items() if line and master.seed}
    other = [student for student, seed in seeds.items() if seed != int(master.seed[1])]
    if len(other) * 2 > len(seeds):
        raise InputError(f"{len(other)} of {len(seeds)} notebooks have a SEED of their own (that "
                         f"of {shown(other[0])} is {seeds[other[0]]}); give --seeds and the "
                         "seeds.csv of release.")
    for student in other:
        hand_ins[student].notes.append(f"SEED was {seeds[student]}; graded with {master.seed[0]}")


def with_the_rest(result, hand_in, late, given, show_hidden):
    """A copy of a result with what a person has given and what is known of the file."""
    result = copy.deepcopy(result)
    for q in result["questions"]:
        if (result["student"], q["name"]) in given:  # also where an empty answer had its 0
            points, comment = given[result["student"], q["name"]]
            q["points"], q["message"] = q["points"] if points is None else points, comment
        hidden = q.pop("hidden")
        if show_hidden and hidden:
            q["message"] += f": {hidden}"
    result["points"] = sum(q["points"] or 0 for q in result["questions"])
    result["by_hand"] = sum(q["out_of"] for q in result["questions"] if q["points"] is None)
    result["late"] = late
    result["flags"] = hand_in.notes + result["flags"] + [f"late: {late}"] * bool(late)
    return result


def write_reports(out, master, results, roster):
    """grades.csv, class.html, gradebook.csv, and each student's page."""
    pages = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True,
                               trim_blocks=True, lstrip_blocks=True)
    names = file_names(results)
    feedback = pages.get_template("feedback.html")
    for student, result in results.items():
        path = out / "students" / names[student]
        write(path.with_name(path.name + ".json"), json.dumps(result, indent=1))
        write(path.with_name(path.name + ".html"), feedback.render(result, number=number))
    rows = [[r["student"], r["points"], r["out_of"], r["by_hand"], r["status"], r["late"],
             *([q["points"] for q in r["questions"]] or [""] * len(master.questions)),
             "; ".join(r["flags"]), r["reason"], r["file"]] for r in results.values()]
    write(out / "grades.csv", as_csv(
        ["student", "points", "out_of", "waiting", "status", "late",
         *(q.name for q in master.questions), "flags", "reason", "file"], rows))
    table = []
    for n, q in enumerate(master.questions):
        known = [r["questions"][n] for r in results.values()
                 if r["questions"] and r["questions"][n]["points"] is not None]
        lost = Counter(k["message"].split("\n")[0] for k in known if k["points"] < q.points)
        table.append({"q": q, "mean": sum(k["points"] for k in known) / max(1, len(known)),
                      "full": sum(k["points"] == q.points for k in known), "of": len(known),
                      "commonest": lost.most_common(1)[0] if lost else ("", 0)})
    write(out / "class.html", pages.get_template("class.html").render(
        master=master, table=table, number=number, results=results, pages=names,
        statuses=Counter(r["status"] for r in results.values())))
    if roster and "Grade" in next(iter(roster.values())):
        rows = [moodle_row(row, results[student]) for student, row in roster.items()]
        write(out / "gradebook.csv", as_csv(rows[0], [row.values() for row in rows], formula=""))


def moodle_row(row, result):
    """A line of Moodle's worksheet, filled in once all points are given."""
    if result["status"] != "graded" or result["by_hand"]:
        return row
    lost = [f"{q['title'] or q['name']}: {number(q['points'])} of {number(q['out_of'])}. "
            f"{q['message']}" for q in result["questions"] if q["points"] < q["out_of"]]
    # on one line, and without what PHP takes for an escape
    text = " ".join(" ".join(lost).replace("\\", "/").split())
    return {key: {"Grade": number(result["points"]), "Feedback comments": text}.get(key, value)
            for key, value in row.items()}


def write_by_hand(out, master, results, given):
    """by_hand.md, what there is to read; by_hand.csv, where the points go."""
    sheet = [f"# {master.name}: by hand", "Points and comments go into by_hand.csv; then grade "
             "again: nothing is run twice."]
    rows = {}
    for n, q in enumerate(master.questions):
        if q.test:
            continue
        sheet += [f"## {q.name}, {number(q.points)} points", master.cells[q.name].source]
        for student, result in results.items():
            if result["questions"] and result["questions"][n]["by_hand"]:
                its = result["questions"][n]
                seed = "" if result["seed"] is None else f", SEED = {result['seed']}"
                # quoted: an open code fence must not swallow the next answer
                quoted = "\n".join("> " + line for line in its["answer"].splitlines())
                sheet += [f"### {student}: {q.name}{seed}", quoted]
                rows[student, q.name] = number(its["points"]), q.points, its["message"]
    for key, (points, comment) in given.items():  # of somebody else: kept
        rows.setdefault(key, (number(points), "", comment))
    if rows:
        write(out / "by_hand.csv", as_csv(["student", "question", "points", "out_of", "comment"],
                                          [(*key, *row) for key, row in rows.items()]))
        write(out / "by_hand.md", "\n\n".join(sheet) + "\n")


def command_grade(args):
    master, limits = read_master(args.master), check.limits_of(args)
    out = args.out or Path("grades", master.name)
    roster = read_roster(args.roster) if args.roster else None
    hand_ins = collect(args.submissions, master.name, roster)
    seeds = read_seeds(args.seeds) if args.seeds else None
    given = read_by_hand(out / "by_hand.csv", master)
    if seeds:
        with_seed(master, 0)  # that it has a place for them
    else:
        find_other_seeds(hand_ins, master)
    try_master(master, limits, out)
    results = grade_class(master, limits, hand_ins, out, args.jobs, seeds)
    results = {student: with_the_rest(
        result, hand_ins[student], lateness(hand_ins[student], (roster or {}).get(student, {}),
                                            args.due), given, args.show_hidden)
        for student, result in results.items()}
    write_reports(out, master, results, roster)
    write_by_hand(out, master, results, given)
    count = Counter(r["status"] for r in results.values())
    print(f"{count['graded']} graded, {count['refused']} refused, {count['failed']} failed"
          + (f", {count['nothing handed in']} handed in nothing" if roster else "")
          + f"; {sum(bool(r['flags']) for r in results.values())} with flags: {out / 'grades.csv'}")
    for student, result in results.items():
        if result["status"] in ("refused", "failed"):
            print(f"{shown(student)}: {result['status']}: {result['reason']}")
    return 1 if count["failed"] else 0


def a_date(text):
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a date such as 2026-03-01T23:59, not {text}"
                                         ) from None


def parser():
    top = Parser(prog="grade.py", description=__doc__,
                 formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("release", help="make the version for students: no solutions, no "
                                  "hidden tests, no outputs; check.py beside it")
    command.set_defaults(run=command_release)
    command.add_argument("master", type=Path, nargs="+", help="a master notebook")
    command.add_argument("--out", type=Path, default=Path("release"), help="a folder (release)")
    command.add_argument("--students", type=Path, metavar="FILE",
                         help="a name per line: one folder each, with numbers of their own, and "
                         "seeds.csv, which you keep")
    command.add_argument("--first-seed", type=at_least(int, 0), default=1, metavar="N",
                         help="the first student's seed; another one each year (1)")

    command = commands.add_parser("grade", help="grade a folder or zip of submissions; what was "
                                  "graded before, and has not changed, is not run again")
    command.set_defaults(run=command_grade)
    command.add_argument("master", type=Path, help="the master notebook")
    command.add_argument("submissions", type=Path,
                         help="a folder or .zip with one notebook or one folder per student")
    command.add_argument("--out", type=Path, help="a folder (grades/ and the master's name)")
    command.add_argument("--roster", type=Path, metavar="FILE", help="a CSV with a column "
                         "`student`, or Moodle's grading worksheet: a row for everybody in it")
    command.add_argument("--due", type=a_date, metavar="DATE",
                         help="such as 2026-03-01T23:59: what is newer is marked as late")
    command.add_argument("--seeds", type=Path, metavar="FILE", help="the seeds.csv of release")
    command.add_argument("--show-hidden", action="store_true",
                         help="messages of hidden tests in the feedback: after the deadline")
    command.add_argument("--jobs", type=at_least(int, 1), default=1, metavar="N",
                         help="submissions at a time, one core each (1)")
    check.add_limits(command)
    return top


def main(arguments=None):
    args = parser().parse_args(arguments)
    return check.guarded(f"grade.py {args.command}", args.run, args)


if __name__ == "__main__":
    sys.exit(main())
