// The index page of the debug server. Data: /debug/steady/{facts,history,top,statistics}.
(function () {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const get = (path) => fetch(path).then((r) => (r.ok ? r.json() : Promise.reject(new Error(r.status))));

  function bytes(v, short) {
    if (v == null) return "-";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (Math.abs(v) >= 1024 && i < units.length - 1) { v /= 1024; ++i; }
    const digits = i === 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2;
    return (short ? String(+v.toFixed(1)) : v.toFixed(digits)) + " " + units[i];
  }
  function count(v) {
    if (v == null) return "-";
    if (v >= 1e9) return (v / 1e9).toFixed(2) + " G";
    if (v >= 1e6) return (v / 1e6).toFixed(2) + " M";
    if (v >= 1e4) return (v / 1e3).toFixed(1) + " k";
    return String(Math.round(v));
  }
  function duration(s) {
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h > 0 ? h + " h " + m + " min" : m > 0 ? m + " min " + Math.floor(s % 60) + " s" : Math.floor(s) + " s";
  }
  const percent = (part, whole) => (whole ? (100 * part / whole).toFixed(1) : "0.0");

  // ---- Charts.
  const shown = 300;  // seconds
  const memory = { x: [], rss: [], inuse: [], live: [] };
  const flow = { x: [], rate: [], growth: [] };
  let last = null, next = 0, charts = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  const binary = [];  // steps of an axis in bytes
  for (let v = 1; v <= 2 ** 45; v *= 2) binary.push(v);
  function axis(scale, format, side, width) {
    return {
      scale, side, size: width, incrs: scale === "y" ? binary : undefined, stroke: colour("faint"), font: "12px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1, show: side !== 1 }, ticks: { show: false },
      values: (u, list) => list.map(format),
    };
  }
  function timeAxis() {
    return {
      stroke: colour("faint"), font: "12px system-ui, sans-serif", grid: { show: false }, ticks: { show: false }, size: 28, space: 70,
      values: (u, list) => list.map((t) => new Date(t * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })),
    };
  }
  function line(name, label, scale, fill) {
    const c = colour(name);
    return { label, scale, stroke: c, width: 2, points: { show: false }, fill: fill ? c + "22" : undefined };
  }
  const span = (u, min, max) => {
    const end = max == null ? Date.now() / 1000 : max;
    return [Math.min(min == null ? end - 60 : Math.max(min, end - shown), end - 60), end];
  };
  const fromZero = (least) => (u, min, max) => [0, Math.max(max || 0, least) * 1.08];
  function draw() {
    charts.forEach((c) => c.destroy());
    const make = (id, height, series, axes, scales, data) => {
      const box = $(id);
      return new uPlot({
        width: box.clientWidth, height, legend: { show: false }, padding: [10, 12, 0, 0],
        cursor: { y: false, points: { size: 7 } }, series: [{}].concat(series), axes, scales: Object.assign({ x: { range: span } }, scales),
        hooks: { setCursor: [() => keys()] },
      }, data, box);
    };
    const narrow = innerWidth < 560;
    charts = [
      make("c-memory", narrow ? 200 : 260,
        [line("rss", "resident", "y"), line("inuse", "heap in use", "y"), line("live", "live", "y", true)],
        [timeAxis(), axis("y", (v) => bytes(v, true), 3, 72)], { y: { range: fromZero(1 << 20) } },
        [memory.x, memory.rss, memory.inuse, memory.live]),
      make("c-flow", narrow ? 160 : 190,
        [line("rate", "allocated", "y", true),
         { label: "growth", scale: "n", stroke: colour("growth"), fill: colour("growth") + "66", paths: uPlot.paths.bars({ size: [0.6, 8] }), points: { show: false } }],
        [timeAxis(), axis("y", (v) => bytes(v, true) + "/s", 3, 84), axis("n", count, 1, 42)],
        { y: { range: fromZero(1 << 10) }, n: { range: fromZero(4) } },
        [flow.x, flow.rate, flow.growth]),
    ];
    keys();
  }
  function keys() {
    const set = (id, chart, list) => {
      const i = chart && chart.cursor.idx != null ? chart.cursor.idx : list[0][2].length - 1;
      $(id).innerHTML = "";
      for (const [name, label, values, format] of list) {
        const item = document.createElement("span");
        item.innerHTML = '<i style="background:var(--' + name + ')"></i>' + label + " ";
        const b = document.createElement("b");
        b.textContent = i >= 0 ? format(values[i]) : "-";
        item.append(b);
        $(id).append(item);
      }
    };
    set("k-memory", charts[0], [["rss", "resident", memory.rss, bytes], ["inuse", "heap in use", memory.inuse, bytes], ["live", "live", memory.live, bytes]]);
    set("k-flow", charts[1], [["rate", "allocated", flow.rate, (v) => bytes(v) + "/s"], ["growth", "growth steps", flow.growth, (v) => count(v) + "/s"]]);
  }
  function take(row) {
    const [ms, live, inuse, , rss, mallocs, allocated, growths] = row;
    const t = ms / 1000;
    memory.x.push(t); memory.rss.push(rss); memory.inuse.push(inuse); memory.live.push(live);
    const dt = last ? t - last.t : 0;
    if (dt > 0) {
      flow.x.push(t);
      flow.rate.push(Math.max(0, allocated - last.allocated) / dt);
      flow.growth.push(Math.max(0, growths - last.growths) / dt);
    }
    last = { t, allocated, growths, mallocs, rss, inuse, live };
    for (const s of [memory, flow]) for (const k in s) if (s[k].length > 900) s[k].shift();
  }

  // ---- What changes every second.
  let failures = 0;
  function refresh() {
    return get("/debug/steady/history?after=" + next).then((h) => {
      if (h.next < next) { location.reload(); return; }  // another process has the port now
      next = h.next;
      h.rows.forEach(take);
      failures = 0;
      $("state").className = "state";
      $("state").textContent = "live";
      if (last) {
        $("t-rss").textContent = bytes(last.rss);
        $("t-inuse").textContent = bytes(last.inuse);
        $("t-live").textContent = bytes(last.live);
        $("t-rate").textContent = flow.rate.length ? bytes(flow.rate[flow.rate.length - 1]) : "-";
        $("t-growth").textContent = count(last.growths);
      }
      if (charts.length) {
        charts[0].setData([memory.x, memory.rss, memory.inuse, memory.live]);
        charts[1].setData([flow.x, flow.rate, flow.growth]);
        keys();
      }
    }).catch(() => {
      if (++failures > 1) { $("state").className = "state lost"; $("state").textContent = "no answer; the program may have ended"; }
    });
  }
  function facts() {
    return get("/debug/steady/facts").then((f) => {
      document.title = f.program + " - steady";
      $("program").textContent = f.program;
      $("command").textContent = f.command;
      $("command").title = f.command;
      $("about").textContent = "process " + f.pid + ", up " + duration(f.now - f.start_time) + ", CPU " + duration(f.cpu_seconds) +
        ", " + f.threads + " threads, peak resident " + bytes(f.peak_rss) + ". steady " + f.steady + ".";
      const note = f.sampling ? "Estimated from " + count(f.samples) + " samples, one in " + bytes(f.rate) + " on average." : "Allocations are not sampled (profilerate=0).";
      $("top-note").textContent = note + (f.unsampled_live > 0 ? " " + bytes(f.unsampled_live) + " were alive before sampling began." : "");
    }).catch(() => {});
  }

  // ---- Top allocators.
  const views = [[3, "in use", bytes], [1, "allocated", bytes], [2, "objects in use", count], [0, "objects allocated", count]];
  let view = views[0], top = null;
  function showTop() {
    if (!top) return;
    const [v, , format] = view, total = top.totals[v], body = $("top");
    body.innerHTML = "";
    const rows = top.rows.filter((r) => r.flat[v] > 0).sort((a, b) => b.flat[v] - a.flat[v]).slice(0, 15);
    if (!rows.length) body.innerHTML = '<tr><td class="name faint" colspan="5">No samples yet.</td></tr>';
    for (const r of rows) {
      const tr = document.createElement("tr");
      const add = (text, cls) => { const td = document.createElement("td"); td.className = cls || ""; td.textContent = text; tr.append(td); return td; };
      const name = add(r.f, "name mono");
      if (r.at) { const small = document.createElement("small"); small.textContent = r.at; name.append(small); }
      add(format(r.flat[v]));
      const share = percent(r.flat[v], total);
      add(share + " %", "share").style.setProperty("--w", share >= 2 ? share + "%" : "0%");
      add(format(r.cum[v]), "wide");
      add(percent(r.cum[v], total) + " %", "wide");
      body.append(tr);
    }
  }
  for (const each of views) {
    const b = document.createElement("button");
    b.textContent = each[1];
    b.setAttribute("aria-pressed", each === view);
    b.onclick = () => {
      view = each;
      for (const other of $("by").children) other.setAttribute("aria-pressed", other === b);
      showTop();
    };
    $("by").append(b);
  }
  const refreshTop = () => get("/debug/steady/top?n=20").then((t) => { top = t; showTop(); }).catch(() => {});

  // ---- Size classes.
  function refreshClasses() {
    return get("/debug/steady/statistics").then((s) => {
      $("t-objects").textContent = count(s.heap_objects);
      if (!$("classes").open) return;
      const body = $("class-rows");
      body.innerHTML = "";
      for (const c of s.by_size) {
        if (c.mallocs === 0) continue;
        const live = c.mallocs - c.frees, large = c.size === 0;
        const liveBytes = large ? s.large_bytes : live * c.size;
        const tr = document.createElement("tr");
        const add = (text, cls) => { const td = document.createElement("td"); td.className = cls || ""; td.textContent = text; tr.append(td); };
        add(large ? "larger" : c.size + " B"); add(count(live)); add(bytes(liveBytes)); add(count(c.mallocs), "wide");
        add(large ? "" : count(c.spans)); add(large ? "" : bytes(c.span_bytes)); add(large || !c.span_bytes ? "" : percent(liveBytes, c.span_bytes) + " %");
        body.append(tr);
      }
    }).catch(() => {});
  }
  $("classes").addEventListener("toggle", refreshClasses);

  for (const each of document.querySelectorAll(".host")) each.textContent = location.host;
  let n = 0;
  async function turn() {
    if (!document.hidden) {
      await refresh();
      if (n % 2 === 0) await refreshClasses();
      if (n % 5 === 0) facts();
      if (n % 15 === 0) refreshTop();
      ++n;
    }
    setTimeout(turn, 1000);
  }
  refresh().then(draw).then(turn);
  let pending = 0;
  addEventListener("resize", () => { clearTimeout(pending); pending = setTimeout(draw, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
