/* What happens on the stage, step by step. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { turnsBefore } from "../../app/theatre/js/conversation.js";
import { Record } from "../../app/theatre/js/record.js";
import { FIRST, canRedo, comparedWith, isLive, reduce } from "../../app/theatre/js/state.js";
import { createStore } from "../../app/theatre/js/store.js";
import { note } from "../../app/theatre/js/whatif.js";
import { states } from "../../app/theatre/js/words.js";
import { SHORT } from "./helpers.js";

/** @import { Action, Request, State } from "../../app/theatre/js/state.js" */

const { passes, text, token_ids, finish_reason, ...HEAD } = SHORT;
const TAIL = { text, token_ids, finish_reason };
/** @type {Request} */
const REQUEST = { messages: [{ role: "user", content: "Why?" }], settings: { threshold: 0.6 } };

/** @param {State} state @param {...Action} actions */
const after = (state, ...actions) => actions.reduce(reduce, state);

/** @param {number} threshold @returns {Action[]} a whole run */
const run = (threshold) => {
  const record = new Record({ ...HEAD, config: { ...HEAD.config, threshold } }, "live");
  return [{ type: "start", record }, { type: "passes", passes: passes.slice(0, 1) }, { type: "passes", passes: passes.slice(1) }, { type: "end", tail: TAIL }];
};
/** @type {Action} */
const ASK = { type: "ask", request: REQUEST, kept: null };
const DONE = after(FIRST, ASK, ...run(0.6));

test("a run is shown as it grows, and answers its question", () => {
  const [start, first, rest, end] = run(0.6);
  const waiting = after(FIRST, ASK);
  assert.deepEqual([waiting.status, waiting.record, waiting.turns.length], ["waiting", null, 1]);
  const running = after(waiting, start, first);
  assert.deepEqual([running.status, running.cursor, isLive(running)], ["running", 1, true]);
  const done = after(running, rest, end);
  assert.deepEqual([done.status, done.cursor, isLive(done), done.announced], ["done", 3, false, { tokens: 6, passes: 3 }]);
  assert.deepEqual(done.turns.map((t) => t.role), ["user", "assistant"]);
  assert.deepEqual(turnsBefore(done).map((t) => t.role), ["user"]); // the answer itself is drawn from its record
  assert.ok(canRedo(done));
});

test("a stopped run is complete as far as it goes", () => {
  const stopped = after(FIRST, ASK, ...run(0.6).slice(0, 2), { type: "end", tail: { ...TAIL, finish_reason: "cancelled" } });
  assert.equal(stopped.status, "stopped");
});

test("time that stands still does not follow a growing run", () => {
  const [start, first, rest] = run(0.6);
  const state = after(FIRST, ASK, start, first, { type: "toggle" }, rest);
  assert.deepEqual([state.cursor, state.following, state.record?.passes.length], [1, false, 3]);
});

test("moving τ judges; back at the record's own there is nothing to judge", () => {
  const moved = after(DONE, { type: "judge", tau: 0.25, moving: true });
  assert.deepEqual([...(moved.verdict?.kept || [])], [3, 2, 3]);
  assert.match(note(moved), /When τ stops moving/);
  assert.match(note(after(DONE, { type: "judge", tau: 0.25 })), /once more/);
  assert.equal(after(moved, { type: "judge", tau: 0.6, moving: true }).verdict, null);
  assert.equal(after(DONE, { type: "set tau", tau: 0.25 }).verdict, null);
});

test("τ that is tried judges what comes, and has rested by then", () => {
  const [start, first, rest, end] = run(0.6);
  const running = after(FIRST, ASK, start, first, { type: "judge", tau: 0.25, moving: true }, rest);
  assert.equal(running.verdict?.kept.length, 3);
  assert.match(note(running), /goes on as it began/);
  assert.match(note(after(running, end)), /once more/);
});

test("decoding again keeps the run before, to compare and to swap", () => {
  const again = after(DONE, { type: "ask", request: REQUEST, kept: DONE.record });
  assert.equal(comparedWith(again), null);
  assert.equal(again.record, DONE.record); // shown until the new one begins
  const both = after(again, ...run(0.3));
  assert.deepEqual([comparedWith(both), both.partsAt, both.tau], ["run", -1, 0.3]);
  const swapped = after(both, { type: "swap" });
  assert.deepEqual([swapped.record?.key, swapped.tau, comparedWith(swapped)], [DONE.record?.key, 0.6, "run"]);
  assert.equal(after(swapped, { type: "swap" }).record?.key, both.record?.key);
});

test("decoding again that fails leaves the answer, before it begins and midway", () => {
  const again = after(DONE, { type: "ask", request: REQUEST, kept: DONE.record });
  for (const begun of [[], run(0.3).slice(0, 2)]) {
    const failed = after(again, ...begun, { type: "fail", message: "It broke." });
    assert.deepEqual([failed.status, failed.record?.key, failed.live?.key], ["failed", DONE.record?.key, DONE.record?.key]);
    assert.deepEqual(failed.turns, DONE.turns);
    assert.equal(comparedWith(failed), null);
  }
});

test("a run that breaks midway can still be stepped through", () => {
  const broken = after(FIRST, ASK, ...run(0.6).slice(0, 3), { type: "fail", message: "It broke." });
  assert.deepEqual([broken.status, broken.coming, broken.record?.passes.length], ["failed", false, 3]);
  const playing = after(broken, { type: "toggle" });
  assert.deepEqual([playing.playing, playing.cursor], [true, 0]);
});

test("a loaded trace hides the conversation and gives it back", () => {
  const loaded = after(DONE, { type: "load", record: Record.from(SHORT, "file") });
  assert.deepEqual([loaded.status, comparedWith(loaded), turnsBefore(loaded)], ["file", "conversation", [{ role: "user", content: "Why?" }]]);
  assert.equal(canRedo(loaded), false);
  const refused = after(loaded, { type: "refuse", message: "Not a trace." });
  assert.deepEqual([refused.status, refused.notice], ["file", { text: "Not a trace.", wrong: true }]);
  const back = after(refused, { type: "back" });
  assert.deepEqual([back.status, back.record?.key, back.notice, comparedWith(back)], ["done", DONE.record?.key, null, null]);
});

test("a trace loaded in the middle of a run stops it", () => {
  const loaded = after(FIRST, ASK, ...run(0.6).slice(0, 2), { type: "load", record: Record.from(SHORT, "file") });
  assert.deepEqual([loaded.coming, loaded.live?.tail?.finish_reason, loaded.turns.length], [false, "cancelled", 2]);
  assert.equal(after(loaded, { type: "back" }).status, "stopped");
});

test("a card is pinned, unpinned, and closed where its pass is gone", () => {
  const pinned = after(DONE, { type: "pin", pass: 2, i: 1 });
  assert.deepEqual(pinned.pinned, [2, 1]);
  assert.equal(after(pinned, { type: "pin", pass: 2, i: 1 }).pinned, null);
  assert.equal(after(pinned, { type: "unpin" }).pinned, null);
  assert.equal(after(pinned, { type: "step", by: -1 }).pinned, null);
  assert.equal(after(DONE, { type: "pin", pass: 2, i: 7 }).pinned, null); // there is no such guess
});

test("a failure to load stays said when the example comes", () => {
  const failed = after(FIRST, { type: "model", status: { state: "failed", name: "", message: "No such model." } });
  const shown = after(failed, { type: "show", record: Record.from(SHORT, "example"), status: "example" });
  assert.deepEqual([shown.status, shown.detail.message, shown.record?.origin], ["failed", "No such model.", "example"]);
});

test("the model that is chosen for the next run changes nothing of the one in progress, which says who made it", () => {
  const models = ["lab/first", "lab/second"];
  const asked = after(FIRST, { type: "ask", request: { ...REQUEST, settings: { ...REQUEST.settings, model: models[0] } }, kept: null });
  const [start, ...rest] = run(0.6);
  const chosen = after(asked, start, { type: "model", status: { state: "failed", name: "second", message: "No such folder.", models } });
  assert.deepEqual([chosen.status, chosen.model?.name], ["running", "second"]);
  const done = after(chosen, ...rest);
  assert.match(states.done(done.detail)[1], /^The answer of model reached/); // a/model, as its trace says
  assert.match(states.done(DONE.detail)[1], /^The answer reached/);
});

test("a run that waits says whether for memory, for loading or for its turn", () => {
  const said = (/** @type {string} */ model) => states.waiting(after(FIRST, ASK, { type: "wait", detail: { position: 3, model } }).detail)[1];
  assert.match(said("unloaded"), /another one makes room/);
  assert.match(said("loading"), /still loading/);
  assert.match(said("ready"), /place in line: 3/);
});

test("clearing leaves nothing but the slider", () => {
  const cleared = after(DONE, { type: "set tau", tau: 0.25 }, { type: "clear" });
  assert.deepEqual({ ...cleared, moves: 0, announced: null, model: null }, { ...FIRST, tau: 0.25 });
});

test("listeners hear of changes only", () => {
  const store = createStore(reduce, FIRST);
  let heard = 0;
  store.subscribe(() => heard++);
  store.dispatch({ type: "light", pass: null });
  store.dispatch({ type: "light", pass: 2 });
  assert.equal(heard, 1);
});
