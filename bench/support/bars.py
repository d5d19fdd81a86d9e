"""bars.py - what the heap has promised, as arithmetic on measured figures.

  time    geometric mean of the ten rows at most 0.85 of the best single peer's;
          no row above 1.10 of that row's best peer; replace-1M at most 0.65.
  growth  an array grown to 512 MiB: peak resident set at most 1.02 of the data,
          and at least 3 times as fast as the best peer.
  memory  of the real programs, at least 8 of 10 have the lowest peak resident
          set or are within 2 % of it; a trivial program stays below 3 MiB.

"Best single peer" is one heap, the one with the lowest mean; "best of a row" is
whichever peer wins that row. The second is the harder comparison.
"""
from support.heaps import OURS
from support.tables import geometric_mean, median

MICRO_ROWS = ["pair-16", "pair-mixed", "lifo-100", "fifo-100", "fifo-10k", "replace-1k",
              "replace-100k", "replace-1M", "calloc-256", "list-1M"]


def _peers(values):
    return [name for name in next(iter(values.values())) if name != OURS]


def _can_judge(values, verdicts):
    if not _peers(values) or any(OURS not in by_heap for by_heap in values.values()):
        verdicts.not_judged(f"the bars compare {OURS} with its peers; one side was not measured.")
        return False
    return True


def judge_micro(values, verdicts):
    if not _can_judge(values, verdicts):
        return
    peers = _peers(values)
    rows = [row for row in MICRO_ROWS if row in values]
    if rows == MICRO_ROWS:
        means = {n: geometric_mean([values[row][n] for row in rows]) for n in [*peers, OURS]}
        best = min(peers, key=means.get)
        verdicts.at_most(f"geometric mean of time against the best single peer ({best})",
                         means[OURS] / means[best], 0.85)
    else:
        verdicts.not_judged("the mean needs all ten rows.")
    ratio = {row: values[row][OURS] / min(values[row][n] for n in peers) for row in rows}
    if ratio:
        worst = max(ratio, key=ratio.get)
        verdicts.at_most(f"worst row against its best peer ({worst})", ratio[worst], 1.10)
    if "replace-1M" in ratio:
        verdicts.at_most("replace-1M against its best peer", ratio["replace-1M"], 0.65)


def judge_growth(figures, values, verdicts):
    if not _can_judge(values, verdicts):
        return
    for row, by_heap in values.items():
        ours = figures[row][OURS]
        peak = median([result["peak_resident"] / result["data_bytes"] for result in ours])
        verdicts.at_most(f"{row}: peak resident set over data", peak, 1.02)
        best = min(by_heap[name] for name in _peers(values))
        verdicts.at_least(f"{row}: times as fast as the best peer", best / by_heap[OURS], 3)


def judge_programs(peaks, trivial, verdicts):
    """`peaks[program][heap]` and `trivial[heap]` are bytes."""
    if peaks and _can_judge(peaks, verdicts):
        lean = [p for p, by_heap in peaks.items()
                if by_heap[OURS] <= 1.02 * min(by_heap[n] for n in _peers(peaks))]
        share = len(lean) / len(peaks)
        verdicts.at_least(f"programs with the lowest peak or within 2 % of it "
                          f"({len(lean)} of {len(peaks)})", share, 0.8)
    if OURS in trivial:
        verdicts.at_most("a trivial program's peak", trivial[OURS] / 2**20, 3, " MiB")
