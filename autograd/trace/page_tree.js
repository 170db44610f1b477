
// The tape folded by call stack. A node has the same place in the code under its parent: an op, a
// call of a function, or a loop over several of them. What ran there again and again are its
// `repeats`, of which one is shown: an entry of the tape for an op, nodes for a call or a loop.

// The calls that led to an entry, outermost first. A call is where it was made and what was called.
function callsOf(entry) {
  const stack = recording.stacks[entry.stack] ?? [];
  if (entry.kind === "earlier")
    return [{key: "earlier", label: "before the recording", frame: null}];
  return stack.map((frame, i) => ({
                     key: `${i ? stack[i - 1] : ""}>${functionName(frames[frame])}`,
                     label: functionName(frames[frame]),
                     frame: frames[stack[i - 1]] ?? null
                   }));
}

// Ops of one name and frame are the same place. Where no line is known, each is its own.
function placeOfOp(entry) {
  const frame = (recording.stacks[entry.stack] ?? []).at(-1);
  const known = frame !== undefined && (frames[frame].line > 0 || /\+/.test(frames[frame].f));
  return {key: `${frame ?? ""}:${entry.name}`, known: known && entry.kind === "op"};
}

const calls = tape.map(callsOf), places = tape.map(placeOfOp);

// The length of the part of which the sequence is a repetition (Knuth, Morris, Pratt).
function periodOf(keys) {
  const borders = [0];
  for (let i = 1, length = 0; i < keys.length; ++i) {
    while (length && keys[i] !== keys[length]) length = borders[length - 1];
    if (keys[i] === keys[length]) ++length;
    borders.push(length);
  }
  const period = keys.length - (borders.at(-1) ?? 0);
  return keys.length % period ? keys.length : period;
}

// What stands directly in a function, in order: ops, and runs of ops under the same call.
function partsOf(entries, depth) {
  const parts = [];
  for (const entry of entries) {
    const call = calls[entry.at][depth];
    if (call && parts.at(-1)?.key === call.key)
      parts.at(-1).entries.push(entry);
    else
      parts.push({key: call ? call.key : places[entry.at].key, call, entries: [entry]});
  }
  return parts;
}

// The ops of a run as the calls that it is made of: one for each repetition of the whole. A
// function that was called again and again and one that loops leave the same stacks; one that calls
// functions of the user is taken to loop.
function splitCalls(entries, depth) {
  const parts = partsOf(entries, depth);
  const isUser = ({call, entries: [entry]}) => call && recording.user[entry.stack] >= depth;
  const once = depth === 1 || parts.some(isUser);
  const period = once ? parts.length : periodOf(parts.map(part => part.key));
  const result = [];
  for (let i = 0; i < parts.length; i += period)
    result.push(nodesOf(parts.slice(i, i + period), depth));
  return result;
}

function nodesOf(parts, depth) {
  const nodes = new Map();
  parts.forEach((part, i) => {
    const entry = part.entries[0];
    const key = part.call || places[entry.at].known ? part.key : `${part.key}#${i}`;
    if (!nodes.has(key)) {
      nodes.set(key, {
        key,
        kind: part.call ? "call" : "op",
        label: part.call ? part.call.label : entry.name,
        frame: part.call ? part.call.frame : userFrame(entry),
        repeats: []
      });
    }
    nodes.get(key).repeats.push(...(part.call ? splitCalls(part.entries, depth + 1) : [entry]));
  });
  return loops([...nodes.values()].map(joined));
}

// A call of which nothing is shown but another call shares its row.
function joined(node) {
  const inner = node.repeats[0];
  if (node.kind !== "call" || node.repeats.length > 1 || inner.length > 1 ||
      inner[0].kind !== "call")
    return node;
  return {
    ...inner[0],
    key: `${node.key}/${inner[0].key}`,
    label: `${node.label} › ${inner[0].label}`
  };
}

function firstEntry(node, repeat = 0) {
  const inner = node.repeats[repeat];
  return node.kind === "op" ? inner.at : firstEntry(inner[0]);
}

// Neighbours that ran equally often, and in turn, are the body of a loop.
function loops(nodes) {
  const result = [];
  for (let i = 0; i < nodes.length;) {
    const times = nodes[i].repeats.length;
    let end = i + 1;
    if (times > 1) {
      const second = firstEntry(nodes[i], 1);
      while (end < nodes.length && nodes[end].repeats.length === times &&
             firstEntry(nodes[end]) < second)
        ++end;
    }
    result.push(end - i > 1 ? loopOf(nodes.slice(i, end)) : nodes[i]);
    i = end;
  }
  return result;
}

function loopOf(body) {
  const repeats =
      body[0].repeats.map((_, i) => body.map(node => ({...node, repeats: [node.repeats[i]]})));
  return {key: `loop:${body[0].key}`, kind: "loop", label: "loop", frame: body[0].frame, repeats};
}

// Every node gets its path, its parent and how many ops are in it; every entry its node.
const leafOf = [];

function settle(nodes, parent, within) {
  let ops = 0;
  for (const node of nodes) {
    Object.assign(node, {parent, within, path: `${parent?.path ?? ""}/${node.key}`, ops: 0});
    node.repeats.forEach((inner, i) => {
      if (node.kind === "op") leafOf[inner.at] = {node, repeat: i};
      node.ops += node.kind === "op" ? 1 : settle(inner, node, i);
    });
    ops += node.ops;
  }
  return ops;
}

const roots = nodesOf(partsOf(tape, 0), 0);
settle(roots, null, 0);

// What is shown of it: which rows are open, and which repeat of each is chosen

const open = new Set(), chosen = new Map();
let rows = [];
let rowOfPath = new Map();

const repeatOf = node => Math.min(chosen.get(node.path) ?? 0, node.repeats.length - 1);

function flatten() {
  rows = [];
  const walk = (nodes, depth) => {
    for (const node of nodes) {
      rows.push({node, depth});
      if (node.kind !== "op" && open.has(node.path)) walk(node.repeats[repeatOf(node)], depth + 1);
    }
  };
  walk(roots, 0);
  rowOfPath = new Map(rows.map((row, i) => [row.node.path, i]));
}

// Opens level by level while the rows fit on a screen or two.
function openFirst(most = 60) {
  flatten();
  for (let level = 0;; ++level) {
    const more = rows.filter(({node, depth}) => depth === level && node.kind !== "op");
    const added = more.reduce((sum, {node}) => sum + node.repeats[repeatOf(node)].length, 0);
    if (!added || level && rows.length + added > most) return;
    for (const {node} of more) open.add(node.path);
    flatten();
  }
}

// Chooses the repeats that an entry is in, and opens what it is folded into if `unfold`.
function reveal(entry, unfold) {
  let changed = false;
  for (let {node, repeat} = leafOf[entry.at]; node; repeat = node.within, node = node.parent) {
    const opens = unfold && node.kind !== "op" && !open.has(node.path);
    changed ||= opens || repeatOf(node) !== repeat;
    chosen.set(node.path, repeat);
    if (opens) open.add(node.path);
  }
  if (changed) flatten();
}

// The row that shows an entry: its own, or that of what it is folded into.
function rowOf(entry) {
  for (let {node} = leafOf[entry.at]; node; node = node.parent) {
    if (rowOfPath.has(node.path)) return rowOfPath.get(node.path);
  }
  return 0;
}

// The entries in a node as it is chosen, in order.
function entriesIn(node, all = false) {
  const chosenOnes = all ? node.repeats : [node.repeats[repeatOf(node)]];
  if (node.kind === "op") return chosenOnes;
  return chosenOnes.flatMap(inner => inner.flatMap(child => entriesIn(child, true)))
      .sort((a, b) => a.at - b.at);
}
