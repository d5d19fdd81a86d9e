#!/usr/bin/env python3
"""live_fuzz.py - random scripts, run by steady and by Go's real runtime; 0 differences.

  tests/oracle/live_fuzz.py --steady build/release/bin/steady
  tests/oracle/live_fuzz.py --steady ... --seed 42 --scripts 20000

Each run draws a new seed, prints it, and makes everything from it, so a run can be
repeated. The scripts cover every key and elem type, hash, hint, profile and operation
of docs/guide/replay.md, iterators under mutation and raw dumps included; beside them
go random growths of slices and random maps measured on the heap.

A difference is cut down to the shortest script found that still shows it; its path
and the first line that differs are printed.

Exit codes: 0 no difference, 1 a difference, 2 wrong usage, 77 no go1.19 here.
"""
import argparse
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True  # leave the tree as it was
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from scripts import random_script, random_heap_case, random_sample_lines  # noqa: E402

BATCH = 100
MARK = "echo script "
FAILED = "[exit code"
SHRINKING_SECONDS = 30
TIMEOUT_SECONDS = 600


class Program:
    def __init__(self, name, command, prefix):
        self.name, self.command = name, [*command, *prefix]

    def run(self, words, text=""):
        """Returns the output, with the exit code and messages behind it when it failed."""
        done = subprocess.run([*self.command, *words], input=text.encode(), capture_output=True,
                              timeout=TIMEOUT_SECONDS)
        out = done.stdout.decode(errors="replace")
        if done.returncode != 0:
            out += f"{FAILED} {done.returncode}: {done.stderr.decode(errors='replace').strip()}]\n"
        return out


def first_difference(ours, theirs):
    a, b = ours.splitlines(), theirs.splitlines()
    for n, (x, y) in enumerate(zip(a, b), 1):
        if x != y:
            return n, x, y
    n = min(len(a), len(b))
    return n + 1, a[n] if n < len(a) else "(ends)", b[n] if n < len(b) else "(ends)"


def run_both(programs, words, text=""):
    with ThreadPoolExecutor(len(programs)) as pool:
        return list(pool.map(lambda p: p.run(words, text), programs))


def differs(programs, lines):
    """Whether steady differs on a script that Go understands."""
    ours, theirs = run_both(programs, ["map", "-"], "\n".join(lines) + "\n")
    return ours != theirs and FAILED not in theirs


def halved(line):
    """The same line with fewer operations, or None."""
    words = line.split()
    if words[0] == "gen" and int(words[3]) > 1:
        return " ".join([*words[:3], str(int(words[3]) // 2), *words[4:]])
    if words[0] == "setr" and int(words[2]) - int(words[1]) > 1:
        return " ".join([*words[:2], str((int(words[1]) + int(words[2])) // 2), *words[3:]])
    return None


def shrink(programs, lines):
    """Leaves lines out, then halves counts, as long as the outputs still differ."""
    end = time.monotonic() + SHRINKING_SECONDS
    chunk = len(lines) // 2
    while chunk > 0 and time.monotonic() < end:
        at = 0
        while at < len(lines) and time.monotonic() < end:
            shorter = lines[:at] + lines[at + chunk:]
            if shorter and differs(programs, shorter):
                lines = shorter
            else:
                at += chunk
        chunk //= 2
    for at in range(len(lines)):
        while time.monotonic() < end:
            smaller = halved(lines[at])
            if smaller is None or not differs(programs, [*lines[:at], smaller, *lines[at + 1:]]):
                break
            lines = [*lines[:at], smaller, *lines[at + 1:]]
    return lines


def excerpt(line, at):
    """The part of a long line around what differs."""
    start = max(0, at - 150)
    return ("..." if start else "") + line[start:at + 150] + ("..." if len(line) > at + 150 else "")


def report(kind, where, ours, theirs):
    n, x, y = first_difference(ours, theirs)
    at = next((i for i, (a, b) in enumerate(zip(x, y)) if a != b), min(len(x), len(y)))
    print(f"DIFFERENCE in {kind}: {where}\n  line {n}, column {at + 1}\n  steady  {excerpt(x, at)}\n"
          f"  Go      {excerpt(y, at)}")


def compare_batch(programs, scripts, keep):
    """Returns whether all scripts of the batch gave equal bytes."""
    text = "".join(f"events off\napi generic\n{MARK}{n}\n" + "\n".join(lines) + "\n"
                   for n, lines in enumerate(scripts))
    outputs = run_both(programs, ["map", "-"], text)
    if outputs[0] == outputs[1] and FAILED not in outputs[0]:
        return True
    for n, lines in enumerate(scripts):
        alone = run_both(programs, ["map", "-"], "\n".join(lines) + "\n")
        if alone[0] != alone[1] or FAILED in alone[0]:
            whole = keep / f"difference-{n}.in"
            whole.write_text("\n".join(lines) + "\n", encoding="utf-8")
            if alone[0] != alone[1]:
                short = shrink(programs, lines)
                path = keep / f"difference-{n}-short.in"
                path.write_text("\n".join(short) + "\n", encoding="utf-8")
                print(f"the whole script: {whole}")
                alone = run_both(programs, ["map", "-"], path.read_text(encoding="utf-8"))
                whole = path
            report("a script", whole, *alone)
            return False
    path = keep / "difference-batch.in"
    path.write_text(text, encoding="utf-8")
    report("a batch, though each script alone is fine", path, *outputs)
    return False


def compare_text(programs, words, text, keep):
    outputs = run_both(programs, words, text)
    if outputs[0] == outputs[1] and FAILED not in outputs[0]:
        return True
    path = keep / "difference-input.txt"
    path.write_text(text, encoding="utf-8")
    report(" ".join(words), path if text else "no input", *outputs)
    return False


def fuzz(args, programs, keep):
    draws = random.Random(args.seed)
    start = time.monotonic()
    lines = 0
    for first in range(0, args.scripts, BATCH):
        scripts = [random_script(random.Random(f"{args.seed}.{n}"))
                   for n in range(first, min(first + BATCH, args.scripts))]
        lines += sum(map(len, scripts))
        if not compare_batch(programs, scripts, keep):
            return False
    map_seconds = time.monotonic() - start
    samples = random_sample_lines(draws, args.samples)
    if not compare_text(programs, ["slice", "sample"], "\n".join(samples) + "\n", keep):
        return False
    for _ in range(args.maps):
        if not compare_text(programs, ["heap", "one", *random_heap_case(draws)], "", keep):
            return False
    print(f"0 differences: {args.scripts} scripts of {lines} lines in {map_seconds:.0f} s, "
          f"{args.samples} growing slices, {args.maps} measured maps")
    return True


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="\n".join(__doc__.splitlines()[1:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steady", required=True, help="the command, with an emulator before it if need be")
    parser.add_argument("--seed", type=int, default=None, help="default $STEADY_ORACLE_SEED, else a new one")
    parser.add_argument("--scripts", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=5000, help="lines for `slice sample`")
    parser.add_argument("--maps", type=int, default=20, help="maps for `heap one`")
    parser.add_argument("--work", help="folder for the oracle and for differences; default a new one")
    args = parser.parse_args(argv)
    if args.seed is None:
        args.seed = int(os.environ.get("STEADY_ORACLE_SEED") or random.SystemRandom().getrandbits(48))
    return args


def main(argv):
    args = parse(argv)
    work = Path(args.work or tempfile.mkdtemp(prefix="steady-oracle-"))
    work.mkdir(parents=True, exist_ok=True)
    oracle = work / "oracle"
    built = subprocess.run([str(HERE / "build"), str(oracle)], capture_output=True, text=True)
    if built.returncode == 3:
        print("skipped: there is no go1.19 here; script/bootstrap installs golang-1.19-go")
        return 77
    if built.returncode != 0:
        print(f"live_fuzz: the oracle could not be built:\n{built.stderr}", file=sys.stderr)
        return 1
    print(f"seed {args.seed} (repeat with --seed {args.seed}), {built.stdout.strip()}", flush=True)
    programs = [Program("steady", shlex.split(args.steady), ["replay"]),
                Program("Go", [str(oracle)], [])]
    return 0 if fuzz(args, programs, work) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
