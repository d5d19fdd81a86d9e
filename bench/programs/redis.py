"""redis.py - redis-server under a heap, loaded by redis-benchmark on loopback.

  1  start the server on a free port, nothing saved to disk
  2  database 1: a deterministic load through redis-cli --pipe; DEBUG DIGEST
  3  database 0: redis-benchmark, 50 clients, 1e6 requests of each kind, 16 in
     flight per client; values grow from 24 to 200 bytes in the second pass,
     which leaves the holes that fragment a heap
  4  read VmHWM and VmRSS of the server: the figures of this program
  5  empty database 0, DEBUG DIGEST again: it must equal step 2's, and so it
     must under every heap
  6  shut down; the exit code counts

Only the server runs on the heap. Debian's redis-server is linked to jemalloc
and calls its mallctl at start, so under any other heap an unused jemalloc of
about 1 MiB sits beside it: the same for every heap but jemalloc.
"""
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

KINDS = [("set", 24), ("set", 200), ("lpush", 24), ("sadd", 24), ("hset", 100), ("zadd", 24),
         ("get", 24)]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _client(port, *arguments, **how):
    return subprocess.run(["redis-cli", "-p", str(port), *arguments], capture_output=True,
                          text=True, timeout=300, **how).stdout.strip()


def _wait_until_up(port, process):
    for _ in range(500):
        if process.poll() is not None:
            return False
        if _client(port, "ping") == "PONG":
            return True
        time.sleep(0.02)
    return False


def _load(count):
    """Commands in redis's inline form, the same in every run."""
    draw = random.Random(20240229)
    lines = ["SELECT 1"]
    for i in range(count):
        kind, key, size = draw.randrange(5), draw.randrange(count), draw.randrange(1, 120)
        lines.append((f"SET s{key} {'v' * size}",
                      f"RPUSH l{key % 500} {'w' * size}",
                      f"HSET h{key % 2000} f{i % 300} {'x' * size}",
                      f"SADD t{key % 1000} {'y' * (size % 20)}{i}",
                      f"DEL s{draw.randrange(count)}")[kind])
    return "\n".join(lines) + "\n"


def _memory(pid):
    """(VmHWM, VmRSS) in bytes."""
    fields = dict(line.split(":", 1) for line in
                  Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
                  if ":" in line)
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS"))


def run(runner, heap, scale):
    requests = str(max(1000, int(1_000_000 * scale)))
    port = _free_port()
    home = runner.work / "redis"
    home.mkdir(exist_ok=True)
    server = runner.start(
        ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--dir", home, "--enable-debug-command", "yes", "--logfile", ""], heap)
    answer, peak, after = "", 0, {}
    try:
        if not _wait_until_up(port, server):
            answer = "the server did not answer"
        else:
            lines = _client(port, "info", "server").splitlines()
            pid = int(next(line for line in lines if line.startswith("process_id:")).split(":")[1])
            piped = _client(port, "--pipe", input=_load(int(100_000 * scale) or 1000))
            digest = _client(port, "debug", "digest")
            failures = [] if "errors: 0" in piped else ["the load had errors"]
            for kind, size in KINDS:
                done = subprocess.run(
                    ["redis-benchmark", "-p", str(port), "-q", "-c", "50", "-P", "16",
                     "-n", requests, "-r", requests, "-d", str(size), "-t", kind],
                    capture_output=True, timeout=600)
                failures += [f"redis-benchmark {kind} failed"] if done.returncode else []
            if _client(port, "llen", "mylist") != requests:
                failures.append("the list is not as long as it was made")
            peak, after["rss_loaded"] = _memory(pid)
            _client(port, "flushdb")
            if _client(port, "debug", "digest") != digest:
                failures.append("database 1 changed")
            time.sleep(1)
            after["rss_flushed"] = _memory(pid)[1]
            answer = "; ".join(failures) or digest
            _client(port, "shutdown", "nosave")
    except (subprocess.TimeoutExpired, OSError, StopIteration, ValueError) as wrong:
        answer = f"the server went away: {wrong!r}"
    result = runner.finish(server, timeout=30)
    result.digest = answer
    result.max_rss = peak or result.max_rss
    result.more = after
    if len(answer) != 40 and result.exit_code == 0:  # a digest is 40 characters
        result.exit_code = 1
    shutil.rmtree(home, ignore_errors=True)
    return result
