/* How often guesses are kept, by their place; and many passes in few bars. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE, added, countPlaces, shares } from "../../app/theatre/js/places.js";
import { Record } from "../../app/theatre/js/record.js";
import { means } from "../../app/theatre/js/spark.js";
import { SHORT } from "./helpers.js";

const record = Record.from(SHORT, "live");

test("places are counted up to a pass, and by another τ", () => {
  assert.deepEqual(countPlaces(record), { made: [3, 3, 3], kept: [3, 2, 1] });
  assert.deepEqual(countPlaces(record, 1), { made: [1, 1, 1], kept: [1, 1, 0] });
  assert.deepEqual(countPlaces(record, 3, record.rejudge(0.25)).kept, [3, 3, 2]);
  assert.deepEqual(countPlaces(record, 0), NONE);
});

test("counts are added, of blocks of any width", () => {
  const sum = added(countPlaces(record), { made: [1, 1, 1, 1], kept: [1, 1, 1, 1] });
  assert.deepEqual(shares(sum), [1, 0.75, 0.5, 1]);
  assert.deepEqual(shares(NONE), []);
});

test("many values become the means of stretches", () => {
  assert.deepEqual(means([1, 2, 3], 5), [1, 2, 3]);
  assert.deepEqual(means([1, 3, 5, 7, 2, 4], 3), [2, 6, 3]);
  const many = means(Array.from({ length: 1000 }, (_, i) => i % 8), 300);
  assert.equal(many.length, 300);
  assert.ok(many.every((value) => value >= 0 && value <= 7));
});
