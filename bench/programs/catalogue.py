"""catalogue.py - the real programs: what each needs, runs, and must answer.

A program is a name, the commands it needs, and run(runner, heap) -> Measurement.
Its answer is the hash of what it printed (or wrote), which must be the same
under every heap. Programs that print times say their answer in `answer` instead.

  program         what bears on the heap
  redis           1e6 requests, 50 clients, several kinds of values (redis.py)
  sqlite3         1e6 rows in memory: inserts, indices, joins, deletes, vacuum
  python3-tests   Python's own tests of dict, list, json, threading, fork
  python3-malloc  a script with PYTHONMALLOC=malloc: every object one malloc
  perl            hashes, a regular expression, sorting
  git             clone, gc and log of this repository and of a generated one
  g++, clang++    compiling the file of this tree with the most to compile
  node            objects, buffers, JSON, zlib
  jq              grouping 100,000 JSON records
  xz              compressing 13 MB: few and large blocks
  awk             counting words and pairs of words
  cmake           strings and lists in cmake's language
"""
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import redis
from inputs import COMPILE, Inputs
from support.measured import digest_of

ALL_PASS = "every test passed"
SCRIPTS = Path(__file__).resolve().parent / "scripts"


@dataclass
class Program:
    name: str
    needs: list          # commands that must be installed
    package: str         # Debian package(s) to name when they are not
    run: Callable        # (runner, heap) -> Measurement
    usable: Callable = lambda: None   # a reason why it cannot run, or None
    expected: str = ""                # the answer, where it is known without glibc's run

    def missing(self):
        """Why this program cannot run here, or None."""
        absent = [need for need in self.needs if shutil.which(need) is None]
        if absent:
            return f"{', '.join(absent)} not installed (apt-get install {self.package})"
        return self.usable()


def _file_answer(result, path):
    """Replaces the answer by the hash of a file that the program wrote."""
    result.digest = digest_of(path) if os.path.exists(path) else "no file"
    Path(path).unlink(missing_ok=True)
    return result


def _simple(command, environment=None, stdin=None):
    def run(runner, heap):
        return runner.run([part() if callable(part) else part for part in command], heap,
                          environment=environment, stdin=stdin and stdin())
    return run


def _python_tests(modules):
    def run(runner, heap):
        result = runner.run(["/usr/bin/python3", "-m", "test", *modules], heap)
        # Its output holds times; its exit code says whether every test passed.
        result.digest = ALL_PASS if result.exit_code == 0 else "failed"
        return result
    return run


def _python_tests_usable():
    done = subprocess.run(["/usr/bin/python3", "-c", "import test.test_dict"], capture_output=True)
    return None if done.returncode == 0 else (
        "python3's test modules not installed (apt-get install libpython3.11-testsuite)")


def _git(inputs):
    script = """set -e
        for source in "$@"; do
            rm -rf copy
            git clone -q --no-hardlinks "$source" copy
            git -C copy gc -q --prune=now
            git -C copy log --stat --format='%H %an %s' | sha256sum
            git -C copy rev-list --objects --all | sort | sha256sum
            git -C copy fsck --no-progress
        done
        rm -rf copy"""

    def run(runner, heap):
        sources = [str(path) for path in (inputs.own_git(), inputs.generated_git()) if path]
        return runner.run(["sh", "-c", script, "git", *sources], heap,
                          environment={"GIT_CONFIG_GLOBAL": os.devnull})
    return run


def _compiler(name, inputs):
    def run(runner, heap):
        target = runner.work / "compiled.o"
        result = runner.run([name, *COMPILE, "-c", inputs.heaviest(), "-o", target], heap)
        return _file_answer(result, target)
    return run


def programs(work, scale=1.0, compile_file=None):
    """Every program, in the order in which they run; inputs are made on first use."""
    inputs = Inputs(work, scale, compile_file)
    tests = ["test_dict", "test_list", "test_json", "test_threading", "test_fork1"]

    def count(full):
        return str(max(1, int(full * scale)))

    def no_source():
        return None if inputs.heaviest() else "no source file of this tree compiles here"

    return [
        Program("redis", ["redis-server", "redis-benchmark", "redis-cli"], "redis-server",
                lambda runner, heap: redis.run(runner, heap, scale)),
        Program("sqlite3", ["sqlite3"], "sqlite3", _simple(["sqlite3", ":memory:"],
                                                           stdin=inputs.rows)),
        Program("python3-tests", ["/usr/bin/python3"], "python3", _python_tests(tests),
                _python_tests_usable, ALL_PASS),
        Program("python3-malloc", ["/usr/bin/python3"], "python3",
                _simple(["/usr/bin/python3", SCRIPTS / "objects.py", count(200_000)],
                        environment={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})),
        Program("perl", ["perl"], "perl",
                _simple(["perl", SCRIPTS / "hashes.pl", count(120_000)],
                        environment={"PERL_HASH_SEED": "0"})),
        Program("git", ["git"], "git", _git(inputs)),
        Program("g++", ["g++"], "g++", _compiler("g++", inputs), no_source),
        Program("clang++", ["clang++-14"], "clang-14", _compiler("clang++-14", inputs), no_source),
        Program("node", ["node"], "nodejs", _simple(["node", SCRIPTS / "objects.js",
                                                     count(200_000)])),
        Program("jq", ["jq"], "jq", _simple(
            ["jq", "-c", "group_by(.group) | map({group: .[0].group, n: length, "
             "sum: (map(.values | add // 0) | add), names: (map(.name) | unique | length)}) "
             "| sort_by(.sum)", inputs.records])),
        Program("xz", ["xz"], "xz-utils", _simple(["xz", "-2", "-T1", "-c", inputs.text])),
        Program("awk", ["awk"], "mawk", _simple(["awk", "-f", SCRIPTS / "words.awk", inputs.text])),
        Program("cmake", ["cmake"], "cmake", _simple(["cmake", f"-DCOUNT={count(20_000)}", "-P",
                                                      SCRIPTS / "lists.cmake"])),
    ]
