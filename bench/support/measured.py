"""measured.py - runs one program under one heap and returns what it cost and said.

The work is done by measure.c (its opening says why it is a program of its
own); this module builds it, starts it, keeps the time limit and hashes the
output, which is how a wrong answer shows.
"""
import hashlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent


@dataclass
class Measurement:
    exit_code: int
    max_rss: int         # bytes, of the largest process
    cpu_s: float         # user and system, of all processes
    wall_s: float
    minor_faults: int
    digest: str          # of standard output
    errors: str          # the end of standard error

    def as_dict(self):
        return dict(self.__dict__)


def compile_c(source, target, static=False):
    """Builds a small C program; raises RuntimeError with the compiler's words."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-14")
    if compiler is None:
        raise RuntimeError("no C compiler (cc, gcc, clang-14); install gcc")
    command = [compiler, "-O2", "-o", str(target), str(source)]
    done = subprocess.run(command + (["-static"] if static else []), capture_output=True, text=True)
    if done.returncode != 0 and static:  # no libc.a here: a dynamic one is a little larger
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return str(target)


def digest_of(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()[:16]


class Runner:
    """Measures programs; `work` is a folder that it may fill."""

    def __init__(self, work):
        self.work = Path(work)
        self.measure = compile_c(_HERE / "measure.c", self.work / "measure", static=True)
        self._count = 0

    def start(self, command, heap, cwd=None, stdin=None, environment=None):
        """Starts `command` on `heap`; finish() ends the measurement."""
        self._count += 1
        stem = self.work / f"run{self._count}"
        # The harness and its helpers stay on glibc; measure preloads into the program alone.
        env = dict(os.environ, LC_ALL="C.UTF-8", **(environment or {}))
        env.pop("LD_PRELOAD", None)
        with open(f"{stem}.out", "wb") as out, open(f"{stem}.err", "wb") as err, \
                open(stdin or os.devnull, "rb") as source:
            process = subprocess.Popen(
                [self.measure, f"{stem}.result", heap.library, *map(str, command)],
                stdin=source, stdout=out, stderr=err, cwd=cwd or self.work, env=env,
                start_new_session=True)
        process.stem = stem
        return process

    def finish(self, process, timeout=900):
        stem = process.stem
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # a session of its own: only what we started
            process.wait()
        with open(f"{stem}.err", encoding="utf-8", errors="replace") as file:
            errors = file.read()
        not_loaded = "cannot be preloaded" in errors  # the linker warns and goes on without
        errors = errors[-2000:]
        try:
            with open(f"{stem}.result", encoding="ascii") as file:
                code, rss, cpu, wall, minor, _major = map(int, file.read().split())
        except (OSError, ValueError):
            code, rss, cpu, wall, minor = 124, 0, 0, int(timeout * 1e6), 0
            errors += f"\nno result after {timeout} s"
        code = 126 if not_loaded and code == 0 else code
        result = Measurement(code, rss * 1024, cpu / 1e6, wall / 1e6, minor,
                             digest_of(f"{stem}.out"), errors)
        for end in (".out", ".err", ".result"):
            Path(f"{stem}{end}").unlink(missing_ok=True)
        return result

    def run(self, command, heap, timeout=900, **how):
        return self.finish(self.start(command, heap, **how), timeout)
