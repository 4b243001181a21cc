/* The timeline's arithmetic. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { evenClock, grown, opened, played, reached, sought, ticked, toggled } from "../../app/theatre/js/time.js";

const START = { cursor: 0, following: true, playing: false, moves: 0 };
const TEN = { length: 10, live: false };

test("passes that are over at a moment", () => {
  const clock = [0, 1, 1.5, 4];
  assert.deepEqual([0, 0.9, 1, 1.5, 3.9, 4, 99].map((s) => reached(clock, 0, s)), [0, 0, 1, 2, 2, 3, 3]);
  assert.equal(reached(clock, 2, 0), 2); // never back
  assert.equal(reached([0], 0, 5), 0);
  assert.deepEqual(evenClock(3, 2), [0, 0.5, 1, 1.5]);
});

test("seeking stays within the run and follows at its end", () => {
  assert.deepEqual([-5, 0, 4, 10, Infinity].map((to) => sought(START, TEN, to).cursor), [1, 1, 4, 10, 10]);
  assert.equal(sought(START, TEN, 10).following, true);
  assert.equal(sought({ ...START, playing: true }, TEN, 4).playing, false);
  assert.equal(sought(START, { length: 0, live: false }, 4).cursor, 0);
});

test("a record is opened at its end or at a pass", () => {
  assert.deepEqual(opened(START, 10, Infinity), { cursor: 10, following: true, playing: false, moves: 1 });
  assert.deepEqual(opened(START, 10, 0), { cursor: 0, following: false, playing: false, moves: 1 });
});

test("what is new is shown only where time follows", () => {
  assert.equal(grown(START, TEN).cursor, 10);
  assert.equal(grown({ ...START, cursor: 3, following: false }, TEN).cursor, 3);
});

test("playing begins anew at the end, and ends there", () => {
  const playing = played({ ...START, cursor: 10 }, TEN);
  assert.deepEqual([playing.cursor, playing.playing], [0, true]);
  assert.equal(toggled(playing, TEN).playing, false);
  const over = ticked(playing, TEN, 10);
  assert.deepEqual([over.playing, over.following], [false, true]);
  assert.equal(played(START, { length: 0, live: false }).playing, false);
});

test("stopping time leaves a live run alone", () => {
  const live = { length: 10, live: true };
  const stopped = toggled({ ...START, cursor: 10 }, live);
  assert.deepEqual([stopped.following, stopped.playing], [false, false]);
  const again = toggled(stopped, live);
  assert.deepEqual([again.cursor, again.playing], [10, true]); // and from there on, not from the beginning
});
