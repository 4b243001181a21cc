/* A run as the page knows it: judging it again, and where two part. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Record } from "../../app/theatre/js/record.js";
import { SHORT, shipped, trace } from "./helpers.js";

const record = Record.from(SHORT, "file");

test("a record knows which pass wrote what, and when", () => {
  assert.deepEqual(record.passOf, [0, 0, 1, 2, 2, 2]);
  assert.deepEqual(record.clock, [0, 0.5, 1, 1.5]);
  assert.equal(record.tokensAfter(2), 3);
  assert.equal(record.tokensPerPass, 2);
  assert.equal(record.finalAt(2)?.pass, 1);
  assert.equal(record.finalAt(6), null);
});

test("judging again keeps the longest prefix above the other threshold", () => {
  const low = record.rejudge(0.25);
  assert.deepEqual([...low.kept], [3, 2, 3]);
  assert.deepEqual([low.more, low.agree], [2, 1]); // the 3 was written in the end, the 9 was not
  assert.equal(low.mean, 8 / 3);
  assert.deepEqual([...record.rejudge(1).kept], [1, 1, 1]);
  assert.deepEqual([...record.rejudge(0).kept], [3, 3, 3]);
});

test("spans cover the answer once, in order, for any threshold", () => {
  for (const run of [record, shipped("race/2-prob_conf")]) {
    for (let tau = 0; tau <= 1; tau += 0.05) {
      let at = 0;
      for (const [start, end] of run.rejudge(tau).spans) {
        assert.equal(start, at);
        assert.ok(end > start);
        at = end;
      }
      assert.equal(at, run.tokens);
    }
  }
});

test("nothing after the end token counts", () => {
  const ended = Record.from(trace([{ guesses: [[1, 0.9], [2, 0.8], [3, 0.7]], accepted: 2 }], { finish_reason: "eos" }), "file");
  assert.equal(ended.endPlace, 1);
  assert.deepEqual([...ended.rejudge(0).kept], [2]);
});

test("a record that grows is another one with the same key", () => {
  const { passes, text, token_ids, finish_reason, ...head } = SHORT;
  const first = new Record(head, "live");
  const grown = first.plus(passes.slice(0, 1)).plus(passes.slice(1));
  assert.equal(first.tokens, 0);
  assert.equal(grown.key, first.key);
  assert.notEqual(new Record(head, "live").key, first.key);
  assert.deepEqual(grown.ended({ text, token_ids, finish_reason }).toJSON(), SHORT);
  assert.equal(grown.toJSON().finish_reason, "cancelled");
  assert.equal(grown.toJSON().text, text);
});

test("answers part where their tokens differ", () => {
  const other = Record.from(trace([{ guesses: [[1, 0.9], [2, 0.9], [7, 0.9]], accepted: 3 }]), "file");
  assert.equal(record.partsFrom(other), 2);
  assert.equal(record.partsFrom(Record.from({ ...SHORT, passes: SHORT.passes.slice(0, 2) }, "file")), -1);
});

test("a trace comes back as it was", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(Record.from(SHORT, "file"))), SHORT);
});
