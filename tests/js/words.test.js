/* Every language has the same words, and a step of the lesson is short. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as english from "../../app/theatre/js/words.js";
import * as chinese from "../../app/theatre/js/words-zh.js";

const MOST_WORDS = 90;

/** All keys of a tree, with the kind of what they hold. @param {any} tree @param {string} path @returns {string[]} */
function keys(tree, path = "") {
  if (typeof tree !== "object" || tree === null) return [`${path}: ${typeof tree}`];
  return Object.entries(tree).flatMap(([key, value]) => keys(value, `${path}/${key}`));
}

test("no key is missing in Chinese, and none is left over", () => {
  /** @type {{[group: string]: any}} */
  const groups = { ...english };
  delete groups.plural;
  assert.deepEqual(keys({ ...chinese }).sort(), keys(groups).sort());
});

test("a step's text, task and question have fewer than 90 words", () => {
  const facts = { tokens: 49, passes: 49, seconds: 1, tau: 0.9, pass: 7, kept: 8, d: 8, rate: 6.1 };
  assert.equal(Object.keys(english.lesson.steps).length, 9);
  for (const [key, { text, task, question }] of Object.entries(english.lesson.steps)) {
    const whole = [text, task, question].map((part) => (typeof part === "function" ? part(facts) : part)).join(" ");
    assert.ok(whole.split(/\s+/).length < MOST_WORDS, key);
  }
});
