// Beside the picture (page.js): the list, to search, and what is known of the node that was chosen. All text goes in as text.
"use strict";

// ------------------------------------------------------------ the list

function search(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean), found = [];
  for (const node of nodes) {
    const fields = node.search;
    if (!words.every(word => fields.some(text => text.includes(word)))) continue;
    const rank = fields.findIndex(text => words.some(word => text.includes(word)));
    found.push([words.includes(fields[0]) ? 0 : rank + 1, node]);
  }
  return found.sort((a, b) => a[0] - b[0] || a[1].id - b[1].id);
}

const WHERE = ["", "", "name", "module", "shape", "formula", "forward line"];

function list() {
  const query = byId("search").value.trim(), rows = [];
  if (query) {
    const found = search(query);
    rows.push(heading(`${found.length} of ${nodes.length} nodes`));
    for (const [rank, node] of found.slice(0, 300)) rows.push(itemOf(node, rank > 2 ? `found in ${WHERE[rank]}` : ""));
  } else {
    const leaves = nodes.filter(node => node.kind === "leaf").sort((a, b) => badness(b) - badness(a) || a.id - b.id);
    rows.push(...data.missing.map(missingItem));
    if (rows.length) rows.unshift(heading("not in the graph"));
    rows.push(heading(`leaves (${leaves.length})`), ...leaves.map(node => itemOf(node, "")));
  }
  byId("list").replaceChildren(...rows);
}

function badness(node) { return { ok: 0, zero: 1, inf: 2, nan: 2, none: 1 }[(data.answers[node.id] || {}).state] || 0; }

function heading(text) { return element("h2", {}, text); }

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value); else if (key in made) made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children.filter(child => child !== null && child !== ""));
  return made;
}

function itemOf(node, note) {
  const [fill, border] = data.colours[node.family] || data.colours.other, state = stateOf(node);
  const item = element("button", { className: "item", onclick: () => choose(node.id, true) },
    element("i"), element("b", {}, node.kind === "leaf" ? node.name.split(".").slice(-2).join(".") : node.op), state,
    element("small", {}, [node.kind === "leaf" ? node.module : node.module || "model", node.outputs.join(", "), note].filter(Boolean).join(" · ")));
  item.firstChild.style.cssText = `background:${fill};border-color:${border}`;
  item.dataset.id = node.id;
  item.title = node.text;
  return item;
}

function stateOf(node) {
  const answer = data.answers[node.id], gradient = arrived(node);
  if (answer && answer.state !== "ok" && (answer.reason !== "not run" || !gradient)) {
    return answer.reason === "not run" || answer.reason === "freed" ? "" : element("span", { className: "state " + answer.state }, answer.state);
  }
  return gradient ? element("span", { className: "state " + gradient.state }, gradient.state === "ok" ? short(gradient.norm) : gradient.state) : "";
}

function missingItem({ name, answer }) {
  const item = element("button", { className: "item", onclick: () => showMissing(name, answer) },
    element("i"), element("b", {}, name), element("span", { className: "state none" }, "none"), element("small", {}, answer.reason));
  item.firstChild.style.cssText = "background:var(--bad-soft);border-color:var(--bad)";
  return item;
}

// ------------------------------------------------------------ what is known of a node

function choose(id, goThere = false) {
  chosen = id;
  const answer = data.answers[id];
  onPath = new Set(answer && answer.state !== "ok" && answer.node !== null ? answer.path.map(n => "n" + n) : []);
  const hadDetail = !byId("detail").hidden;
  byId("detail").hidden = false;
  byId("detail").replaceChildren(...detailOf(nodes[id]));
  byId("detail").scrollTop = 0;
  if (goThere) {
    reveal(id);
    draw();
    centre(id);
  } else {
    if (!hadDetail) look();
    mark();
  }
}

function showMissing(name, answer) {
  chosen = null;
  onPath = new Set();
  byId("detail").hidden = false;
  byId("detail").replaceChildren(closer(), element("h2", {}, name), element("p", { className: "where" }, "not in the graph"), ...whyOf(answer));
  mark();
}

function closer() {
  return element("button", { className: "close", title: "close", onclick: () => { byId("detail").hidden = true; chosen = null; onPath = new Set(); mark(); } }, "×");
}

function detailOf(node) {
  const parts = [closer(), element("h2", {}, node.label), element("p", { className: "where" }, `#${node.id} ${node.name}`)];
  if (node.module) parts.push(element("p", { className: "where" }, "in ", crumbs(node)));
  if (data.answers[node.id]) parts.push(...whyOf(data.answers[node.id]));
  const facts = [["result", node.outputs.join(", ")]];
  if (node.kind === "operation") facts.push(["saves", human(node.savedBytes) + (node.isFreed ? ", freed by a backward pass" : "")]);
  node.gradients.forEach((gradient, i) => facts.push([node.gradients.length > 1 ? `gradient ${i}` : "gradient", gradient ? gradient.text : "none"]));
  for (const [name, value] of Object.entries(node.attrs)) facts.push([name, value]);
  parts.push(element("dl", {}, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
  const formulas = node.inputs.filter(input => input.formula !== null);
  if (formulas.length) parts.push(element("h3", {}, "derivative"));
  for (const group of sameFormula(formulas)) {
    const source = data.sources[group[0].formula], names = group.length > 4 ? "all inputs" : group.map(input => input.name).join(", ");
    parts.push(element("p", { className: "file" }, `with regard to ${names}: ${source.file}:${source.line}`), code(source.code));
  }
  if (node.inputs.length) parts.push(element("h3", {}, "inputs"), tableOf(node.inputs.map(input => [
    input.name, input.source === null ? "constant" : link(input.source, input.output), input.value, input.gradient ? "got " + input.gradient.text : ""])));
  if (users[node.id].length) parts.push(element("h3", {}, "used by"), tableOf([...new Set(users[node.id])].map(id => [link(id), nodes[id].module || "model", nodes[id].outputs.join(", ")])));
  if (node.saved.length) parts.push(element("h3", {}, "saved for the derivative"), tableOf(node.saved.map(saved => [
    saved.name, saved.text || saved.value, saved.nbytes ? human(saved.nbytes) : "", saved.owner ? `memory of ${saved.owner === "leaf" ? "a leaf" : saved.owner}` : "", saved.range])));
  if (node.lines.length) {
    parts.push(element("h3", {}, "forward line"));
    const shown = node.lines.map(line => [element("p", { className: "file" }, `${line.file}:${line.line} in ${line.function}`), code(line.text)]);
    parts.push(...shown[0]);
    if (shown.length > 1) parts.push(element("details", {}, element("summary", {}, `${shown.length - 1} more, from the inside out`), ...shown.slice(1).flat()));
  }
  if (node.forward !== null) {
    const source = data.sources[node.forward];
    parts.push(element("h3", {}, "operation"), element("p", { className: "file" }, `${source.file}:${source.line}`), code(source.code));
  }
  return parts;
}

function crumbs(node) {
  const whole = element("span");
  node.group.forEach((part, i) => {
    const key = groupKey(node.group.slice(0, i + 1));
    whole.append(i ? "." : "", element("a", { onclick: () => toggle(key), title: "open or close" }, part));
  });
  const rest = node.module.slice(node.group.join(".").length);
  whole.append(node.module.startsWith(node.group.join(".")) ? rest : "");
  return whole;
}

function whyOf(answer) {
  if (answer.reason === "ok" || answer.reason === "freed" || answer.reason === "not run") return [];
  const box = element("div", { className: "why" }, answer.text);
  for (const line of answer.lines) box.append(`\n  at ${line}`);
  if (answer.node !== null) box.append("\n", element("a", { onclick: () => { const path = onPath; choose(answer.node, true); onPath = path; mark(); } }, `show #${answer.node}`));
  return [box];
}

function sameFormula(inputs) {
  const found = new Map();
  for (const input of inputs) found.set(input.formula, [...(found.get(input.formula) || []), input]);
  return [...found.values()];
}

function link(id, output = 0) {
  const node = nodes[id];
  return element("a", { onclick: () => choose(id, true), title: node.text }, (node.kind === "leaf" ? node.label : `#${id} ${node.op}`) + (output ? `.${output}` : ""));
}

function tableOf(rows) {
  const columns = rows[0].map((_, i) => i).filter(i => rows.some(row => row[i] !== ""));
  return element("table", {}, ...rows.map(row => element("tr", {}, ...columns.map(i => element("td", {}, row[i])))));
}

function code(text) {
  const block = element("pre"), pattern = /(#.*)|("""[\s\S]*?"""|"[^"\n]*"|'[^'\n]*')|\b(lambda|def|return|if|else|elif|for|in|not|and|or|is|None|True|False|raise|with|as|import|from)\b|\b(\d[\d.e_-]*)/g;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    block.append(text.slice(end, match.index), element("span", { className: match[1] ? "c" : match[2] ? "s" : match[3] ? "k" : "n" }, match[0]));
    end = match.index + match[0].length;
  }
  block.append(text.slice(end));
  return block;
}

function human(bytes) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (bytes < 1000) return unit === "B" || bytes >= 100 ? `${Math.round(bytes)} ${unit}` : `${bytes.toFixed(1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} TB`;
}

function short(number) { return Number(number.toPrecision(3)).toString(); }

// ------------------------------------------------------------ start

byId("title").textContent = data.title;
byId("summary").textContent = data.summary;
byId("search").addEventListener("input", () => { list(); mark(); });
byId("search").addEventListener("keydown", event => {
  const first = byId("list").querySelector(".item");
  if (event.key === "Enter" && first) first.click();
});
byId("colour").addEventListener("change", draw);
byId("fit").addEventListener("click", fit);
byId("open-all").addEventListener("click", () => { for (const key of groups.keys()) open.add(key); draw(); fit(); });
byId("close-all").addEventListener("click", () => { open.clear(); open.add(tree.key); draw(); fit(); });
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== byId("search")) { event.preventDefault(); byId("search").focus(); }
  if (event.key === "Escape") { byId("search").value = ""; list(); mark(); }
});
list();
draw();
fit();
