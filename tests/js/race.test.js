/* What happens in a race, step by step. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FIRST_RACE, gainOf, isEqual, reduceRace, wasShared } from "../../app/theatre/js/race-state.js";
import { Record } from "../../app/theatre/js/record.js";
import { SHORT, shipped } from "./helpers.js";

/** @import { RaceAction, RaceState } from "../../app/theatre/js/race-state.js" */

const RECORDS = ["1-autoregressive", "2-prob_conf", "3-self_speculative"].map((name) => shipped(`race/${name}`));
const { passes, text, token_ids, ...HEAD } = SHORT;

/** @param {RaceState} state @param {...RaceAction} actions */
const after = (state, ...actions) => actions.reduce(reduceRace, state);
const phases = (/** @type {RaceState} */ { lanes }) => lanes.map((lane) => lane.phase);

/**
 * A lane from its start to its end.
 * @param {number} lane @param {{sharedPass?: boolean, reason?: "length"|"cancelled", last?: boolean}} [how]
 * @returns {RaceAction[]}
 */
const laneOf = (lane, { sharedPass = false, reason = "length", last = lane === 2 } = {}) => [
  { type: "start", lane, record: new Record(HEAD, "live") },
  { type: "passes", lane, passes },
  { type: "end", lane, tail: { text, token_ids, finish_reason: reason }, last, sharedPass },
];

test("it opens with a recorded race, unless the visitor was faster", () => {
  const shown = after(FIRST_RACE, { type: "recording", records: RECORDS });
  assert.deepEqual([shown.complete, shown.banner.name, phases(shown)], [true, "recorded", ["recorded", "recorded", "recorded"]]);
  assert.equal(gainOf(shown, 0)?.passes, 1);
  assert.ok(Number(gainOf(shown, 1)?.passes) > 1);
  assert.equal(after(FIRST_RACE, { type: "begin" }, { type: "recording", records: RECORDS }).complete, false);
});

test("lanes are decoded one after the other, then replayed", () => {
  const first = after(FIRST_RACE, { type: "begin" }, ...laneOf(0));
  assert.deepEqual([first.busy, phases(first)], [true, ["recorded", "waits", "waits"]]);
  const done = after(first, ...laneOf(1), ...laneOf(2));
  assert.deepEqual([done.busy, done.complete, done.banner.name, isEqual(done)], [false, true, "result", false]);
  const midway = after(done, { type: "tick", shown: [1, 2, 3], seconds: 0.5 });
  assert.deepEqual(phases(midway), ["replaying", "replaying", "finished"]);
  assert.equal(gainOf(midway, 1), null); // not before its end
});

test("seconds are not compared where others took part", () => {
  const done = after(FIRST_RACE, { type: "begin" }, ...laneOf(0), ...laneOf(1, { sharedPass: true }), ...laneOf(2));
  assert.deepEqual([wasShared(done), isEqual(done)], [true, true]);
  assert.equal(gainOf(done, 1)?.clock, null);
  assert.equal(gainOf(done, 2)?.clock, 1);
  assert.equal(isEqual(after(done, { type: "begin" })), false);
});

test("lanes say how far a race got", () => {
  const begun = after(FIRST_RACE, { type: "begin" });
  const [start, some] = laneOf(0);
  const cases = /** @type {[RaceAction[], string[]][]} */ ([
    [[start, some, { type: "fail", message: "It broke." }], ["stopped", "undecoded", "undecoded"]],
    [[...laneOf(0), { type: "fail", message: "It broke." }], ["recorded", "undecoded", "undecoded"]],
    [laneOf(0, { reason: "cancelled", last: true }), ["stopped", "undecoded", "undecoded"]],
    [laneOf(0, { last: true }), ["recorded", "undecoded", "undecoded"]], // stopped in its last pass
  ]);
  for (const [actions, expected] of cases) {
    const over = after(begun, ...actions);
    assert.deepEqual([phases(over), over.busy, over.complete], [expected, false, false]);
  }
});
