// Places for boxes and lines: the method of layout.py, which says how it works. Keys are strings: "n5" a node, "g" + path a
// group, "i5" and "o5" the ports of node 5's line at the rim of a group, "b..." a bend of a line.
"use strict";

const GAP = 18, LAYER_GAP = 30, PORT_GAP = 4, PADDING = 12, HEADER = 18, WIRE = 8, SWEEPS = 6;

function layOut(tree, nodes, sizeOf, isOpen) {
  const drawing = { boxes: [], lines: [] };
  const level = new Level(tree, linesByGroup(tree, nodes, isOpen), sizeOf, isOpen);
  level.place(drawing, 0, 0);
  [drawing.width, drawing.height] = level.size;
  return drawing;
}

function linesByGroup(tree, nodes, isOpen) {
  const chains = new Map(); // of each node: the open groups around it, from the outermost
  (function visit(group, chain) {
    for (const member of group.members) {
      if (typeof member === "number") chains.set(member, chain);
      else visit(member, chain.length === member.path.length && isOpen(member) ? [...chain, member.key] : chain);
    }
  })(tree, [tree.key]);
  const placeIn = (node, depth) => node.group.length === depth ? "n" + node.id : groupKey(node.group.slice(0, depth + 1));
  const lines = new Map();
  const add = (group, a, b, source) => {
    if (!lines.has(group)) lines.set(group, new Map());
    lines.get(group).set(a + ">" + b + ">" + source, { a, b, source });
  };
  for (const node of nodes) {
    for (const input of node.inputs) {
      const source = input.source, target = node.id;
      if (source === null || !chains.has(source) || !chains.has(target)) continue;
      const left = chains.get(source), right = chains.get(target);
      let common = 0;
      while (common + 1 < Math.min(left.length, right.length) && left[common + 1] === right[common + 1]) common++;
      for (let depth = left.length - 1; depth > common; depth--) add(left[depth], placeIn(nodes[source], depth), "o" + source, source);
      const from = placeIn(nodes[source], common), to = placeIn(node, common);
      if (from !== to) add(left[common], from, to, source);
      for (let depth = common + 1; depth < right.length; depth++) add(right[depth], "i" + source, placeIn(node, depth), source);
    }
  }
  return lines;
}

class Level {
  constructor(group, lines, sizeOf, isOpen) {
    this.group = group;
    this.sizes = new Map();
    this.inner = new Map();
    for (const member of group.members) {
      if (typeof member !== "number" && isOpen(member)) {
        const inner = new Level(member, lines, sizeOf, isOpen);
        this.inner.set(member.key, inner);
        this.sizes.set(member.key, inner.size);
      } else {
        this.sizes.set(typeof member === "number" ? "n" + member : member.key, sizeOf(member));
      }
    }
    this.lines = [...(lines.get(group.key) || new Map()).values()];
    for (const { a, b } of this.lines) for (const key of [a, b]) if (!this.sizes.has(key)) this.sizes.set(key, [WIRE, 0]);
    this.layer = this.layers();
    this.routes = this.lines.map(line => this.bends(line));
    this.rows = this.ordered();
    this.x = this.columns();
    this.size = this.extent();
  }

  layers() {
    const keys = [...this.sizes.keys()], below = new Map(keys.map(k => [k, []])), waiting = new Map(keys.map(k => [k, 0]));
    for (const { a, b } of this.lines) {
      below.get(a).push(b);
      waiting.set(b, waiting.get(b) + 1);
    }
    const fed = new Set(this.lines.map(line => line.b)), layer = new Map(keys.map(k => [k, 0])), done = new Set();
    const ready = keys.filter(k => !waiting.get(k)).reverse();
    while (done.size < keys.length) {
      if (!ready.length) ready.push(keys.find(k => !done.has(k))); // a module used again makes a circle
      const key = ready.pop();
      if (done.has(key)) continue;
      done.add(key);
      for (const other of below.get(key)) {
        if (done.has(other)) continue;
        layer.set(other, Math.max(layer.get(other), layer.get(key) + 1));
        waiting.set(other, waiting.get(other) - 1);
        if (waiting.get(other) === 0) ready.push(other);
      }
    }
    for (const key of keys) {
      if (!fed.has(key) && below.get(key).length && !isPort(key)) {
        layer.set(key, Math.max(0, Math.min(...below.get(key).map(k => layer.get(k))) - 1));
      }
    }
    const inner = keys.filter(k => !isPort(k));
    if (keys.some(k => k[0] === "i") && inner.some(k => layer.get(k) === 0)) {
      for (const key of keys) if (key[0] !== "i") layer.set(key, layer.get(key) + 1);
    }
    const bottom = inner.reduce((most, k) => Math.max(most, layer.get(k)), 0) + 1;
    for (const key of keys) if (isPort(key)) layer.set(key, key[0] === "i" ? 0 : bottom);
    return layer;
  }

  bends({ a, b, source }) {
    const first = this.layer.get(a), last = this.layer.get(b), step = last >= first ? 1 : -1, route = [a];
    for (let n = first + step; step * n < step * last; n += step) {
      const key = `b${source}:${n}:${b}`;
      if (!this.layer.has(key)) {
        this.layer.set(key, n);
        this.sizes.set(key, [WIRE, 0]);
      }
      route.push(key);
    }
    route.push(b);
    return route;
  }

  neighbours() {
    const above = new Map(), below = new Map();
    for (const key of this.sizes.keys()) above.set(key, []), below.set(key, []);
    for (const route of this.routes) {
      for (let i = 0; i + 1 < route.length; i++) {
        below.get(route[i]).push(route[i + 1]);
        above.get(route[i + 1]).push(route[i]);
      }
    }
    return [above, below];
  }

  ordered() {
    const rows = [];
    for (const [key, n] of this.layer) (rows[n] = rows[n] || []).push(key);
    for (let n = 0; n < rows.length; n++) rows[n] = rows[n] || [];
    const near = this.neighbours(), position = new Map();
    const number = row => row.forEach((key, i) => position.set(key, (i + 0.5) / row.length));
    rows.forEach(number);
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      for (const row of sweep % 2 ? [...rows].reverse() : rows) {
        const wanted = new Map(row.map(key => [key, mean(near[sweep % 2].get(key), position, position.get(key))]));
        row.sort((p, q) => wanted.get(p) - wanted.get(q));
        number(row);
      }
    }
    return rows;
  }

  columns() {
    const x = new Map(), near = this.neighbours(), width = key => this.sizes.get(key)[0];
    for (const row of this.rows) {
      const total = row.reduce((sum, key) => sum + width(key) + GAP, -GAP);
      let right = -total / 2;
      for (const key of row) {
        x.set(key, right + width(key) / 2);
        right += width(key) + GAP;
      }
    }
    for (let sweep = 0; sweep < 2 * SWEEPS; sweep++) {
      for (const row of sweep % 2 ? [...this.rows].reverse() : this.rows) {
        const wanted = row.map(key => mean(near[sweep % 2].get(key), x, x.get(key)));
        const rightwards = [...wanted], leftwards = [...wanted];
        const room = i => (width(row[i]) + width(row[i + 1])) / 2 + GAP;
        for (let i = 1; i < row.length; i++) rightwards[i] = Math.max(rightwards[i], rightwards[i - 1] + room(i - 1));
        for (let i = row.length - 2; i >= 0; i--) leftwards[i] = Math.min(leftwards[i], leftwards[i + 1] - room(i));
        row.forEach((key, i) => x.set(key, (rightwards[i] + leftwards[i]) / 2));
      }
    }
    return x;
  }

  extent() {
    let left = Infinity, right = -Infinity;
    for (const [key, x] of this.x) {
      left = Math.min(left, x - this.sizes.get(key)[0] / 2);
      right = Math.max(right, x + this.sizes.get(key)[0] / 2);
    }
    if (left > right) left = right = 0;
    this.left = left;
    this.heights = this.rows.map(row => Math.max(0, ...row.map(key => this.sizes.get(key)[1])));
    const isRim = this.rows.map(row => row.every(isPort));
    this.tops = [];
    let top = PADDING + (this.group.path.length ? HEADER : 0);
    this.heights.forEach((height, i) => {
      this.tops.push(top);
      top += height + (i + 1 === this.heights.length ? 0 : isRim[i] || isRim[i + 1] ? PORT_GAP : LAYER_GAP);
    });
    return [right - left + 2 * PADDING, top + PADDING];
  }

  place(drawing, x, y) {
    const shift = x + PADDING - this.left;
    for (const [key, [width, height]] of this.sizes) {
      if (key[0] !== "n" && key[0] !== "g") continue;
      const n = this.layer.get(key), left = this.x.get(key) + shift - width / 2;
      const upper = y + this.tops[n] + (this.heights[n] - height) / 2;
      drawing.boxes.push({ key, x: left, y: upper, width, height, isOpen: this.inner.has(key) });
      if (this.inner.has(key)) this.inner.get(key).place(drawing, left, upper);
    }
    this.routes.forEach((route, i) => {
      drawing.lines.push({ ...this.lines[i], points: this.points(route, this.lines[i].source, shift, y) });
    });
  }

  points(route, source, shift, y) {
    const points = [];
    route.forEach((key, i) => {
      const n = this.layer.get(key), [width, height] = this.sizes.get(key);
      let middle = this.x.get(key) + shift;
      const inner = this.inner.get(key);
      if (inner) middle += inner.x.get((i === 0 ? "o" : "i") + source) - inner.left + PADDING - width / 2;
      const top = y + this.tops[n], upper = top + (this.heights[n] - height) / 2;
      if (isPort(key)) points.push([middle, key[0] === "i" ? y : y + this.size[1]]);
      else if (i === 0) points.push([middle, upper + height]);
      else if (i === route.length - 1) points.push([middle, upper]);
      else points.push([middle, top], [middle, top + this.heights[n]]);
    });
    return points;
  }
}

function groupKey(path) { return "g" + path.join("\n"); }

function isPort(key) { return key[0] === "i" || key[0] === "o"; }

function mean(keys, values, otherwise) {
  return keys.length ? keys.reduce((sum, key) => sum + values.get(key), 0) / keys.length : otherwise;
}
