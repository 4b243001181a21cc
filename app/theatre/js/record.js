/* A run as the page knows it: the passes so far, which token came from which pass, and what another τ would have kept.
   A record never changes: `plus` and `ended` give a new one with the same key. It touches no document. */

import { countAccepted } from "./acceptance.js";
import { BY_CONFIDENCE } from "./generated.js";

/** @import { Pass, Trace } from "./generated.js" */
/** @typedef {"live"|"example"|"file"|"replay"} Origin */
/** @typedef {Omit<Trace, "passes"|"text"|"token_ids"|"finish_reason">} Head */
/** @typedef {Pick<Trace, "text"|"token_ids"|"finish_reason">} Tail */
/** @typedef {[start: number, end: number, pass: number, known: boolean]} Span */
/** @typedef {{tau: number, kept: Uint16Array, more: number, agree: number, mean: number, agreement: number, spans: Span[]}} Verdict */

let records = 0;

export class Record {
  /**
   * @param {Head} head the trace's fields without its passes and what they wrote
   * @param {Origin} origin
   * @param {Pass[]} [passes]
   * @param {Tail|null} [tail] once known
   * @param {number} [key] the same for all states of one run
   */
  constructor(head, origin, passes = [], tail = null, key = ++records) {
    this.head = head;
    this.origin = origin;
    this.passes = passes;
    this.tail = tail;
    this.key = key;
    this.given = head.given || []; // tokens that the answer was made to begin with
    /** @type {number[]} place in the answer → number of the pass that put a token there; −1 where it was given */
    this.passOf = this.given.map(() => -1);
    this.clock = [0]; // seconds before pass i
    for (const pass of passes) {
      for (let i = 0; i < pass.accepted; i++) this.passOf.push(pass.index);
      this.clock.push(this.clock[this.clock.length - 1] + pass.seconds);
    }
  }

  /**
   * A whole trace in its JSON form.
   * @param {Trace} data @param {Origin} origin
   */
  static from(data, origin) {
    const { passes, text, token_ids, finish_reason, ...head } = data;
    return new Record(head, origin, passes, { text, token_ids, finish_reason });
  }

  /** @param {Pass[]} passes */
  plus(passes) {
    return new Record(this.head, this.origin, this.passes.concat(passes), this.tail, this.key);
  }

  /** @param {Tail} tail */
  ended(tail) {
    return new Record(this.head, this.origin, this.passes, tail, this.key);
  }

  get blockSize() {
    return this.head.block_size;
  }

  /**
   * Tokens of the answer after n passes, those given included.
   * @param {number} n
   */
  tokensAfter(n) {
    return n === 0 ? this.given.length : this.passes[n - 1].start + this.passes[n - 1].accepted;
  }

  get tokens() {
    return this.passOf.length;
  }

  get seconds() {
    return this.clock[this.clock.length - 1];
  }

  get tokensPerPass() {
    return this.passes.length ? (this.tokens - this.given.length) / this.passes.length : 0;
  }

  /** Whether the confidence decides: only then does τ mean anything. */
  get judged() {
    return BY_CONFIDENCE.includes(this.head.config.algorithm);
  }

  /**
   * The token finally put at a place of the answer, and by which pass; null while nobody knows, or where it was given.
   * @param {number} place
   */
  finalAt(place) {
    const index = this.passOf[place];
    if (index === undefined || index < 0) return null;
    const pass = this.passes[index];
    return { pass: index, candidate: pass.candidates[place - pass.start] };
  }

  /**
   * The id of the token at a place of the answer that is known.
   * @param {number} place
   */
  idAt(place) {
    if (place < this.given.length) return this.given[place][0];
    const pass = this.passes[this.passOf[place]];
    return pass.candidates[place - pass.start].token_id;
  }

  /** The place of the end token, which is not part of the text; -1 without one. */
  get endPlace() {
    return this.tail && this.tail.finish_reason === "eos" ? this.tokens - 1 : -1;
  }

  /**
   * Every recorded pass decided again with another τ. Nothing is decoded: what the model would have guessed after a
   * different span is not known.
   * kept[i]: what pass i would keep. more/agree: tokens kept beyond the record, and how many of them the run wrote in
   * the end. agreement: share of the kept tokens that the run wrote, of those whose place it wrote. spans: the answer cut into passes by that rule as far as the record goes, as [start, end, pass, known].
   * @param {number} tau
   * @returns {Verdict}
   */
  rejudge(tau) {
    const kept = new Uint16Array(this.passes.length);
    const end = this.endPlace;
    let total = 0, own = 0, more = 0, agree = 0;
    for (const pass of this.passes) {
      let n = countAccepted(pass.candidates.map((c) => c.confidence), tau);
      if (end >= 0) n = Math.min(n, Math.max(1, end + 1 - pass.start)); // nothing after the end token counts
      kept[pass.index] = n;
      total += n;
      own += Math.min(n, pass.accepted);
      for (let i = pass.accepted; i < n; i++) {
        const written = this.finalAt(pass.start + i);
        if (!written) continue;
        more++;
        if (written.candidate.token_id === pass.candidates[i].token_id) agree++;
      }
    }
    return { tau, kept, more, agree, mean: this.passes.length ? total / this.passes.length : 0, agreement: own ? (own + agree) / (own + more) : 1, spans: this._spans(kept) };
  }

  /** @param {Uint16Array} kept */
  _spans(kept) {
    /** @type {Span[]} */
    const spans = [];
    let done = 0;
    for (const pass of this.passes) {
      const end = pass.start + pass.accepted;
      if (end <= done) continue; // its tokens came with an earlier span
      if (pass.start < done) {
        spans.push([done, end, pass.index, false]); // a pass from the middle of this one was never recorded
        done = end;
        continue;
      }
      let stop = Math.min(pass.start + kept[pass.index], this.tokens);
      for (let i = pass.accepted; pass.start + i < stop; i++) {
        // Beyond the record, a span can be drawn only while it agrees with the text that is there.
        if (this.idAt(pass.start + i) !== pass.candidates[i].token_id) stop = pass.start + i;
      }
      spans.push([pass.start, stop, pass.index, true]);
      if (stop < end) spans.push([stop, end, pass.index, false]);
      done = Math.max(stop, end);
    }
    return spans;
  }

  /**
   * The first place where two answers differ; -1 if one continues the other or both are the same.
   * @param {Record} other
   */
  partsFrom(other) {
    const n = Math.min(this.tokens, other.tokens);
    for (let i = 0; i < n; i++) if (this.idAt(i) !== other.idAt(i)) return i;
    return -1;
  }

  /**
   * What a run has written that ends here.
   * @returns {Tail}
   */
  cutShort() {
    const kept = this.passes.flatMap((p) => p.candidates.slice(0, p.accepted));
    const texts = [...this.given.map(([, text]) => text), ...kept.map((c) => c.text)];
    return { text: texts.join(""), token_ids: [...this.given.map(([id]) => id), ...kept.map((c) => c.token_id)], finish_reason: "cancelled" };
  }

  /**
   * The trace's JSON form, as the core writes it.
   * @returns {Trace}
   */
  toJSON() {
    const { versions, created, device, ...head } = this.head;
    return { ...head, ...(this.tail || this.cutShort()), created, device, versions, passes: this.passes };
  }
}

/**
 * Whether two are states of the same run.
 * @param {Record|null} a @param {Record|null} b
 */
export function sameRun(a, b) {
  return (a ? a.key : 0) === (b ? b.key : 0);
}
