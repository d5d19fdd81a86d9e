"""machine.py - where a figure was taken: machine, kernel, compiler, commit, load.

A figure without these is a rumour. The load average is read before and after,
because on a shared machine it explains more than the processor's name does.
"""
import os
import platform
import subprocess
import time

from support.heaps import ROOT


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def _first_line(path, key=None):
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if key is None:
                    return line.strip()
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown"


def commit():
    """The commit of the tree, with a + when tracked files differ from it."""
    head = _output("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    return head + ("+" if _output("git", "status", "--porcelain", "-uno") else "")


def facts(heaps):
    """A dict of strings that goes beside every table."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": f"{_first_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} CPUs",
        "memory": _first_line("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "huge pages": _first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "glibc": platform.libc_ver()[1],
        "heaps": ", ".join(f"{heap.name} {heap.version}" for heap in heaps),
        "commit": commit(),
        "load before": "%.2f" % os.getloadavg()[0],
    }


def finish(known):
    """Adds what is known only afterwards, and says when the machine was not ours."""
    known["load after"] = "%.2f" % os.getloadavg()[0]
    # A run by itself keeps about one CPU busy before the end, and none before the start.
    if float(known["load before"]) > 0.5 * os.cpu_count():
        known["beware"] = "the machine was busy; compare ratios, not figures, and repeat when idle"
    return known


def print_facts(known, out, markdown=False):
    width = max(len(name) for name in known)
    for name, value in known.items():
        print(f"- {name}: {value}" if markdown else f"{name:<{width}}  {value}", file=out)
