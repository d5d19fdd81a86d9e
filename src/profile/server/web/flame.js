// The flame graph page. Its data stands in the page: names once, stacks as lists of them.
(function () {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);

  function bytes(v) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (Math.abs(v) >= 1024 && i < units.length - 1) { v /= 1024; ++i; }
    return v.toFixed(i === 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2) + " " + units[i];
  }
  const format = (v, unit) => (unit === "bytes" ? bytes(v) : Math.round(v).toLocaleString("en").replace(/,/g, " "));
  const percent = (part, whole) => (whole ? (100 * part / whole).toFixed(1) : "0.0") + " %";

  // The choices a reader thinks in; places are those of data.types.
  const place = (name) => data.types.findIndex((t) => t[0] === name);
  const sum = (v) => data.stacks.reduce((s, e) => s + (e[1][v] || 0), 0);
  const choices = [["alloc_space", "allocated"], ["inuse_space", "in use"], ["alloc_objects", "objects allocated"], ["inuse_objects", "objects in use"], ["frag_space", "fragmentation"]]
    .map(([name, label]) => ({ v: place(name), label, name })).filter((c) => c.v >= 0 && (c.name !== "frag_space" || sum(c.v) > 0));
  const wanted = location.hash.slice(1);
  let choice = choices.find((c) => c.name === wanted) || choices.find((c) => sum(c.v) > 0) || choices[0];
  let reversed = false, chart = null;  // reversed: the functions that allocate are on top

  function tree() {
    const root = { name: "all", id: -1, value: 0, children: new Map() };
    for (const [stack, values] of data.stacks) {
      const value = values[choice.v] || 0;
      if (value <= 0) continue;
      root.value += value;
      let node = root;
      for (let k = 0; k < stack.length; ++k) {
        const id = reversed ? stack[stack.length - 1 - k] : stack[k];
        let child = node.children.get(id);
        if (!child) node.children.set(id, (child = { name: data.names[id], id, value: 0, children: new Map() }));
        child.value += value;
        node = child;
      }
    }
    // What is narrower than a pixel or so would only make the page long.
    const least = root.value / 1500;
    const list = (node) => {
      node.children = Array.from(node.children.values()).filter((c) => c.value >= least).map(list).sort((a, b) => b.value - a.value);
      return node;
    };
    return list(root);
  }

  // One hue for each module of names, so that neighbours of one library look alike.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function colour(d) {
    if (d.highlight) return "#e255c8";
    const name = d.data.name;
    if (d.data.id < 0) return dark.matches ? "#8793a5" : "#c9d1dc";
    const key = (/^([\w.$]+(::|@|\.so))/.exec(name.replace(/^(void|std::|operator) ?/, "")) || [, name])[1];
    let h = 2166136261;
    for (let i = 0; i < key.length; ++i) h = Math.imul(h ^ key.charCodeAt(i), 16777619) >>> 0;
    return "hsl(" + (18 + (h % 44)) + "," + (dark.matches ? 62 : 82) + "%," + ((dark.matches ? 60 : 68) + (h >> 8) % 12) + "%)";
  }

  const unit = () => data.types[choice.v][1];
  function describe(d) {
    const node = d.data, total = sum(choice.v), box = $("details");
    box.textContent = "";
    const name = document.createElement("b");
    name.textContent = node.name;
    box.append(name, "  " + format(node.value, unit()) + ", " + percent(node.value, total) + " of the total");
    if (node.id >= 0 && data.where[node.id]) {
      const where = document.createElement("span");
      where.className = "faint";
      where.textContent = data.where[node.id];
      box.append(document.createElement("br"), where);
    }
  }

  function draw() {
    const total = sum(choice.v), box = $("chart");
    box.textContent = "";
    $("details").textContent = total > 0 ? "Point at a frame for its figures, click to see it alone." : "";
    $("total").textContent = total > 0 ? format(total, unit()) + (unit() === "bytes" ? "" : " objects") + " " + (choice.name.startsWith("alloc") ? "allocated since the start" : choice.name === "frag_space" ? "held by fragmentation" : "in use")
      : "Nothing of this kind was sampled.";
    if (total > 0) {
      chart = flamegraph.default ? flamegraph.default() : flamegraph();
      chart.width(box.clientWidth).cellHeight(20).minFrameSize(1).transitionDuration(250).inverted(true).selfValue(false).sort(false)
        .setColorMapper((d) => colour(d)).onHover(describe).label((d) => d.data.name + ": " + format(d.data.value, unit()) + ", " + percent(d.data.value, total))
        .setSearchHandler((results, found, all) => { $("found").textContent = percent(found, all) + " match"; });
      d3.select(box).datum(tree()).call(chart);
      if ($("search").value) search();
    }
    showTop(total);
    for (const b of $("types").children) b.setAttribute("aria-pressed", b.dataset.name === choice.name);
    $("direction").setAttribute("aria-pressed", reversed);
  }
  function search() {
    const text = $("search").value.trim();
    if (!chart) return;
    if (!text) { chart.clear(); $("found").textContent = ""; return; }
    chart.search(text);
  }
  function showTop(total) {
    const flat = new Map(), cum = new Map();
    for (const [stack, values] of data.stacks) {
      const value = values[choice.v] || 0;
      if (value <= 0 || !stack.length) continue;
      const leaf = stack[stack.length - 1];
      flat.set(leaf, (flat.get(leaf) || 0) + value);
      for (const id of new Set(stack)) cum.set(id, (cum.get(id) || 0) + value);
    }
    const body = $("top");
    body.textContent = "";
    for (const [id, value] of Array.from(flat).sort((a, b) => b[1] - a[1]).slice(0, 30)) {
      const tr = document.createElement("tr");
      const add = (text, cls) => { const td = document.createElement("td"); td.className = cls || ""; td.textContent = text; tr.append(td); return td; };
      const name = add(data.names[id], "mono");
      const small = document.createElement("small");
      small.textContent = data.where[id];
      name.append(small);
      name.onclick = () => { $("search").value = data.names[id]; search(); scrollTo({ top: 0, behavior: "smooth" }); };
      add(format(value, unit())); add(percent(value, total));
      add(format(cum.get(id), unit()), "wide"); add(percent(cum.get(id), total), "wide");
      body.append(tr);
    }
  }

  document.title = data.program + ": allocations";
  $("title").textContent = "Allocations of " + data.program;
  $("command").textContent = data.command;
  $("about").textContent = "process " + data.pid + ", " + new Date(data.time_ms).toLocaleString() + ". Estimated from " + data.samples + " samples, " +
    (data.rate === 1 ? "every object" : "one in " + bytes(data.rate) + " on average") + ". steady " + data.steady + ".";
  for (const c of choices) {
    const b = document.createElement("button");
    b.textContent = c.label;
    b.dataset.name = c.name;
    b.onclick = () => { choice = c; history.replaceState(null, "", "#" + c.name); draw(); };
    $("types").append(b);
  }
  $("direction").onclick = () => { reversed = !reversed; draw(); };
  $("reset").onclick = () => { $("search").value = ""; search(); if (chart) chart.resetZoom(); };
  $("search").addEventListener("input", search);
  let pending = 0;
  addEventListener("resize", () => { clearTimeout(pending); pending = setTimeout(draw, 150); });
  dark.addEventListener("change", draw);
  draw();
})();
