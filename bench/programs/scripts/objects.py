"""objects.py COUNT - dictionaries, lists, strings, JSON and pickles, run with
PYTHONMALLOC=malloc so that every object is one malloc. Prints figures that
depend on COUNT alone."""
import json
import pickle
import random
import sys

count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
draw = random.Random(12345)


class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None


records = {f"name-{draw.randrange(count)}": {"id": i, "tags": [draw.randrange(10) for _ in range(3)],
                                             "text": "z" * draw.randrange(80)} for i in range(count)}
text = json.dumps(records, sort_keys=True)
assert json.loads(text) == records
assert pickle.loads(pickle.dumps(records)) == records

root = Node(count // 2)  # a tree that is cut and regrown
for _ in range(count):
    node, key = root, draw.randrange(count)
    while node.key != key:
        side = "left" if key < node.key else "right"
        if getattr(node, side) is None:
            setattr(node, side, Node(key))
        node = getattr(node, side)
    if draw.random() < 0.001:
        node.left = None
words = sorted(text.split(), key=lambda word: (len(word), word))
matrix = [[row * column for column in range(100)] for row in range(count // 200)]
print(len(records), len(text), len(words), words[-1][:40], sum(map(sum, matrix)))
