/* What is going on on the stage, and how it changes: one state, one reducer. It touches no document and no server. */

import { indexIn, joined, planted, shownForks } from "./forks.js";
import { DEFAULTS } from "./generated.js";
import { NONE, added, countPlaces } from "./places.js";
import { sameRun } from "./record.js";
import * as time from "./time.js";

/** @import { Fork, Leaving } from "./forks.js" */
/** @import { Places } from "./places.js" */
/** @import { Record, Tail, Verdict } from "./record.js" */
/** @import { Pass } from "./generated.js" */
/** @import { Filters, Settings } from "./links.js" */
/** @import { Time } from "./time.js" */
/** @import { Known } from "./models.js" */
/** @import { Detail } from "./words.js" */
/** @typedef {{role: "user"|"assistant", content: string}} Turn */
/**
 * system: the system prompt. prefix: what the answer begins with.
 * @typedef {{messages: Turn[], settings: Settings & {seed?: number}, system?: string, prefix?: (number|string)[]}} Request
 */
/** @typedef {"empty"|"example"|"file"|"replay"|"waiting"|"running"|"stopped"|"done"|"failed"} Status */

/**
 * turns: the conversation. record: the run that is shown. live: the one being decoded, or decoded last. kept: the one
 * before the last change of τ. coming: passes of `live` are still coming. request: what `live` was asked for.
 * status, detail: badge and sentence. notice: a sentence in their place. announced: what a screen reader hears.
 * algorithm: chosen for the next run. tau: where the slider stands. verdict: `record` judged by it, where it is not the
 * record's own. filters: temperature, top-p and top-k that are being tried on the record; null: its own. moving: the
 * slider was moved and may rest. partsAt: where `live` and `kept` part, or −1. lit: the pass pointed at. pinned: pass and
 * place of the guess on the card. forks: the runs of the last question, where some left others; leaving: what `live` will
 * be among them. loaded: the runs of a file; against: the one compared with there. places: how often guesses were kept in
 * the conversation's finished runs.
 * @typedef {Time & {
 *   turns: Turn[], record: Record|null, live: Record|null, kept: Record|null, coming: boolean, request: Request|null,
 *   status: Status, detail: Detail, notice: {text: string, wrong: boolean}|null,
 *   announced: {tokens: number, passes: number}|null, model: Known|null, algorithm: string, tau: number,
 *   verdict: Verdict|null, filters: Filters|null, moving: boolean, partsAt: number, lit: number|null, pinned: [number, number]|null, big: boolean,
 *   forks: Fork[], leaving: Leaving|null, loaded: Fork[], against: Record|null, places: Places,
 * }} State
 */

/**
 * @typedef {{type: "model", status: Known}
 *   | {type: "show", record: Record, status: Status, at?: number, loaded?: Fork[]}
 *   | {type: "restore", request: Request, turns: Turn[], live: Record, forks?: Fork[]}
 *   | {type: "ask", request: Request, kept: Record|null, leaving?: {name: string, place: number}|null}
 *   | {type: "wait", detail: Detail}
 *   | {type: "start", record: Record}
 *   | {type: "passes", passes: Pass[]}
 *   | {type: "end", tail: Tail}
 *   | {type: "fail", message: string}
 *   | {type: "clear"}
 *   | {type: "load", record: Record, loaded?: Fork[]}
 *   | {type: "refuse", message: string}
 *   | {type: "notice", text: string}
 *   | {type: "status", status: Status, detail?: Detail}
 *   | {type: "swap"}
 *   | {type: "back"}
 *   | {type: "choose", index: number}
 *   | {type: "against", index: number}
 *   | {type: "rename", index: number, name: string}
 *   | {type: "algorithm", name: string}
 *   | {type: "set tau", tau: number}
 *   | {type: "judge", tau: number, moving?: boolean}
 *   | {type: "filters", filters: Filters}
 *   | {type: "light", pass: number|null}
 *   | {type: "pin", pass: number, i: number}
 *   | {type: "unpin"}
 *   | {type: "seek", cursor: number}
 *   | {type: "step", by: number}
 *   | {type: "toggle"}
 *   | {type: "play"}
 *   | {type: "tick", cursor: number}
 *   | {type: "big"}} Action
 */

/** @type {State} */
export const FIRST = {
  turns: [], record: null, live: null, kept: null, coming: false, request: null,
  status: "empty", detail: {}, notice: null, announced: null, model: null, algorithm: DEFAULTS.algorithm, tau: DEFAULTS.threshold,
  verdict: null, filters: null, moving: false, partsAt: -1, lit: null, pinned: null, big: false,
  forks: [], leaving: null, loaded: [], against: null, places: NONE,
  cursor: 0, following: true, playing: false, moves: 0,
};

// -- what follows from a state ----------------------------------------------------------------------------------------

/** Whether passes of the shown record are still coming. @param {State} state */
export function isLive(state) {
  return state.coming && sameRun(state.record, state.live);
}

/** Whether the model is at work for this page. @param {State} state */
export function isBusy(state) {
  return state.status === "waiting" || state.status === "running";
}

/** Whether the shown answer is finished and can be decoded again with another τ. @param {State} state */
export function canRedo(state) {
  return Boolean(state.request && state.record && sameRun(state.record, state.live) && state.record.tail);
}

/** What the shown record is compared with: another run, the conversation it hides, or nothing. @param {State} state */
export function comparedWith(state) {
  const { record, live } = state;
  if (pairOf(state)) return "run";
  return record && live && record.origin === "file" ? "conversation" : null;
}

/** Two runs that are compared: the one before, or that was left, and the other. @param {State} state @returns {[Record, Record]|null} */
export function pairOf({ record, live, kept, against, status }) {
  if (record && record.origin !== "live") return against ? [against, record] : null;
  return record && live && kept && live.tail && status !== "waiting" && status !== "running" ? [kept, live] : null;
}

/** Length of the shown record, and whether it grows. @param {State} state */
function extent(state) {
  return { length: state.record ? state.record.passes.length : 0, live: isLive(state) };
}

// -- parts of steps ---------------------------------------------------------------------------------------------------

/** @param {State} state @param {Status} status @param {Detail} [detail] @returns {State} */
function withStatus(state, status, detail = {}) {
  return { ...state, status, detail, notice: null };
}

/** Time has moved; a card of a pass that is not shown any more is closed. @param {State} state @param {Time} moved @returns {State} */
function atTime(state, moved) {
  const pinned = state.pinned && state.pinned[0] < moved.cursor ? state.pinned : null;
  return { ...state, ...moved, pinned };
}

/** @param {State} state @param {Record} record @param {number} [at] @returns {State} */
function shown(state, record, at = Infinity) {
  const next = { ...state, record, verdict: null, filters: null, moving: false, lit: null, pinned: null, tau: record.head.config.threshold };
  return { ...next, ...time.opened(state, record.passes.length, at) };
}

/** Nothing is on the stage. @param {State} state @returns {State} */
function emptied(state) {
  const next = { ...state, record: null, live: null, coming: false, verdict: null, filters: null, moving: false, lit: null, pinned: null };
  return { ...next, ...time.opened(state, 0, Infinity) };
}

/** @param {State} state @param {number} tau @param {boolean} moving @returns {State} */
function judged(state, tau, moving) {
  const { record } = state;
  if (!record || !record.judged) return { ...state, tau };
  const own = Math.abs(tau - record.head.config.threshold) < 1e-9;
  return { ...state, tau, moving, verdict: own ? null : record.rejudge(tau) };
}

/** The live run has grown or ended. A τ that is being tried judges what is new too. @param {State} state @param {Record|null} live @param {boolean} coming @returns {State} */
function grown(state, live, coming) {
  if (!sameRun(state.record, state.live)) return { ...state, live, coming };
  let next = { ...state, record: live, live, coming };
  if (next.verdict) next = judged(next, next.tau, false);
  return atTime(next, time.grown(next, extent(next)));
}

/** The badge and sentence of the live run, which is over. @param {State} state @returns {State} */
function over(state) {
  if (!state.live || !state.live.tail) return state;
  const { live, request } = state, reason = state.live.tail.finish_reason;
  const model = request && request.settings.model ? live.head.model : undefined; // said where there are several
  return withStatus(state, reason === "cancelled" ? "stopped" : "done", { reason, judged: live.judged, model });
}

/** Where decoding again came to nothing, the answer from before stays the answer. @param {State} state @returns {State} */
function putBack(state) {
  const { kept, turns, forks } = state;
  const asked = forks[indexIn(forks, kept)];
  const next = { ...state, kept: null, partsAt: -1, leaving: null, request: asked && asked.request ? asked.request : state.request };
  if (!kept || !kept.tail || turns[turns.length - 1].role !== "user") return next;
  return { ...next, live: kept, turns: [...turns, { role: "assistant", content: kept.tail.text }] };
}

/** Nothing more comes of a run that is left: what there is counts as stopped. @param {State} state @returns {State} */
function cutShort(state) {
  if (!state.live || state.live.tail) return state;
  const tail = state.live.cutShort();
  return { ...state, live: state.live.ended(tail), turns: [...state.turns, { role: "assistant", content: tail.text }] };
}

/** Two runs are compared, and the second is shown: of the conversation, it is the answer from now on. @param {State} state @param {Fork} fork @param {Record|null} other @returns {State} */
function chosen(state, fork, other) {
  const { record, request } = fork;
  const partsAt = other ? record.partsFrom(other) : -1;
  if (record.origin !== "live" || !request || !record.tail) return { ...shown(state, record), against: other, partsAt };
  const turns = [...request.messages, { role: /** @type {const} */ ("assistant"), content: record.tail.text }];
  return over({ ...shown({ ...state, live: record, request, turns }, record), kept: other, partsAt });
}

// -- the reducer ------------------------------------------------------------------------------------------------------

/** @type {{[Type in Action["type"]]: (state: State, action: Extract<Action, {type: Type}>) => State}} */
const STEPS = {
  model: (state, { status }) => {
    const next = { ...state, model: status };
    return status.state === "failed" && !status.models ? withStatus(next, "failed", { message: status.message }) : next;
  },
  show: (state, { record, status, at, loaded = [] }) => {
    const next = { ...shown(state, record, at), loaded, against: null };
    return state.status === "failed" ? next : withStatus(next, status, { model: record.head.model, created: record.head.created }); // a failure stays said
  },
  restore: (state, { request, turns, live, forks = [] }) => over(shown({ ...state, request, turns, live, forks, places: countPlaces(live) }, live)),
  ask: (state, { request, kept, leaving = null }) => {
    const forks = kept && leaving ? planted(state) : [];
    const next = { ...state, forks, leaving: leaving && { ...leaving, parent: indexIn(forks, kept) }, request, kept, turns: request.messages.slice(), partsAt: -1, coming: false, playing: false };
    return withStatus(kept ? next : emptied(next), "waiting", { position: 0, model: "ready" });
  },
  wait: (state, { detail }) => withStatus(state, "waiting", detail),
  start: (state, { record }) => withStatus(shown({ ...state, live: record, coming: true }, record), "running"),
  passes: (state, { passes }) => (state.live ? grown(state, state.live.plus(passes), true) : state),
  end: (state, { tail }) => {
    if (!state.live) return state;
    const live = state.live.ended(tail);
    const next = over(grown(state, live, false));
    next.turns = [...state.turns, { role: "assistant", content: tail.text }];
    next.partsAt = state.kept ? live.partsFrom(state.kept) : -1;
    next.forks = joined(state, live);
    next.places = added(state.places, countPlaces(live));
    next.leaving = null;
    next.announced = { tokens: live.tokens - live.given.length, passes: live.passes.length };
    return next;
  },
  fail: (state, { message }) => {
    const next = putBack(grown(state, state.live, false)); // it may have broken midway
    const back = next.live && !sameRun(next.record, next.live) ? shown(next, next.live) : next;
    return withStatus(back, "failed", { message });
  },
  clear: (state) => withStatus(emptied({ ...state, turns: [], request: null, kept: null, partsAt: -1, forks: [], leaving: null, loaded: [], against: null, places: NONE }), "empty"),
  load: (state, { record, loaded = [] }) => {
    const next = shown(cutShort(putBack({ ...state, coming: false })), record);
    return withStatus({ ...next, loaded, against: null }, "file", { model: record.head.model });
  },
  refuse: (state, { message }) =>
    state.record || isBusy(state) ? { ...state, notice: { text: message, wrong: true } } : withStatus(state, "failed", { message }), // what is there stays
  notice: (state, { text }) => ({ ...state, notice: { text, wrong: false } }),
  status: (state, { status, detail }) => withStatus(state, status, detail),
  swap: (state) => {
    const { record, live, kept, against } = state;
    if (!record) return state;
    if (record.origin !== "live") return against ? { ...shown(state, against), against: record } : state;
    return kept && live ? shown(state, sameRun(record, kept) ? live : kept) : state;
  },
  back: (state) => {
    const { live, kept } = state;
    return live ? over({ ...shown(state, live), loaded: [], against: null, partsAt: kept ? live.partsFrom(kept) : -1 }) : state;
  },
  choose: (state, { index }) => {
    const forks = shownForks(state), fork = forks[index];
    return fork && !isBusy(state) ? chosen(state, fork, fork.parent < 0 ? null : forks[fork.parent].record) : state;
  },
  against: (state, { index }) => {
    const forks = shownForks(state), fork = forks[indexIn(forks, state.record)];
    return fork && forks[index] && fork !== forks[index] && !isBusy(state) ? chosen(state, fork, forks[index].record) : state;
  },
  rename: (state, { index, name }) => {
    const field = state.record && state.record.origin === "live" ? "forks" : "loaded";
    return { ...state, [field]: state[field].map((fork, i) => (i === index ? { ...fork, name } : fork)) };
  },
  algorithm: (state, { name }) => ({ ...state, algorithm: name }),
  "set tau": (state, { tau }) => ({ ...state, tau }),
  judge: (state, { tau, moving = false }) => judged(state, tau, moving),
  filters: (state, { filters }) => ({ ...state, filters }),
  light: (state, { pass }) => (state.lit === pass ? state : { ...state, lit: pass }),
  pin: (state, { pass, i }) => {
    const again = state.pinned && state.pinned[0] === pass && state.pinned[1] === i;
    const known = state.record && state.record.passes[pass] && state.record.passes[pass].candidates[i];
    return { ...state, pinned: again || !known ? null : [pass, i] };
  },
  unpin: (state) => ({ ...state, pinned: null }),
  seek: (state, { cursor }) => atTime(state, time.sought(state, extent(state), cursor)),
  step: (state, { by }) => atTime(state, time.sought(state, extent(state), state.cursor + by)),
  toggle: (state) => atTime(state, time.toggled(state, extent(state))),
  play: (state) => atTime(state, time.played(state, extent(state))),
  tick: (state, { cursor }) => atTime(state, time.ticked(state, extent(state), cursor)),
  big: (state) => ({ ...state, big: !state.big }),
};

/**
 * The next state.
 * @param {State} state @param {Action} action @returns {State}
 */
export function reduce(state, action) {
  const step = /** @type {(state: State, action: Action) => State} */ (STEPS[action.type]);
  return step(state, action);
}
