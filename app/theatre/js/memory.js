/* The conversation outlives a reload, for as long as the browser's tab lasts. */

/** @import { SavedTree } from "./forks.js" */
/** @import { Request } from "./state.js" */
/** The last answer's run, or tree of runs; requests: what each was asked for; at: the one that is the answer. @typedef {{request: Request, trace: SavedTree, requests: (Request|null)[], at: number}} Kept */

const KEY = "sdlm-conversation"; // in the tab's storage

/**
 * Keep the conversation; null forgets it.
 * @param {Kept|null} conversation @param {Kept} [smaller] where there is no room for it
 */
export function remember(conversation, smaller) {
  try {
    sessionStorage.removeItem(KEY); // an older one shall not outlive one there is no room for
    if (conversation) sessionStorage.setItem(KEY, JSON.stringify(conversation));
  } catch {
    if (smaller) remember(smaller);
    // else no room, or not allowed: then a reload begins anew
  }
}

/**
 * What was remembered, or null.
 * @returns {Kept|null}
 */
export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) || "null");
  } catch {
    return null;
  }
}

/** Whether this page was there before and is loaded again. */
export function reloaded() {
  return performance.getEntriesByType("navigation").some((entry) => "type" in entry && entry.type === "reload");
}
