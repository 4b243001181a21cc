/* Runs that leave one another: how the tree grows, what is asked for, and what is saved. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { canFork, forkRequest, fromSaved, ordered, saved } from "../../app/theatre/js/forks.js";
import { Record } from "../../app/theatre/js/record.js";
import { FIRST, canRedo, comparedWith, pairOf, reduce } from "../../app/theatre/js/state.js";
import { SHORT, trace } from "./helpers.js";

/** @import { Trace } from "../../app/theatre/js/generated.js" */
/** @import { Action, Request, State } from "../../app/theatre/js/state.js" */

/** @type {Request} */
const REQUEST = { messages: [{ role: "user", content: "Why?" }], settings: { threshold: 0.6 } };

/** @param {State} state @param {...Action} actions */
const after = (state, ...actions) => actions.reduce(reduce, state);

/** A whole run. @param {Trace} whole @returns {Action[]} */
function run({ passes, text, token_ids, finish_reason, ...head }) {
  return [{ type: "start", record: new Record(head, "live") }, { type: "passes", passes }, { type: "end", tail: { text, token_ids, finish_reason } }];
}

/** SHORT's first tokens up to a place, another one there, and a pass of two after it. @param {number} place @param {number} id @returns {Trace} */
function left(place, id) {
  const [pass] = trace([{ guesses: [[21, 0.9], [22, 0.8]], accepted: 2 }]).passes;
  const ids = [...SHORT.token_ids.slice(0, place), id];
  const given = ids.map((i) => /** @type {[number, string]} */ ([i, ` t${i}`]));
  return { ...SHORT, given, passes: [{ ...pass, start: ids.length }], token_ids: [...ids, 21, 22], text: [...ids, 21, 22].map((i) => ` t${i}`).join("") };
}

/** Ask for a fork of the shown run. @param {State} state @param {number} place @param {number|string} put @returns {Action} */
function ask(state, place, put) {
  const request = forkRequest(state, place, put);
  assert.ok(request);
  return { type: "ask", request, kept: state.record, leaving: { name: `fork at ${place}`, place } };
}

const DONE = after(FIRST, { type: "ask", request: REQUEST, kept: null }, ...run(SHORT));
const ONE = after(DONE, ask(DONE, 2, 40), ...run(left(2, 40)));
const BACK = after(ONE, { type: "choose", index: 0 });
const TWO = after(BACK, ask(BACK, 4, "own"), ...run(left(4, 50)));

test("a fork asks for the answer up to a place and what is put there", () => {
  assert.deepEqual(forkRequest(DONE, 3, 77), { ...REQUEST, prefix: [1, 2, 3, 77] });
  assert.deepEqual(forkRequest(ONE, 3, "own"), { ...REQUEST, prefix: [1, 2, 40, "own"] });
});

test("only an answer that has ended can be left, and only where it has tokens", () => {
  const running = after(FIRST, { type: "ask", request: REQUEST, kept: null }, ...run(SHORT).slice(0, 2));
  assert.deepEqual([canFork(running, 1), canFork(DONE, 6), canFork(DONE, 7), canFork(FIRST, 0)], [false, true, false, false]);
  const file = after(DONE, { type: "load", record: Record.from(SHORT, "file") });
  assert.equal(forkRequest(file, 1, 7), null);
});

test("the run that was left stays, and is compared with", () => {
  assert.deepEqual(ONE.forks.map((fork) => [fork.parent, fork.place, fork.name]), [[-1, 0, ""], [0, 2, "fork at 2"]]);
  assert.deepEqual([comparedWith(ONE), ONE.partsAt, ONE.status], ["run", 2, "done"]);
  assert.deepEqual(pairOf(ONE)?.map((record) => record.key), [DONE.record?.key, ONE.record?.key]);
  assert.equal(ONE.turns[1].content, " t1 t2 t40 t21 t22");
  assert.deepEqual([ONE.record?.tokens, ONE.record?.tokensPerPass, ONE.announced], [5, 2, { tokens: 2, passes: 1 }]);
});

test("the chosen run is the answer that the conversation goes on with", () => {
  assert.deepEqual([BACK.record?.key, BACK.live?.key, BACK.kept], [DONE.record?.key, DONE.record?.key, null]);
  assert.deepEqual([BACK.turns, BACK.request, canRedo(BACK)], [DONE.turns, REQUEST, true]);
  assert.deepEqual(TWO.forks.map((fork) => fork.parent), [-1, 0, 0]);
  const other = after(TWO, { type: "against", index: 1 });
  assert.deepEqual([other.kept?.key, other.partsAt, other.live?.key], [ONE.record?.key, 2, TWO.record?.key]);
  const swapped = after(other, { type: "swap" });
  assert.deepEqual([swapped.record?.key, after(swapped, { type: "swap" }).record?.key], [ONE.record?.key, TWO.record?.key]);
});

test("a fork that fails leaves the tree and the run that was asked from as they were", () => {
  const failed = after(ONE, ask(ONE, 1, 60), ...run(left(1, 60)).slice(0, 2), { type: "fail", message: "It broke." });
  assert.deepEqual([failed.forks.length, failed.leaving, failed.record?.key], [2, null, ONE.record?.key]);
  assert.deepEqual(failed.request, ONE.request); // not what failed
  assert.deepEqual(failed.turns, ONE.turns);
});

test("another τ joins the tree where there is one; a new question begins without", () => {
  const { request, record } = ONE;
  assert.ok(request);
  const tau = after(ONE, { type: "ask", request, kept: record, leaving: { name: "τ", place: 3 } }, ...run(left(2, 40)));
  assert.deepEqual(tau.forks.map((fork) => [fork.parent, fork.place]), [[-1, 0], [0, 2], [1, 3]]);
  assert.deepEqual(after(ONE, { type: "ask", request: REQUEST, kept: null }).forks, []);
  assert.deepEqual(after(ONE, { type: "clear" }).forks, []);
});

test("a fork of the run before the last τ has both in its tree", () => {
  const both = after(DONE, { type: "ask", request: { ...REQUEST, settings: { threshold: 0.3 } }, kept: DONE.record }, ...run(SHORT));
  const old = after(both, { type: "swap" });
  const next = after(old, ask(old, 2, 40), ...run(left(2, 40)));
  assert.deepEqual(next.forks.map((fork) => [fork.parent, fork.request?.settings.threshold]), [[-1, 0.6], [0, 0.3], [0, 0.6]]);
});

test("names are changed", () => {
  assert.deepEqual(after(TWO, { type: "rename", index: 1, name: "mine" }).forks.map((fork) => fork.name), ["", "mine", "fork at 4"]);
});

test("a tree is saved and loaded whole, and can be walked there too", () => {
  const file = fromSaved(JSON.parse(JSON.stringify(saved(TWO))), "file");
  assert.deepEqual(file.map(({ parent, place, name, record }) => [parent, place, name, record.tail]), TWO.forks.map(({ parent, place, name, record }) => [parent, place, name, record.tail]));
  const loaded = after(TWO, { type: "load", record: file[0].record, loaded: file });
  assert.equal(comparedWith(loaded), "conversation");
  const second = after(loaded, { type: "choose", index: 2 });
  assert.deepEqual([second.record?.key, second.against?.key, second.partsAt, comparedWith(second)], [file[2].record.key, file[0].record.key, 4, "run"]);
  assert.equal(after(second, { type: "swap" }).record?.key, file[0].record.key);
  const back = after(second, { type: "back" });
  assert.deepEqual([back.record?.key, back.partsAt, back.forks.length, back.loaded], [TWO.record?.key, -1, 3, []]);
  assert.equal(JSON.stringify(saved(DONE)), JSON.stringify(DONE.record?.toJSON())); // without forks it is a trace
  assert.equal(fromSaved(SHORT, "file").length, 1);
});

test("rows stand after the run they left", () => {
  const row = (/** @type {number} */ parent) => ({ ...TWO.forks[0], parent });
  assert.deepEqual(ordered([row(-1), row(0), row(0), row(1), row(3), row(0)]), [[0, 0], [1, 1], [3, 2], [4, 3], [2, 1], [5, 1]]);
  assert.deepEqual(ordered([]), []);
});
