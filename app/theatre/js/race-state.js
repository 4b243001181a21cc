/* What is going on in a race: one prompt decoded three ways, each in turn, then replayed side by side. It touches no
   document and no server. */

import { RACE } from "./generated.js";

/** @import { Pass } from "./generated.js" */
/** @import { Record, Tail } from "./record.js" */
/** @typedef {"empty"|"waits"|"decoding"|"recorded"|"stopped"|"undecoded"|"replaying"|"finished"} Phase */
/**
 * shown: passes drawn, −1 for nothing. sharedPass: whether others were decoding too. partsAt: the place from which the answer
 * differs from the first lane's, or −1.
 * @typedef {{record: Record|null, phase: Phase, shown: number, sharedPass: boolean, partsAt: number}} Lane
 */
/** @typedef {{name: "choose"|"recorded"|"reading"|"waiting"|"decoding"|"stopped"|"result"} | {name: "failed", message: string}} Banner what the banner says */
/**
 * busy: whether the lanes are being decoded. began: whether the visitor has started one. complete: all lanes are there and
 * can be replayed. equal: whether the visitor wants passes of equal time. seconds: of the replay, null before one.
 * place: in the line for the model. lane: the one being decoded. model: chosen for it, where there are several.
 * @typedef {{lanes: Lane[], busy: boolean, began: boolean, complete: boolean, equal: boolean, seconds: number|null,
 *   banner: Banner, place: {position?: number, model?: string}, lane: number, model?: string}} RaceState
 */
/**
 * @typedef {{type: "recording", records: Record[]}
 *   | {type: "begin", model?: string}
 *   | {type: "wait", place: {position: number, model: string}}
 *   | {type: "start", lane: number, record: Record}
 *   | {type: "passes", lane: number, passes: Pass[]}
 *   | {type: "end", lane: number, tail: Tail, last: boolean, sharedPass: boolean}
 *   | {type: "fail", message: string}
 *   | {type: "clock", equal: boolean}
 *   | {type: "tick", shown: number[], seconds: number}} RaceAction
 */

/** @type {Lane} */
const EMPTY = { record: null, phase: "empty", shown: -1, sharedPass: false, partsAt: -1 };

/** @type {RaceState} */
export const FIRST_RACE = {
  lanes: RACE.map(() => EMPTY), busy: false, began: false, complete: false, equal: false, seconds: null, banner: { name: "choose" }, place: {}, lane: 0,
};

/** Whether others took part, so that seconds are not compared. @param {RaceState} state */
export function wasShared(state) {
  return state.lanes.some((lane) => lane.sharedPass);
}

/** Whether the replay gives every pass the same time. @param {RaceState} state */
export function isEqual(state) {
  return state.equal || (state.complete && wasShared(state));
}

/**
 * What a lane gained over the first: tokens a pass, and tokens a second where both were alone; null while it is not known.
 * @param {RaceState} state @param {number} index
 * @returns {{passes: number, clock: number|null}|null}
 */
export function gainOf({ lanes, complete }, index) {
  const [first, lane] = [lanes[0], lanes[index]];
  const { record } = lane, against = first.record;
  if (!complete || !record || !against || lane.shown !== record.passes.length || !against.tokens || !record.seconds) return null;
  const clock = record.tokens / record.seconds / (against.tokens / against.seconds);
  return { passes: record.tokensPerPass / against.tokensPerPass, clock: lane.sharedPass || first.sharedPass ? null : clock };
}

/** @param {RaceState} state @param {number} index @param {Partial<Lane>} change @returns {RaceState} */
function withLane(state, index, change) {
  return { ...state, lanes: state.lanes.map((lane, i) => (i === index ? { ...lane, ...change } : lane)) };
}

/** All lanes are there: mark where the answers part. @param {RaceState} state @returns {RaceState} */
function completed(state) {
  const first = state.lanes[0].record;
  const lanes = state.lanes.map((lane) => ({ ...lane, partsAt: first && lane.record && lane.record !== first ? lane.record.partsFrom(first) : -1 }));
  return { ...state, lanes, complete: true };
}

/** Nothing more comes: lanes without an end say how far they got. @param {RaceState} state @returns {RaceState} */
function givenUp(state) {
  const lanes = state.lanes.map((lane) => {
    if (lane.record && lane.record.tail) return lane;
    return { ...lane, phase: /** @type {Phase} */ (lane.record ? "stopped" : "undecoded") };
  });
  return { ...state, lanes, busy: false };
}

/** The last lane has ended. One stopped in its last pass is complete all the same: then those that never began tell. @param {RaceState} state @returns {RaceState} */
function finished(state) {
  const stopped = state.lanes.some(({ record }) => !record || !record.tail || record.tail.finish_reason === "cancelled");
  if (stopped) return { ...givenUp(state), banner: { name: "stopped" } };
  return { ...completed(state), busy: false, banner: { name: "result" } };
}

/** @type {{[Type in RaceAction["type"]]: (state: RaceState, action: Extract<RaceAction, {type: Type}>) => RaceState}} */
const STEPS = {
  recording: (state, { records }) => {
    if (state.began || records.length !== state.lanes.length) return state;
    const lanes = records.map((record) => ({ ...EMPTY, record, phase: /** @type {Phase} */ ("recorded"), shown: record.passes.length }));
    return { ...completed({ ...state, lanes }), banner: { name: "recorded" } };
  },
  begin: (state, { model }) => ({
    ...state, model, lanes: state.lanes.map(() => ({ ...EMPTY, phase: "waits" })), busy: true, began: true, complete: false, seconds: null, banner: { name: "reading" },
  }),
  wait: (state, { place }) => ({ ...state, place, banner: { name: "waiting" } }),
  start: (state, { lane, record }) => ({ ...withLane(state, lane, { ...EMPTY, record, phase: "decoding" }), lane, banner: { name: "decoding" } }),
  passes: (state, { lane, passes }) => {
    const { record } = state.lanes[lane];
    if (!record) return state;
    const grown = record.plus(passes);
    return withLane(state, lane, { record: grown, shown: grown.passes.length });
  },
  end: (state, { lane, tail, last, sharedPass }) => {
    const { record } = state.lanes[lane];
    if (!record) return state;
    const phase = tail.finish_reason === "cancelled" ? "stopped" : "recorded";
    const next = withLane(state, lane, { record: record.ended(tail), sharedPass, phase });
    return last ? finished(next) : next;
  },
  fail: (state, { message }) => ({ ...givenUp(state), banner: { name: "failed", message } }),
  clock: (state, { equal }) => ({ ...state, equal }),
  tick: (state, { shown, seconds }) => {
    const lanes = state.lanes.map((lane, i) => {
      const over = lane.record !== null && shown[i] === lane.record.passes.length;
      return { ...lane, shown: shown[i], phase: /** @type {Phase} */ (over ? "finished" : "replaying") };
    });
    return { ...state, lanes, seconds };
  },
};

/**
 * The next state.
 * @param {RaceState} state @param {RaceAction} action @returns {RaceState}
 */
export function reduceRace(state, action) {
  const step = /** @type {(state: RaceState, action: RaceAction) => RaceState} */ (STEPS[action.type]);
  return step(state, action);
}
