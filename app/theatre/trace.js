/* A run as the page knows it: the passes so far, which token came from which pass, and what another τ would have kept. */
(function (S) {
  "use strict";

  let records = 0;

  class Record {
    /**
     * @param {object} head the trace's fields without its passes
     * @param {string} origin "live", "example", "file" or "replay"
     */
    constructor(head, origin) {
      this.key = ++records;
      this.head = head;
      this.origin = origin;
      this.passes = [];
      this.passOf = []; // place in the answer → number of the pass that put a token there
      this.clock = [0]; // seconds before pass i
      this.tail = null; // text, token_ids, finish_reason, once known
    }

    /** A whole trace in its JSON form. */
    static from(data, origin) {
      const { passes, text, token_ids, finish_reason, ...head } = data;
      const record = new Record(head, origin);
      for (const pass of passes) record.add(pass);
      record.tail = { text, token_ids, finish_reason };
      return record;
    }

    add(pass) {
      this.passes.push(pass);
      for (let i = 0; i < pass.accepted; i++) this.passOf.push(pass.index);
      this.clock.push(this.clock[this.clock.length - 1] + pass.seconds);
    }

    get blockSize() {
      return this.head.block_size;
    }

    /** Tokens accepted in the first n passes. */
    tokensAfter(n) {
      return n === 0 ? 0 : this.passes[n - 1].start + this.passes[n - 1].accepted;
    }

    get tokens() {
      return this.passOf.length;
    }

    get seconds() {
      return this.clock[this.clock.length - 1];
    }

    get tokensPerPass() {
      return this.passes.length ? this.tokens / this.passes.length : 0;
    }

    /** Whether the confidence decides: only then does τ mean anything. */
    get judged() {
      return this.head.config.algorithm === "prob_conf" || this.head.config.algorithm === "entropy_conf";
    }

    /** The token finally put at a place of the answer, and by which pass; null while nobody knows. */
    finalAt(place) {
      const index = this.passOf[place];
      if (index === undefined) return null;
      const pass = this.passes[index];
      return { pass: index, candidate: pass.candidates[place - pass.start] };
    }

    /** The place of the end token, which is not part of the text; -1 without one. */
    get endPlace() {
      return this.tail && this.tail.finish_reason === "eos" ? this.tokens - 1 : -1;
    }

    /**
     * Every recorded pass decided again with another τ: its longest prefix of confidences above it, at least one.
     * Nothing is decoded: what the model would have guessed after a different span is not known.
     * kept[i]: what pass i would keep. more/agree: tokens kept beyond the record, and how many of them the run wrote in
     * the end. spans: the answer cut into passes by that rule as far as the record goes, as [start, end, pass, known].
     */
    rejudge(tau) {
      const kept = new Uint16Array(this.passes.length);
      let total = 0, more = 0, agree = 0;
      for (const pass of this.passes) {
        const c = pass.candidates;
        let n = 0;
        while (n < c.length && c[n].confidence > tau) n++;
        n = Math.max(1, n);
        const final = this.endPlace;
        if (final >= 0) n = Math.min(n, Math.max(1, final + 1 - pass.start)); // nothing after the end token counts
        kept[pass.index] = n;
        total += n;
        for (let i = pass.accepted; i < n; i++) {
          const written = this.finalAt(pass.start + i);
          if (!written) continue;
          more++;
          if (written.candidate.token_id === c[i].token_id) agree++;
        }
      }
      return { tau, kept, more, agree, mean: this.passes.length ? total / this.passes.length : 0, spans: this._spans(kept) };
    }

    _spans(kept) {
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
          if (this.finalAt(pass.start + i).candidate.token_id !== pass.candidates[i].token_id) stop = pass.start + i;
        }
        spans.push([pass.start, stop, pass.index, true]);
        if (stop < end) spans.push([stop, end, pass.index, false]);
        done = Math.max(stop, end);
      }
      return spans;
    }

    /** The first place where two answers differ; -1 if one continues the other or both are the same. */
    partsFrom(other) {
      const n = Math.min(this.tokens, other.tokens);
      for (let i = 0; i < n; i++) if (this.finalAt(i).candidate.token_id !== other.finalAt(i).candidate.token_id) return i;
      return -1;
    }

    /** The trace's JSON form, as the core writes it. */
    toJSON() {
      const { versions, created, device, ...head } = this.head;
      const tail = this.tail || {
        text: this.passes.flatMap((p) => p.candidates.slice(0, p.accepted)).map((c) => c.text).join(""),
        token_ids: this.passes.flatMap((p) => p.candidates.slice(0, p.accepted)).map((c) => c.token_id),
        finish_reason: "cancelled",
      };
      return { ...head, ...tail, created, device, versions, passes: this.passes };
    }
  }

  S.Record = Record;
  S.ALGORITHMS = {
    prob_conf: "Threshold on probability",
    entropy_conf: "Threshold on entropy",
    self_speculative: "Self-speculative",
    autoregressive: "Autoregressive",
  };
})(globalThis.SDLM);
