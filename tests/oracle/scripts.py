"""scripts.py - random inputs for live_fuzz.py: map scripts, growing slices, measured maps.

A script is a list of lines. What makes bugs visible is mixed on purpose: few keys and
many, hints at the borders where the number of buckets changes, hashes that collide,
iterators left open while the map grows, shrinks, clears and grows again.
"""

INTEGERS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}
OTHERS = ["f64", "str", "s16", "void"]
PROFILES = ["grow", "mixed", "churn", "drain", "read", "iter", "clear", "all", "fifo"]
BORDERS = [8, 13, 26, 52, 104, 208, 416, 832, 1664, 3328, 6656, 13312, 26624, 53248]
HUGE_HINTS = [2**48, 2**57, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
SMALL_KEYS = {"u8", "void", "b1"}


def random_type(r):
    kind = r.random()
    if kind < 0.45:
        return r.choice(list(INTEGERS))
    if kind < 0.75:
        return r.choice(OTHERS)
    return "b" + str(r.choice([1, 2, 3, 4, 5, 7, 8, 16, 31, 40, 64, 127, 128, 129, 130, 200, 300,
                               r.randint(1, 400)]))


def random_hash(r, key):
    names = ["fmix", "fmix", "seeded", "seeded", "weak", "zero"]
    if key in INTEGERS:
        names += ["id", "id"]
    return r.choice(names)


def literal(r, name):
    """A value spelled out."""
    if name in INTEGERS:
        bits = INTEGERS[name]
        n = r.choice([0, 1, 2**bits - 1, 2**(bits - 1), r.getrandbits(bits), r.getrandbits(4)])
        return r.choice([str(n), hex(n)])
    if name == "f64":
        return r.choice(["nan", "0", "-0", "1", "-1", "0.5", "1e300", "-2.5e-300",
                         str(r.randint(-9, 9)), repr(r.uniform(-10, 10))])
    if name == "void":
        return "-"
    if name == "str":
        return bytes(r.getrandbits(8) for _ in range(r.choice([0, 0, 1, 2, 3, 8, 31, 33]))).hex() or "-"
    size = 16 if name == "s16" else int(name[1:])
    return bytes(r.getrandbits(8) for _ in range(size)).hex()


class Scribe:
    """Writes one script."""

    def __init__(self, r):
        self.r = r
        self.key, self.elem = random_type(r), random_type(r)
        self.api = r.choice(["generic", "reflect", "fast"]) if r.random() < 0.2 else None
        if self.api and r.random() < 0.6:  # where the entry points differ
            self.key, self.elem = "str", r.choice([self.elem, "b127", "b128", "b129"])
        self.hash = random_hash(r, self.key)
        # Long chains make every operation as long: keep colliding maps small.
        self.most = {"zero": 150, "weak": 1500}.get(self.hash, r.choice([60, 500, 4000, 20000]))
        if self.key in SMALL_KEYS:
            self.most = min(self.most, 3000)
        self.space = max(1, r.choice([self.most, self.most // 4, self.most // 20, 30]))
        self.open_slots = []
        self.lines = []
        self.can_be_wide = self.most <= 500

    def index(self):
        return f"#{self.r.randrange(self.space)}"

    def key_token(self):
        return literal(self.r, self.key) if self.r.random() < 0.2 else self.index()

    def elem_token(self):
        r = self.r
        return literal(r, self.elem) if r.random() < 0.2 else f"#{r.getrandbits(r.choice([4, 64]))}"

    def make(self):
        r = self.r
        kind = r.random()
        self.open_slots = []
        if kind < 0.5:
            return "make"
        if kind < 0.7:
            hint = r.choice(BORDERS) + r.choice([0, 1])
        elif kind < 0.9:
            hint = r.randrange(r.choice([10, 100, 1000, 10000]))
        elif kind < 0.95 or not self.can_be_wide:
            hint = r.choice(HUGE_HINTS) - r.choice([0, 1])
        else:  # B of 16 and more, where overflow buckets are counted by chance
            hint = r.randint(430000, 900000)
            self.can_be_wide = False
        return f"{r.choice(['make', 'hint'])} {hint}"

    def gen(self):
        r = self.r
        profile = r.choice(PROFILES)
        # A window of fresh keys is a map of that many; others fill their key space.
        ops = r.randint(1, min(4000, 8 * self.most))
        space = self.space
        if profile == "grow" and r.random() < 0.3:
            space, ops = 0, min(ops, self.most)
        words = ["gen", profile, r.getrandbits(r.choice([8, 48])), ops, space]
        if r.random() < 0.4:
            words.append(max(1, ops // r.randint(1, 4)) if r.random() < 0.9 else 0)
        return " ".join(map(str, words))

    def range(self, name):
        r = self.r
        a = r.randrange(self.space)
        b = a + r.randint(0, min(self.most, 2 * self.space))
        line = f"{name} {a} {b}"
        return f"{line} {r.randrange(1000)}" if name == "setr" and r.random() < 0.4 else line

    def stride(self, name):
        r = self.r
        stride = r.choice([1, 2, 3, 8, 16, 64, 256, 1 << 32])
        return f"{name} {r.randrange(self.space)} {stride} {r.randint(0, min(200, self.most))}"

    def walk(self):
        r = self.r
        if not self.open_slots or r.random() < 0.3:
            slot = r.randrange(8)
            self.open_slots.append(slot)
            return f"iter {slot}"
        return f"next {r.choice(self.open_slots)} {r.choice([0, 1, 2, 5, 30, 1000, 100000])}"

    def line(self):
        r = self.r
        kind = r.random()
        if kind < 0.22:
            return f"set {self.key_token()} {self.elem_token()}"
        if kind < 0.32:
            return f"del {self.key_token()}"
        if kind < 0.38:
            return f"get {self.key_token()}"
        if kind < 0.48:
            return self.gen()
        if kind < 0.60:
            return self.range(r.choice(["setr", "setr", "delr", "getr"]))
        if kind < 0.64:
            return self.stride(r.choice(["sets", "dels"]))
        if kind < 0.80:
            return self.walk()
        if kind < 0.88:
            return r.choice(["iterate", "iterate-count", "keys"])
        if kind < 0.94:
            return r.choice(["hash", "hash raw", "hash raw", "stats", "trace"])
        if kind < 0.96 and self.most <= 500 and self.can_be_wide:
            return r.choice(["dump", "dump raw"])
        if kind < 0.97:
            return "clear"
        if kind < 0.98:
            return self.make()
        if kind < 0.99:
            return f"rand {self.state()}"
        return r.choice(["events on", "events off"])

    def state(self):
        return self.r.choice([0, 1, 2**64 - 1, self.r.getrandbits(64)])

    def write(self):
        r = self.r
        if self.api:
            self.lines.append(f"api {self.api}")
        self.lines.append(f"type {self.key}:{self.elem} {self.hash}")
        if r.random() < 0.7:
            self.lines.append(f"rand {self.state()}")
        if r.random() < 0.5:
            self.lines.append("events on")
        self.lines.append(self.make())
        for _ in range(r.randint(3, 45)):
            self.lines.append(self.line())
        self.lines += ["hash raw", "iterate", "stats", "trace"]
        return self.lines


def backwards(r):
    """A growth whose old buckets are written from the last one down.

    They meet the mark that rises from the first one, and from there on the mark has
    thousands of buckets to pass that have moved already, 1024 in one step.
    """
    b = r.choice([12, 12, 13])
    first = 13 * 2 ** (b - 1) - r.randint(0, 3)
    lines = [f"type {r.choice(['u32', 'u64'])}:{r.choice(['u8', 'void', 'str'])} id", "make", "events on",
             f"setr 0 {first}", f"sets {first} 1 {r.randint(1, 6)}"]
    for _ in range(r.randint(3, 8)):
        start = r.choice([2**b - 1, 2**b - 1, r.randrange(2**b)])
        lines += [f"{r.choice(['sets', 'dels'])} {start} {2**64 - 1} {r.randint(1, 2 ** (b - 1))}", "hash"]
    return [*lines, "stats", "trace"]


def random_script(r):
    return backwards(r) if r.random() < 0.01 else Scribe(r).write()


LARGEST_ARRAY = 64 << 20


def random_sample_lines(r, count):
    """Lines ES C NEED; the new array is allocated for real, so its size is limited."""
    lines = []
    while len(lines) < count:
        size = r.choice([1, 2, 4, 8, 16, 24, r.randint(1, 64), r.randint(1, 1024), r.randint(1, 50000)])
        cap = r.choice([0, r.randint(0, 300), r.randint(0, 3000), r.randint(0, LARGEST_ARRAY // size)])
        need = cap + r.choice([1, 2, r.randint(1, 300), r.randint(1, cap // 4 + 1), r.randint(1, 2 * cap + 8)])
        if r.random() < 0.1:
            need = max(cap + 1, 2 * cap + r.choice([-1, 0, 1]))
        if r.random() < 0.02:
            size = 0
        if need * size <= LARGEST_ARRAY:
            lines.append(f"{size} {cap} {need}")
    return lines


def random_heap_case(r):
    """KEY ELEM N HINT."""
    key = r.choice(list(INTEGERS))
    most = min(2 ** INTEGERS[key], r.choice([60, 1000, 20000, 120000]))
    return [key, random_type(r), str(r.randint(0, most)), r.choice("01")]
