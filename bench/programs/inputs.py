"""inputs.py - what the programs read, generated from a seed: no download, the
same bytes on every machine. `scale` 1 is the size the promises speak of.

  rows.sql    sqlite3: 1e6 inserts as text, then index, select, update, delete
  records.json  jq: 100,000 records          text.txt   xz and awk: 12 MB of words
  generated.git  git: 3000 commits over 1500 files, through fast-import
  heaviest    g++ and clang++: the file of this tree with the most to compile
"""
import json
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.heaps import ROOT

SEED = 20240229


def rows_sql(path, scale):
    draw = random.Random(SEED)
    count = int(1_000_000 * scale)
    with open(path, "w", encoding="ascii") as out:
        out.write("PRAGMA journal_mode = MEMORY;\n"
                  "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, weight INTEGER, note TEXT);\n"
                  "BEGIN;\n")
        for i in range(count):
            out.write(f"INSERT INTO item VALUES ({i}, 'name-{draw.randrange(count)}', "
                      f"{draw.randrange(1000)}, '{'n' * draw.randrange(40)}');\n")
        out.write(f"""COMMIT;
CREATE INDEX by_name ON item (name);
CREATE INDEX by_weight ON item (weight, name);
SELECT count(*), sum(weight), sum(length(note)) FROM item;
SELECT weight, count(*), min(name), max(name) FROM item GROUP BY weight ORDER BY weight LIMIT 20;
SELECT count(*) FROM item a JOIN item b ON a.name = b.name AND a.id < b.id;
UPDATE item SET note = note || '-' || weight, weight = weight + 1 WHERE id % 3 = 0;
DELETE FROM item WHERE weight % 5 = 0;
SELECT count(*), sum(weight), sum(length(note)), count(DISTINCT name) FROM item;
SELECT name, group_concat(id) FROM item GROUP BY name ORDER BY count(*) DESC, name LIMIT 50;
INSERT INTO item SELECT id + {count}, upper(name), weight, note FROM item WHERE weight < 300;
SELECT count(*), sum(id), max(length(note)) FROM item;
DROP INDEX by_name;
VACUUM;
PRAGMA integrity_check;
""")
    return path


def _words(draw, count):
    alphabet = "etaoinshrdlucmfwypvbgkjqxz"
    known = ["".join(draw.choices(alphabet, weights=range(26, 0, -1), k=draw.randint(1, 12)))
             for _ in range(20_000)]
    # Zipf-like: low numbers are frequent, as words of a language are.
    return [known[int(len(known) * draw.random() ** 3)] for _ in range(count)]


def text_txt(path, scale):
    draw = random.Random(SEED)
    words = _words(draw, int(1_800_000 * scale))
    with open(path, "w", encoding="ascii") as out:
        for start in range(0, len(words), 12):
            out.write(" ".join(words[start:start + 12]) + "\n")
    return path


def records_json(path, scale):
    draw = random.Random(SEED)
    with open(path, "w", encoding="ascii") as out:
        json.dump([{"id": i, "group": draw.randrange(500), "name": f"n{draw.randrange(10**6)}",
                    "values": [draw.randrange(1000) for _ in range(draw.randrange(8))],
                    "inner": {"flag": draw.random() < 0.5, "text": "t" * draw.randrange(30)}}
                   for i in range(int(100_000 * scale))], out)
    return path


def _git(folder, *arguments, **how):
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True,
                          capture_output=True, **how)


def generated_git(path, scale):
    """A bare repository; commit times and authors are fixed, so its hashes are too."""
    draw = random.Random(SEED)
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True, capture_output=True)
    words = _words(draw, 50_000)
    files = {}
    stream = bytearray()
    for commit in range(max(20, int(3000 * scale))):
        stamp = 1_600_000_000 + commit * 60
        stream += (f"commit refs/heads/main\nauthor A <a@example.org> {stamp} +0000\n"
                   f"committer A <a@example.org> {stamp} +0000\ndata <<E\ncommit {commit}\nE\n").encode()
        for _ in range(draw.randint(1, 6)):
            name = f"folder{draw.randrange(40)}/file{draw.randrange(max(10, int(1500 * scale)))}.txt"
            lines = files.setdefault(name, [])
            at = draw.randint(0, len(lines))
            start = draw.randrange(len(words) - 200)
            lines[at:at + draw.randint(0, 3)] = [" ".join(words[start + i:start + i + 10])
                                                 for i in range(0, 10 * draw.randint(1, 20), 10)]
            text = ("\n".join(lines) + "\n").encode()
            stream += f"M 100644 inline {name}\ndata {len(text)}\n".encode() + text + b"\n"
    _git(path, "fast-import", "--quiet", input=bytes(stream))
    _git(path, "symbolic-ref", "HEAD", "refs/heads/main")
    return path


def own_git(path):
    """A bare copy of this tree's own repository as it is now, or None outside of one."""
    done = subprocess.run(["git", "clone", "-q", "--bare", "--no-hardlinks", str(ROOT), str(path)],
                          capture_output=True)
    return path if done.returncode == 0 else None


COMPILE = ["-std=c++20", "-O2", "-w",
           *(f"-I{ROOT / folder}" for folder in ("include", "tests", "bench", "tools")),
           '-DSTEADY_TEST_PROGRAMS=""', f'-DSTEADY_SOURCE_DIR="{ROOT}"',
           '-DSTEADY_MALLOC_LIBRARY_PATH=""', '-DSTEADY_COMMAND_PATH=""']


def _preprocessed_size(path):
    done = subprocess.run(["g++", *COMPILE, "-E", "-P", str(path)], capture_output=True)
    return len(done.stdout) if done.returncode == 0 else 0


def heaviest_file():
    """The source of this tree with the most text after preprocessing, or None without g++."""
    if shutil.which("g++") is None:
        return None
    sources = [path for folder in ("src", "tests", "tools", "bench")
               for path in sorted((ROOT / folder).rglob("*.cpp"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sizes = list(pool.map(_preprocessed_size, sources))
    heaviest = max(zip(sizes, sources), default=(0, None))
    return heaviest[1] if heaviest[0] > 0 else None


class Inputs:
    """Makes each input when a program first asks for it, once per invocation."""

    def __init__(self, work, scale, compile_file=None):
        self.work, self.scale = Path(work), scale
        self._made = {"heaviest": Path(compile_file).resolve()} if compile_file else {}

    def _once(self, name, make):
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def rows(self):
        return self._once("rows", lambda: rows_sql(self.work / "rows.sql", self.scale))

    def text(self):
        return self._once("text", lambda: text_txt(self.work / "text.txt", self.scale))

    def records(self):
        return self._once("records", lambda: records_json(self.work / "records.json", self.scale))

    def generated_git(self):
        return self._once("generated", lambda: generated_git(self.work / "generated.git", self.scale))

    def own_git(self):
        return self._once("own", lambda: own_git(self.work / "own.git"))

    def heaviest(self):
        return self._once("heaviest", heaviest_file)
