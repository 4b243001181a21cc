/* Messages arrive once each and in order, whatever values the page gets to see. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Wire } from "../../app/theatre/js/wire.js";
import { loadTrace } from "../../app/theatre/js/files.js";
import { SHORT } from "./helpers.js";

const turn = () => new Promise((done) => setImmediate(done));

/** A wire to a server that has `all`. @param {string[]} all */
function connect(all) {
  /** @type {any[]} */
  const seen = [];
  /** @type {number[]} */
  const asked = [];
  /** @type {string[]} */
  const stopped = [];
  /** @type {any} */
  const props = { value: {} };
  let changed = () => {};
  /** @type {any} */
  const server = {
    events_after: async (/** @type {{after: number}} */ { after }) => (asked.push(after), all.slice(after)),
    stop: async (/** @type {string} */ run) => void stopped.push(run),
  };
  const gradio = { props, watch: (/** @type {string} */ _, /** @type {() => void} */ f) => (changed = f), send: () => {}, server };
  const wire = new Wire(gradio, (message) => seen.push(message));
  wire.begin({});
  /** @param {string|null} run @param {...number} numbers */
  const tell = (run, ...numbers) => {
    props.value = { run, messages: Object.fromEntries(numbers.map((n) => [n, all[n] ?? JSON.stringify({ kind: "passes", n })])) };
    changed();
  };
  return { wire, seen, asked, stopped, tell };
}

test("a page that slept asks for what it missed", async () => {
  const all = Array.from({ length: 20 }, (_, n) => JSON.stringify({ kind: "passes", n }));
  const { wire, seen, asked, tell } = connect(all);
  tell(wire.run, 0, 1);
  tell("another visitor's", 2, 3);
  tell(wire.run, 1, 2, 3);
  tell(wire.run, 9, 10, 11);
  await turn();
  tell(wire.run, 18, 19);
  assert.deepEqual(seen.map((m) => m.n), [...all.keys()]);
  assert.deepEqual(asked, [4]);
});

test("what the server has forgotten ends the run", async () => {
  const { wire, seen, stopped, tell } = connect([]);
  const { run } = wire;
  for (const n of [0, 5, 1]) {
    tell(run, n);
    await turn();
  }
  assert.deepEqual(seen.map((m) => m.kind), ["passes", "failed"]);
  assert.deepEqual(stopped, [run]);
  assert.equal(wire.run, null);
});

test("a run that has ended is not stopped", () => {
  const { wire, stopped, tell } = connect([JSON.stringify({ kind: "end", last: true })]);
  tell(wire.run, 0);
  wire.stop();
  assert.deepEqual(stopped, []);
});

test("a server that does not answer a stop is given up", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { wire, seen } = connect([]);
  wire.stop();
  t.mock.timers.tick(60_000);
  assert.deepEqual(seen.map((m) => m.kind), ["failed"]);
});

test("a new run hears nothing of the one before", () => {
  const { wire, seen, stopped, tell } = connect([]);
  const old = wire.run;
  wire.begin({});
  tell(old, 0);
  assert.deepEqual([seen, stopped], [[], [old]]);
});

test("a file too large is not even read", async () => {
  const text = mock.fn(async () => "");
  await assert.rejects(loadTrace({ size: 17e6, text }, async () => ({})), /too large/);
  assert.equal(text.mock.callCount(), 0);
});

test("a file is a trace where the server says so", async () => {
  const file = (/** @type {string} */ content) => ({ size: content.length, text: async () => content });
  assert.equal((await loadTrace(file(JSON.stringify(SHORT)), async () => ({})))[0].record.tokens, 6);
  await assert.rejects(loadTrace(file("{}"), async () => ({ error: "This is not a trace." })), /not a trace/);
  await assert.rejects(loadTrace(file("NaN,"), async () => ({})), /not valid JSON/);
});
