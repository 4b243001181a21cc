/* The visitor's last run of the Watch tab, for other tabs that show it. */

/** @import { Record } from "./record.js" */

/** @type {Record|null} */
let last = null;
/** @type {(() => void)[]} */
const listeners = [];

/** @param {Record|null} record offered only when it has ended */
export function offerRun(record) {
  if (!record || !record.tail || !record.passes.length || record.given.length || record === last) return; // a lesson's run begins at its prompt
  last = record;
  for (const listener of listeners) listener();
}

export function lastRun() {
  return last;
}

/** @param {() => void} listener called when there is a new one */
export function onRun(listener) {
  listeners.push(listener);
}
