/* Tokens as text, numbers, and the sentences made of them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { doubled, seconds, short } from "../../app/theatre/js/numbers.js";
import { Record } from "../../app/theatre/js/record.js";
import { shade, shades } from "../../app/theatre/js/scale.js";
import { embedded, lastQuestion, readable, shortened, shortName, visible } from "../../app/theatre/js/text.js";
import { algorithms, compare, plural, race } from "../../app/theatre/js/words.js";
import { ALGORITHMS, RACE } from "../../app/theatre/js/generated.js";
import { SHORT } from "./helpers.js";

test("the unseen is shown", () => {
  const tokens = [" a", "\n\n", "\t", "\u200b", "", "👨\u200d👩\u200d👧", "\u202e", "\ue000"];
  assert.deepEqual(tokens.map(visible), ["·a", "⏎⏎", "⇥", "⟨200B⟩", "◌", "👨\u200d👩\u200d👧", "⟨202E⟩", "⟨E000⟩"]);
  assert.equal(readable("a \u202eb"), "a ⟨202E⟩b");
});

test("text is shortened by whole characters", () => {
  assert.equal(shortened("abc", 3), "abc");
  assert.equal(shortened("👍👍👍", 2), "👍👍…");
});

test("JSON in a script element cannot close it", () => {
  const text = JSON.stringify("</script><!-- & \u2028\u2029");
  assert.ok(!/[<>&\u2028\u2029]/.test(embedded(text)));
  assert.equal(JSON.parse(embedded(text)), JSON.parse(text));
});

test("names and questions", () => {
  assert.equal(shortName("OpenGVLab/SDLM-3B-D4"), "SDLM-3B-D4");
  assert.equal(shortName(undefined), "the model");
  assert.equal(lastQuestion("<|im_start|>user\na<|im_end|>\n<|im_start|>user\nb<|im_end|>"), "b");
  assert.equal(lastQuestion("as it is"), "as it is");
});

test("probabilities are rounded down", () => {
  assert.deepEqual([0, 0.5, 0.899, 0.9, 0.29, 0.9999, 1].map((x) => short(x)), [".00", ".50", ".89", ".90", ".29", ".99", "1"]);
  assert.equal(short(0.8996, 3), ".899");
});

test("durations and counts", () => {
  assert.deepEqual([0, 0.0461, 0.9994, 0.9996, 12.345, 100.4].map(seconds), ["0 ms", "46 ms", "999 ms", "1.00 s", "12.35 s", "100 s"]);
  assert.deepEqual([plural(1, "pass"), plural(2, "pass"), plural(1234, "token"), plural(2, "guess", "guesses")], ["1 pass", "2 passes", "1,234 tokens", "2 guesses"]);
  assert.equal(doubled(24, 100), 192);
});

test("ink stands out on every shade", () => {
  const linear = (/** @type {number} */ v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  for (const { color, ink } of shades) {
    const [r, g, b] = (color.match(/\d+/g) || []).map((v) => linear(Number(v) / 255));
    const l = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    assert.ok((ink === "#000" ? (l + 0.05) / 0.05 : 1.05 / (l + 0.05)) >= 4.5, color);
  }
  assert.deepEqual([shade(-1), shade(2)], [shades[0], shades[64]]);
});

test("answers of which one was stopped agree as far as they go", () => {
  const record = Record.from(SHORT, "live");
  for (const [reason, said] of /** @type {const} */ ([["eos", "The answers agree."], ["cancelled", "The answers agree as far as they go."]])) {
    const before = Record.from({ ...SHORT, passes: SHORT.passes.slice(0, 2), finish_reason: reason }, "live");
    assert.ok(compare.runs(before, record, record.partsFrom(before)).endsWith(said));
  }
  assert.match(compare.runs(record, record, 4), /differ from token 5 on\.$/);
});

test("everything from Python has its words", () => {
  assert.deepEqual(Object.keys(algorithms).sort(), [...ALGORITHMS].sort());
  assert.equal(race.lanes.length, RACE.length);
});
