"""tables.py - medians, means, and one table printed as text or as Markdown."""
import math
import statistics
import sys


def median(values):
    return statistics.median(values)


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def spread(values):
    """Largest minus smallest, as a part of the median."""
    return (max(values) - min(values)) / median(values) if median(values) else 0.0


def format_table(head, rows, markdown=False):
    """`rows` are lists of strings; the first column is left-aligned, the others right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells):
        padded = [cell.ljust(width) if i == 0 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(cells, widths))]
        return ("| " + " | ".join(padded) + " |" if markdown else "  ".join(padded)).rstrip()

    rule = []
    if markdown:
        rule = ["|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":"
                               for i, width in enumerate(widths)) + "|"]
    return "\n".join([line(head), *rule, *(line(row) for row in rows)])


def progress(text):
    """One line that overwrites itself, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Verdicts:
    """The bars: each is MET or MISSED with both numbers, or says why it was not judged."""

    def __init__(self):
        self.lines, self.missed = [], 0

    def at_most(self, what, seen, limit, unit=""):
        good = seen <= limit
        self.missed += not good
        self.lines.append(f"{'MET   ' if good else 'MISSED'}  {what}: {seen:.3g}{unit}, "
                          f"bar {limit:g}{unit} or less")

    def at_least(self, what, seen, limit, unit=""):
        good = seen >= limit
        self.missed += not good
        self.lines.append(f"{'MET   ' if good else 'MISSED'}  {what}: {seen:.3g}{unit}, "
                          f"bar {limit:g}{unit} or more")

    def not_judged(self, why):
        self.lines.append(f"OPEN    {why}")
