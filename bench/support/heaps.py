"""heaps.py - the heaps that are compared, where they are, and how a program gets one.

Every heap comes in by LD_PRELOAD, glibc's included: Debian links redis-server
to jemalloc, so "no preload" would measure jemalloc under glibc's name. Naming
libc.so.6 first puts its malloc before any other library's.

  name               Debian package          library
  glibc              libc6                   libc.so.6
  jemalloc           libjemalloc2            libjemalloc.so.2
  tcmalloc           libgoogle-perftools4    libtcmalloc.so.4          (can profile)
  tcmalloc_minimal   libtcmalloc-minimal4    libtcmalloc_minimal.so.4  (cannot)
  mimalloc           libmimalloc2.0          libmimalloc.so.2.0
  steady             this tree               BUILD/lib/libsteady_malloc.so
"""
import glob
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = "steady"

_PEERS = [  # name, package, library
    ("glibc", "libc6", "libc.so.6"),
    ("jemalloc", "libjemalloc2", "libjemalloc.so.2"),
    ("tcmalloc", "libgoogle-perftools4", "libtcmalloc.so.4"),
    ("tcmalloc_minimal", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
    ("mimalloc", "libmimalloc2.0", "libmimalloc.so.2.0"),
]


@dataclass(frozen=True)
class Heap:
    name: str
    library: str
    version: str

    def environment(self):
        """The environment of a program that is to run on this heap."""
        env = dict(os.environ)
        env["LD_PRELOAD"] = self.library
        env["LC_ALL"] = "C.UTF-8"
        return env


def _package_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                          capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _library_path(file_name):
    machine = os.uname().machine
    for folder in (f"/usr/lib/{machine}-linux-gnu", f"/lib/{machine}-linux-gnu", "/usr/lib64",
                   "/usr/lib", "/lib64", "/usr/local/lib"):
        if os.path.exists(f"{folder}/{file_name}"):
            return f"{folder}/{file_name}"
    return None


def newest(pattern, build=None):
    """The newest file BUILD/pattern; without a build, of any folder in ROOT/build."""
    folders = [str(build)] if build else glob.glob(f"{ROOT}/build/*")
    found = [path for folder in folders for path in glob.glob(f"{folder}/{pattern}")]
    return max(found, key=os.path.getmtime) if found else None


def find_heaps(build=None, library=None, wanted=None):
    """Returns (heaps, notes): every heap on this machine, ours last, and a line for each absent one.

    `build`    a build folder; default: release or bench below ROOT/build, whichever is newer.
    `library`  our library, when it is somewhere else.
    `wanted`   names to keep; an unknown one raises ValueError.
    """
    names = [name for name, _, _ in _PEERS] + [OURS]
    for name in wanted or []:
        if name not in names:
            raise ValueError(f"no heap is called '{name}'; there are {', '.join(names)}")
    heaps, notes = [], []
    for name, package, file_name in _PEERS:
        if wanted and name not in wanted:
            continue
        path = _library_path(file_name)
        if path:
            heaps.append(Heap(name, path, _package_version(package)))
        else:
            notes.append(f"{name} is left out: {file_name} is not here (Debian package {package}).")
    if not wanted or OURS in wanted:
        # A debug build carries its checks; its figures would be figures of the checks.
        candidates = [library] if library else [
            newest("lib/libsteady_malloc.so", folder)
            for folder in ([build] if build else [ROOT / "build/bench", ROOT / "build/release"])]
        path = max((c for c in candidates if c and os.path.exists(c)), key=os.path.getmtime,
                   default=None)
        if path:
            heaps.append(Heap(OURS, os.path.abspath(path), "this tree"))
        else:
            notes.append(f"{OURS} is left out: libsteady_malloc.so is not built "
                         "(cmake --preset bench && cmake --build build/bench).")
    return heaps, notes
