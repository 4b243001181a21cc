/* Runs of one prompt that left one another at some token, as a tree: pure functions of a state. It touches no document. */

import { MAX_FORKS } from "./generated.js";
import { Record, sameRun } from "./record.js";
import { forks as words } from "./words.js";

/** @import { Trace } from "./generated.js" */
/** @import { Origin } from "./record.js" */
/** @import { Request, State } from "./state.js" */
/**
 * A run of the tree. parent: index of the run it left, −1 of the first. place: how many of that run's tokens it begins
 * with. request: what it was asked for; null of a run from a file.
 * @typedef {{record: Record, request: Request|null, name: string, parent: number, place: number}} Fork
 */
/** What a run that is being decoded will be in the tree. @typedef {{name: string, parent: number, place: number}} Leaving */
/** In a file. @typedef {{name: string, parent: number, place: number, trace: Trace}} SavedFork */
/** @typedef {Trace & {forks?: SavedFork[]}} SavedTree */

/** The tree that the shown record is of. @param {State} state */
export function shownForks({ record, forks, loaded }) {
  return record && record.origin === "live" ? forks : loaded;
}

/** Where a run stands in a tree, or −1. @param {Fork[]} forks @param {Record|null} record */
export function indexIn(forks, record) {
  return forks.findIndex((fork) => sameRun(fork.record, record));
}

/** What the shown record was asked for; null where that is not known. @param {State} state @returns {Request|null} */
function requestOf({ record, live, kept, request, forks }) {
  if (!record || record.origin !== "live") return null;
  const fork = forks[indexIn(forks, record)];
  if (fork) return fork.request;
  if (sameRun(record, live)) return request;
  return request && sameRun(record, kept) ? { ...request, settings: { ...request.settings, threshold: record.head.config.threshold } } : null;
}

/**
 * Whether the shown answer can be decoded on from another token at a place.
 * @param {State} state @param {number} place
 */
export function canFork(state, place) {
  const { record, status, forks } = state;
  if (!record || !record.tail || status === "waiting" || status === "running" || !requestOf(state)) return false;
  return forks.length < MAX_FORKS && place <= (record.endPlace < 0 ? record.tokens : record.endPlace);
}

/**
 * What to ask for: the shown answer up to a place, then a token or a text.
 * @param {State} state @param {number} place @param {number|string} put @returns {Request|null}
 */
export function forkRequest(state, place, put) {
  const request = requestOf(state);
  const { record } = state;
  if (!record || !request || !canFork(state, place)) return null;
  return { ...request, prefix: [...Array.from({ length: place }, (_, i) => record.idAt(i)), put] };
}

/** The tree before a run leaves the shown one: as it is, or begun with what there is to compare. @param {State} state @returns {Fork[]} */
export function planted(state) {
  const { record, live, kept, forks } = state;
  if (forks.length || !record) return forks;
  const runs = live && kept && kept.tail && !sameRun(live, kept) ? [kept, live] : [record];
  return runs.map((run, i) => ({ record: run, request: requestOf({ ...state, record: run }), name: i ? words.tau(run.head.config.threshold) : "", parent: i - 1, place: 0 }));
}

/** The tree with a run that has ended. @param {State} state @param {Record} live @returns {Fork[]} */
export function joined({ forks, leaving, request }, live) {
  return leaving && live.passes.length ? [...forks, { record: live, request, ...leaving }] : forks;
}

/** Indices of the runs in the order they are drawn in, each after the one it left, and how deep they are. @param {Fork[]} forks */
export function ordered(forks) {
  /** @type {number[][]} */
  const children = forks.map(() => []);
  forks.forEach(({ parent }, i) => children[parent] && children[parent].push(i));
  /** @type {[index: number, depth: number][]} */
  const order = [], open = /** @type {[number, number][]} */ (forks.length ? [[0, 0]] : []);
  for (let next = open.pop(); next; next = open.pop()) {
    order.push(next);
    for (const child of children[next[0]].reverse()) open.push([child, next[1] + 1]);
  }
  return order;
}

/** What is saved: the whole tree of the shown record, or the record alone. @param {State} state @returns {SavedTree|null} */
export function saved(state) {
  const { record } = state, forks = shownForks(state);
  if (!record) return null;
  if (forks.length < 2 || indexIn(forks, record) < 0) return record.toJSON();
  const [first, ...rest] = forks;
  return { ...first.record.toJSON(), forks: rest.map(({ name, parent, place, record: run }) => ({ name, parent, place, trace: run.toJSON() })) };
}

/** The runs of a file; of a single trace, one. @param {SavedTree} data @param {Origin} origin @returns {Fork[]} */
export function fromSaved({ forks = [], ...first }, origin) {
  const root = { record: Record.from(first, origin), request: null, name: "", parent: -1, place: 0 };
  return [root, ...forks.map(({ trace, ...fork }) => ({ ...fork, record: Record.from(trace, origin), request: null }))];
}
