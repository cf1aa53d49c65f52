// The picture of the page: what is open, chosen and in sight; panels.js has the list and what is known of a node, and starts.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const nodes = data.nodes, SVG = "http://www.w3.org/2000/svg";
const byId = id => document.getElementById(id);
const users = nodes.map(() => []);
for (const node of nodes) for (const input of node.inputs) if (input.source !== null) users[input.source].push(node.id);

// ------------------------------------------------------------ the state: what is open, chosen, where one looks

const home = new Map(Object.entries(data.attached).map(([leaf, user]) => [Number(leaf), user])); // drawn in another's box
const chips = nodes.map(() => []);
for (const [leaf, user] of home) chips[user].push(leaf);
const newGroup = path => ({ key: groupKey(path), path, members: [], size: 0, bytes: 0, norm: 0, states: new Set() });
const tree = newGroup([]);
const groups = new Map([[tree.key, tree]]);
for (const node of nodes) {
  if (home.has(node.id)) continue;
  let group = tree;
  for (let depth = 0; depth <= node.group.length; depth++) {
    const path = node.group.slice(0, depth), key = groupKey(path);
    if (!groups.has(key)) {
      groups.set(key, newGroup(path));
      group.members.push(groups.get(key));
    }
    group = groups.get(key);
    group.size += node.kind === "operation" ? 1 : 0;
    group.bytes += node.savedBytes;
    const gradient = arrived(node);
    if (gradient) {
      group.norm = Math.max(group.norm, gradient.norm);
      group.states.add(gradient.state);
    }
  }
  group.members.push(node.id);
}
const open = new Set([tree.key]);
let chosen = null, onPath = new Set(), view = { x: 0, y: 0, scale: 1 }, drawing = null;

const MANY = 24; // boxes that a person takes in at once: groups are opened from outside in until there are so many
(function openFirst() {
  let level = [tree], count = tree.members.length;
  while (level.length) {
    const next = level.flatMap(group => group.members.filter(member => typeof member !== "number"));
    for (const group of next) {
      if (count + group.members.length > MANY) continue;
      open.add(group.key);
      count += group.members.length;
    }
    level = next.filter(group => open.has(group.key));
  }
})();

function arrived(node) { return node.gradients.find(gradient => gradient) || null; }

function reveal(id) {
  const group = nodes[home.has(id) ? home.get(id) : id].group;
  for (let depth = 0; depth <= group.length; depth++) open.add(groupKey(group.slice(0, depth)));
}

// ------------------------------------------------------------ colours

const scale = { low: Infinity, high: -Infinity, bytes: 1 };
for (const node of nodes) {
  const gradient = arrived(node);
  scale.bytes = Math.max(scale.bytes, node.savedBytes);
  if (gradient && gradient.norm > 0) {
    scale.low = Math.min(scale.low, Math.log10(gradient.norm));
    scale.high = Math.max(scale.high, Math.log10(gradient.norm));
  }
}

function heat(share) { // from nearly white to a strong blue
  const mix = (from, to) => Math.round(from + (to - from) * Math.min(1, Math.max(0, share)));
  return `rgb(${mix(250, 128)},${mix(252, 180)},${mix(254, 243)})`;
}

function colourOf(family, bytes, gradient) {
  const [fill, border] = data.colours[family] || data.colours.other;
  const way = byId("colour").value;
  if (way === "memory") return [heat(Math.sqrt(bytes / scale.bytes)), "#7c93b2"];
  if (way === "gradient") {
    if (!gradient) return ["#ffffff", "#b6bec9"];
    if (gradient.state !== "ok") return [gradient.state === "zero" ? "#f3d9a4" : "#f5b5b5", "#c62828"];
    return [heat((Math.log10(gradient.norm) - scale.low) / (scale.high - scale.low || 1)), "#7c93b2"];
  }
  return [fill, border];
}

// ------------------------------------------------------------ the picture

const CHARACTER = 6.75, LINE = 15, MARGIN = 10;

function linesOf(item) {
  if (typeof item !== "number") return [item.path.at(-1), `${item.size} operation${item.size === 1 ? "" : "s"}`, ...memo(item.bytes)];
  const node = nodes[item], gradient = arrived(node), lines = [node.title, node.outputs.join(", ")];
  const more = [...memo(node.savedBytes), ...(gradient ? [gradient.state === "ok" ? `|grad| ${short(gradient.norm)}` : `grad ${gradient.state}`] : [])];
  if (more.length) lines.push(more.join(", "));
  return [...lines, ...chips[item].map(leaf => nodes[leaf].label + " " + nodes[leaf].outputs[0].replace(/^\S+ /, ""))];
}

function memo(bytes) { return bytes ? [`saves ${human(bytes)}`] : []; }

function sizeOf(item) {
  const lines = linesOf(item);
  return [Math.max(...lines.map(line => line.length)) * CHARACTER + 2 * MARGIN, lines.length * LINE + MARGIN];
}

function make(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw() {
  drawing = layOut(tree, nodes, sizeOf, group => open.has(group.key));
  const frames = [], boxes = [];
  for (const box of drawing.boxes) (box.isOpen ? frames : boxes).push(box.isOpen ? frameOf(box) : boxOf(box));
  const lines = drawing.lines.map(({ source, points }) => make("path", { d: curve(points), "data-source": source }));
  byId("view").replaceChildren(...frames, ...lines, ...boxes);
  mark();
}

function frameOf({ key, x, y, width, height }) {
  const group = groups.get(key);
  const bar = make("rect", { class: "bar", x, y, width, height: 22, rx: 9 }, titled(`close ${group.path.join(".")}`));
  bar.addEventListener("click", () => toggle(key));
  return make("g", { class: "frame" },
    make("rect", { x, y, width, height, rx: 9 }), make("text", { x: x + MARGIN, y: y + 15 }, "▾ " + group.path.at(-1)), bar);
}

function boxOf({ key, x, y, width, height }) {
  const group = groups.get(key), id = group ? null : Number(key.slice(1)), node = group ? null : nodes[id];
  const gradient = group ? groupGradient(group) : arrived(node);
  const [fill, stroke] = group
    ? byId("colour").value === "family" ? ["#f5f6f8", "#5b6675"] : colourOf("", group.bytes, gradient)
    : colourOf(node.family, node.savedBytes, gradient);
  const bad = gradient && gradient.state !== "ok" ? " bad" : "";
  const box = make("g", { class: (group ? "box closed" : "box") + bad, "data-key": key, tabindex: 0, role: "button" },
    make("rect", { x, y, width, height, rx: 6, fill, stroke }), titled(group ? `open ${group.path.join(".")}` : node.text));
  linesOf(group || id).forEach((line, i, all) => {
    const leaf = group ? undefined : chips[id][i - (all.length - chips[id].length)];
    const text = make("text", { x: x + width / 2, y: y + MARGIN / 2 + LINE * (i + 0.75) }, (group && i === 0 ? "▸ " : "") + line);
    if (i === 0) text.setAttribute("class", "name");
    if (leaf !== undefined) {
      const state = arrived(nodes[leaf]);
      text.setAttribute("class", state && state.state !== "ok" ? "leaf bad" : "leaf");
      text.dataset.leaf = leaf;
      text.addEventListener("click", event => { event.stopPropagation(); choose(leaf); });
    }
    box.append(text);
  });
  const act = () => group ? toggle(key) : choose(id);
  box.addEventListener("click", act);
  box.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); } });
  return box;
}

function groupGradient(group) {
  const state = ["nan", "inf"].find(bad => group.states.has(bad));
  return group.states.size ? { norm: group.norm, state: state || (group.norm ? "ok" : "zero") } : null;
}

function titled(text) { return make("title", {}, text); }

function curve(points) {
  let path = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length; i++) {
    const [x, y] = points[i - 1], [u, v] = points[i], half = (y + v) / 2;
    path += Math.abs(x - u) < 0.5 ? `L${u} ${v}` : `C${x} ${half} ${u} ${half} ${u} ${v}`;
  }
  return path;
}

function mark() { // shows what is chosen, its neighbourhood, and the path of an answer
  const key = chosen === null ? null : "n" + (home.has(chosen) ? home.get(chosen) : chosen);
  const near = new Set(chosen === null ? [] : [chosen, ...nodes[chosen].inputs.map(input => input.source)]);
  for (const box of byId("view").querySelectorAll(".box")) {
    box.classList.toggle("selected", box.dataset.key === key);
    box.classList.toggle("on-path", onPath.has(box.dataset.key));
  }
  for (const leaf of byId("view").querySelectorAll(".leaf")) leaf.classList.toggle("selected", Number(leaf.dataset.leaf) === chosen);
  const lines = byId("view").querySelectorAll("path");
  drawing.lines.forEach(({ source, b }, i) => {
    const leads = source === chosen || near.has(source) && (b === key || b[0] === "o" || containsKey(b, chosen));
    lines[i].classList.toggle("near", leads);
  });
  for (const item of byId("list").querySelectorAll(".item")) item.classList.toggle("current", Number(item.dataset.id) === chosen);
}

function containsKey(key, id) {
  const group = groups.get(key);
  return Boolean(group) && id !== null && group.path.every((part, i) => nodes[id].group[i] === part);
}

function toggle(key) {
  const before = place(key);
  if (open.has(key)) open.delete(key); else open.add(key);
  draw();
  const after = place(key);
  if (before && after) { // what was clicked stays under the pointer
    view.x += (before.x - after.x) * view.scale;
    view.y += (before.y - after.y) * view.scale;
  }
  look();
}

function place(key) {
  const box = drawing.boxes.find(box => box.key === key);
  return box ? { x: box.x + box.width / 2, y: box.y } : null;
}

// ------------------------------------------------------------ looking around

function look() { byId("view").setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`); }

function fit() {
  const { clientWidth: width, clientHeight: height } = byId("canvas");
  view.scale = Math.max(0.9, Math.min(1.25, (width - 40) / drawing.width, (height - 40) / drawing.height)); // what is tall begins at the top
  view.x = (width - drawing.width * view.scale) / 2;
  view.y = Math.max(20, (height - drawing.height * view.scale) / 2);
  look();
}

function centre(id) {
  const box = drawing.boxes.find(box => box.key === "n" + (home.has(id) ? home.get(id) : id));
  const { clientWidth: width, clientHeight: height } = byId("canvas");
  view.scale = Math.max(view.scale, 0.9);
  view.x = width / 2 - (box.x + box.width / 2) * view.scale;
  view.y = height / 2 - (box.y + box.height / 2) * view.scale;
  look();
}

function zoom(factor, x, y) {
  const scale = Math.min(4, Math.max(0.05, view.scale * factor));
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  look();
}

const canvas = byId("canvas");
let held = null;
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  const corner = canvas.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - corner.left, event.clientY - corner.top);
}, { passive: false });
canvas.addEventListener("pointerdown", event => { held = { x: event.clientX - view.x, y: event.clientY - view.y, id: event.pointerId }; });
canvas.addEventListener("pointermove", event => {
  if (!held || event.pointerId !== held.id) return;
  const x = event.clientX - held.x, y = event.clientY - held.y;
  if (!canvas.classList.contains("moving") && Math.hypot(x - view.x, y - view.y) < 4) return;
  if (!canvas.classList.contains("moving")) canvas.setPointerCapture(event.pointerId);
  canvas.classList.add("moving");
  Object.assign(view, { x, y });
  look();
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; canvas.classList.remove("moving"); });
