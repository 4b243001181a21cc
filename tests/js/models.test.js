/* Which model a run asks for, and what is known of it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Models } from "../../app/theatre/js/models.js";
import { shortName } from "../../app/theatre/js/text.js";

/** @import { Known } from "../../app/theatre/js/models.js" */
/** @import { Message, ModelStatus } from "../../app/theatre/js/wire.js" */

const NAMES = ["lab/first", "lab/second"];
const turn = () => new Promise((done) => setImmediate(done));

/**
 * Models of a server, what it was asked for, and what was heard of them.
 * @param {{[name: string]: ModelStatus}} known status of each model, by name; "" for the only one
 */
function connect(known) {
  const names = Object.keys(known).filter(Boolean);
  /** @type {(string|null)[]} */
  const asked = [];
  /** @type {Known[]} */
  const told = [];
  const status = async (/** @type {string|null} */ name) => {
    asked.push(name);
    const own = name === null ? known[names[0] || ""] : known[name] || { state: "failed", message: "There is no such model." };
    return names.length ? { ...own, models: names } : own;
  };
  const models = new Models({ status });
  return { models, asked, told, listen: (/** @type {Known} */ heard) => void told.push(heard) };
}

/** @param {ModelStatus["state"]} first @param {ModelStatus["state"]} second @returns {{[name: string]: ModelStatus}} */
const two = (first, second) => ({ [NAMES[0]]: { state: first, model: NAMES[0] }, [NAMES[1]]: { state: second, model: NAMES[1] } });

test("a single model is followed until it is there, and has no name in a request", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {{[name: string]: ModelStatus}} */
  const known = { "": { state: "loading" } };
  const { models, asked, told, listen } = connect(known);
  models.choose("a/name/of/another/time");
  models.watch(listen);
  for (let i = 0; i < 5; i++) {
    await turn();
    if (i === 1) known[""] = { state: "ready", model: "lab/only" };
    models.hear({ kind: "failed", message: "" });
    t.mock.timers.tick(1000);
  }
  assert.deepEqual(told.map(({ state, name }) => [state, name]), [["loading", ""], ["loading", ""], ["ready", "only"]]);
  assert.deepEqual(asked, [null, null, null]);
  assert.deepEqual(models.setting("a/name/of/another/time"), {});
});

test("of several, a wanted one is asked for, and an unknown one is the first", async () => {
  for (const [wanted, chosen, name] of [[undefined, NAMES[0], "first"], [NAMES[1], NAMES[1], "second"], ["constructor", NAMES[0], "first"]]) {
    const { models, told, listen } = connect(two("unloaded", "unloaded"));
    models.choose(wanted);
    models.watch(listen);
    await turn();
    assert.deepEqual([models.setting().model, ...told.map((heard) => heard.name)], [chosen, name]);
    clearTimeout(models.timer);
  }
});

test("an answer about a model that is not chosen any more is not heard, and all tabs hear of the choice", async () => {
  const { models, told, listen } = connect(two("ready", "failed"));
  models.watch(listen);
  await turn();
  models.watch(({ name }) => told.push(/** @type {any} */ ({ name: `other tab: ${name}` })));
  models.choose(NAMES[0]);
  models.choose(NAMES[1]);
  await turn();
  assert.deepEqual(told.map(({ name }) => name), ["first", "other tab: first", "second", "other tab: second"]);
  assert.deepEqual([told[2].state, told[2].model], ["failed", NAMES[1]]);
  clearTimeout(models.timer);
});

test("what a run says is a reason to ask; its passes are none", async () => {
  const { models, asked, listen } = connect(two("ready", "unloaded"));
  models.watch(listen);
  await turn();
  /** @type {Message[]} */
  const messages = [{ kind: "waiting", position: 0, model: "loading" }, { kind: "passes", lane: 0, passes: [] }, { kind: "failed", message: "No." }];
  messages.forEach((message) => models.hear(message));
  await turn();
  assert.equal(asked.length, 3);
  clearTimeout(models.timer);
});

test("a server that cannot be reached is asked again, and the names stay", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { models, told, listen } = connect(two("ready", "ready"));
  models.watch(listen);
  await turn();
  const { server } = models;
  models.server = { status: () => Promise.reject(new Error("away")) };
  models.choose(NAMES[1]);
  await turn();
  models.server = server;
  t.mock.timers.tick(1000);
  await turn();
  assert.deepEqual(told.map(({ state, name }) => `${name} ${state}`), ["first ready", "second loading", "second ready"]);
});

test("two models with the same last part have their whole names", () => {
  const models = new Models({ status: async () => ({ state: "ready" }) });
  models.names = ["runs/a/adapter", "runs/b/adapter", "builtin"];
  assert.deepEqual(models.names.map((name) => models.label(name)), ["runs/a/adapter", "runs/b/adapter", "builtin"]);
  assert.equal(shortName(models.names[0]), "adapter");
});
