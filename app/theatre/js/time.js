/* Where in a run's passes the page stands, and how that moves: pure arithmetic, for the stage and the race. */

/**
 * cursor: passes shown. following: the cursor stays at the newest pass. playing: it moves by the run's own clock.
 * moves: how often it was set, so that a second wish for the same place still scrolls there.
 * @typedef {{cursor: number, following: boolean, playing: boolean, moves: number}} Time
 */
/** @typedef {{length: number, live: boolean}} Extent passes there are, and whether more are coming */

/**
 * Passes that are over at a moment.
 * @param {number[]} clock seconds before each pass, and after the last
 * @param {number} from passes that are known to be over
 * @param {number} seconds the moment
 */
export function reached(clock, from, seconds) {
  let n = from;
  while (n < clock.length - 1 && clock[n + 1] <= seconds) n++;
  return n;
}

/**
 * A clock in which every pass takes the same time.
 * @param {number} passes @param {number} rate passes a second
 */
export function evenClock(passes, rate) {
  return Array.from({ length: passes + 1 }, (_, i) => i / rate);
}

/**
 * Another record is shown: at its end, or at a pass.
 * @param {Time} time @param {number} length @param {number} at @returns {Time}
 */
export function opened(time, length, at) {
  return { cursor: Math.min(at, length), following: at === Infinity, playing: false, moves: time.moves + 1 };
}

/**
 * The record has grown, or ended.
 * @param {Time} time @param {Extent} extent @returns {Time}
 */
export function grown(time, { length }) {
  const cursor = time.following && !time.playing ? length : time.cursor;
  return { ...time, cursor, moves: time.moves + 1 };
}

/**
 * @param {Time} time @param {Extent} extent @param {number} wanted @returns {Time}
 */
export function sought(time, { length }, wanted) {
  const cursor = Math.max(Math.min(1, length), Math.min(length, wanted));
  return { cursor, following: cursor === length, playing: false, moves: time.moves + 1 };
}

/**
 * Play, pause, or stop time while the model goes on.
 * @param {Time} time @param {Extent} extent @returns {Time}
 */
export function toggled(time, extent) {
  if (time.playing) return { ...time, playing: false, moves: time.moves + 1 };
  if (extent.live && time.following) return { ...time, following: false, moves: time.moves + 1 };
  return played(time, extent);
}

/**
 * From here, or from the beginning where the end is reached.
 * @param {Time} time @param {Extent} extent @returns {Time}
 */
export function played(time, { length, live }) {
  if (!length) return time;
  const cursor = time.cursor >= length && !live ? 0 : time.cursor;
  return { cursor, following: false, playing: true, moves: time.moves + 1 };
}

/**
 * Playing has come to a pass.
 * @param {Time} time @param {Extent} extent @param {number} cursor @returns {Time}
 */
export function ticked(time, { length }, cursor) {
  const over = cursor >= length;
  return { cursor, following: over || time.following, playing: !over && time.playing, moves: time.moves + 1 };
}
