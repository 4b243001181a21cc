/* Links carry prompt and settings, and nothing that acts. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, MAX_PROMPT_CHARACTERS } from "../../app/theatre/js/generated.js";
import { fromHash, toHash, within } from "../../app/theatre/js/links.js";

test("a link comes back as it was", () => {
  const values = { model: "lab/second", algorithm: "entropy_conf", block_size: 4, guesses: "independent", threshold: 0.35, temperature: 0.5, top_p: 0.9, top_k: 40, max_new_tokens: 80 };
  assert.deepEqual(fromHash(toHash("A prompt & more <b> #", values)), { prompt: "A prompt & more <b> #", values });
  assert.deepEqual(fromHash(toHash("x", { ...values, block_size: null })).values.block_size, undefined);
  assert.deepEqual(fromHash(toHash("x", { model: undefined })).values, {});
  assert.equal(fromHash(toHash("x", { ...values, block_size: "auto" })).values.block_size, "auto");
});

test("what is out of bounds is left out", () => {
  const hash = "#prompt=hi&d=999&tau=javascript:alert(1)&algorithm=constructor&length=-5&temperature=NaN&p=0&k=1e9&guesses=toString";
  assert.deepEqual(fromHash(hash), { prompt: "hi", values: {} });
  assert.deepEqual(fromHash(""), { prompt: "", values: {} });
  assert.deepEqual(fromHash("#d=&tau=").values, {});
  assert.equal(fromHash("#prompt=" + "x".repeat(9999)).prompt.length, MAX_PROMPT_CHARACTERS);
});

test("limits are inclusive", () => {
  const [least, most] = LIMITS.max_new_tokens;
  assert.deepEqual([least - 1, least, most, most + 1, String(most), null].map((n) => within("max_new_tokens", n)), [false, true, true, false, false, false]);
});
