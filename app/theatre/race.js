/* The race: one prompt decoded three ways, each in turn, then replayed side by side.
   Seconds that others had a share in are not compared. */
(function (S) {
  "use strict";
  const { el, button, setText } = S;
  const LANES = [
    ["Autoregressive", "One token a pass: how language models usually write."],
    ["Threshold", "Keeps the prefix whose confidence is above τ."],
    ["Self-speculative", "Checks its own guesses, so it writes what τ = 1 would."],
  ];
  const PASSES_A_SECOND = 8; // of the replay at equal speed

  class Lane {
    constructor([title, sentence]) {
      this.answer = new S.Answer();
      this.numbers = Object.fromEntries(["passes", "tokens a pass", "time", "against one by one"].map((name) => [name, el("b", { text: "–" })]));
      this.fill = el("i");
      this.state = el("p", { class: "lane-state", text: "" });
      this.node = el("section", { class: "racer", "aria-label": title }, el("h3", { text: title }), el("p", { class: "about", text: sentence }),
        el("dl", { class: "stats" }, ...Object.entries(this.numbers).map(([name, b]) => el("div", {}, el("dt", { text: name }), el("dd", {}, b)))),
        el("div", { class: "progress", "aria-hidden": "true" }, this.fill),
        this.state, el("div", { class: "track-answer", tabindex: "0", role: "region", "aria-label": "Answer: " + title }, this.answer.node));
      this.record = null;
    }

    clear(text) {
      this.record = null;
      this.answer.update({ record: null, cursor: 0, partsAt: -1 });
      for (const b of Object.values(this.numbers)) setText(b, "–");
      this.fill.style.width = "0";
      setText(this.state, text);
    }

    /** Show the first n passes; `against` is the autoregressive record, for the speed-ups. */
    draw(n, against, finished) {
      const record = this.record;
      const tokens = record.tokensAfter(n);
      this.answer.update({ record, cursor: n });
      const scroller = this.answer.node.parentNode;
      scroller.scrollTop = scroller.scrollHeight;
      setText(this.numbers.passes, String(n));
      setText(this.numbers["tokens a pass"], n ? (tokens / n).toFixed(2) : "–");
      setText(this.numbers.time, record.company ? "shared" : S.seconds(record.clock[n]));
      this.fill.style.width = (100 * n) / Math.max(1, record.passes.length) + "%";
      if (finished && against && against !== record && against.tokens && record.seconds) {
        const passes = record.tokensPerPass / against.tokensPerPass;
        const clock = record.tokens / record.seconds / (against.tokens / against.seconds);
        const fair = !record.company && !against.company;
        setText(this.numbers["against one by one"], `${passes.toFixed(1)}× a pass` + (fair ? `, ${clock.toFixed(1)}× by the clock` : ""));
      } else setText(this.numbers["against one by one"], against === record && finished ? "1×" : "–");
    }
  }

  class Race {
    constructor(root, gradio) {
      this.gradio = gradio;
      this.lanes = LANES.map((lane) => new Lane(lane));
      this.compose = new S.Compose({ send: () => this._start(), stop: () => this.wire.stop() }, { race: true });
      this.banner = el("p", { class: "banner", role: "status" });
      this.equal = el("select", { "aria-label": "Clock of the replay", on: { change: () => ((this.chosen = this.equal.value), this._replay()) } },
        el("option", { value: "", text: "Measured time" }), el("option", { value: "1", text: `Equal speed: ${PASSES_A_SECOND} passes a second` }));
      this.chosen = ""; // by the visitor, for races that have both clocks
      this.replay = button("Replay", "Replay the race", () => this._replay(), { disabled: true });
      this.clock = el("output", { class: "where", text: "" });
      this.node = el("div", { class: "sdlm race" },
        el("header", { class: "top" }, el("div", {}, el("h1", { text: "Three ways to decode one prompt" }),
          el("p", { text: "They are decoded one after the other, then run side by side. Passes and seconds are different gains, so both are shown; seconds only where nobody else was decoding." }))),
        this.compose.node, this.banner,
        el("div", { class: "timeline" }, this.replay, this.equal, this.clock),
        el("div", { class: "racers" }, ...this.lanes.map((lane) => lane.node)));
      root.replaceChildren(this.node);
      this.wire = new S.Wire(gradio, (message) => this._told(message));
      const { prompt, values } = S.readLink();
      this.compose.take(values);
      if (prompt) this.compose.text.value = prompt;
      S.followModel(gradio, (status) => this.compose.suit(status.block_size));
      this._say("Choose a prompt, and the three start.");
      if (!prompt) gradio.server.race_example(null).then((texts) => this._showRecording(texts));
    }

    /** What the tab opens with: a race that was recorded, at its end. */
    _showRecording(texts) {
      if (this.began || texts.length !== this.lanes.length) return;
      this.lanes.forEach((lane, i) => {
        lane.record = S.Record.from(JSON.parse(texts[i]), "example");
      });
      this._compare();
      for (const lane of this.lanes) {
        lane.draw(lane.record.passes.length, this.lanes[0].record, true);
        setText(lane.state, "Recorded");
      }
      const { prompt, device } = this.lanes[0].record.head;
      this._say(`A recorded race: “${S.words.lastQuestion(prompt)}” (${device}). Choose a prompt to start one of your own. ${this._result()}`);
    }

    _say(text, wrong) {
      S.say(this.banner, text, wrong);
    }

    _start() {
      const prompt = this.compose.text.value;
      if (!prompt.trim()) return this.compose.text.focus();
      this.began = true;
      cancelAnimationFrame(this.frame);
      this.lanes.forEach((lane) => lane.clear("Waits for its turn"));
      this.replay.disabled = true;
      setText(this.clock, "");
      this.compose.setBusy(true);
      this._say("Reading the prompt …");
      this.wire.begin({ messages: [{ role: "user", content: prompt }], settings: this.compose.values() });
    }

    _told(message) {
      const lane = this.lanes[message.lane];
      if (message.kind === "waiting") {
        this._say(S.words.states.waiting(message)[1]);
      } else if (message.kind === "start") {
        lane.record = new S.Record(message.head, "live");
        setText(lane.state, "Decoding");
        this._say(`Decoding ${message.lane + 1} of 3, one after the other.`);
      } else if (message.kind === "passes") {
        for (const pass of message.passes) lane.record.add(pass);
        lane.draw(lane.record.passes.length, null, false);
      } else if (message.kind === "end") {
        lane.record.tail = message.tail;
        lane.record.company = message.company;
        setText(lane.state, message.tail.finish_reason === "cancelled" ? "Stopped" : "Recorded");
        if (message.last) this._finish();
      } else if (message.kind === "failed") {
        this.compose.setBusy(false);
        this._giveUp();
        this._say(message.message, true);
      }
    }

    _finish() {
      // A lane that is stopped in its last pass is complete all the same: then those that never began tell.
      const stopped = this.lanes.some(({ record }) => !record || !record.tail || record.tail.finish_reason === "cancelled");
      this.compose.setBusy(false);
      if (stopped) {
        this._giveUp();
        return this._say("Stopped. Start again to see all three.");
      }
      this._compare();
      this._say(this._result());
      this._replay();
    }

    /** Nothing more comes: lanes without an end say how far they got. */
    _giveUp() {
      for (const { record, state } of this.lanes) if (!record || !record.tail) setText(state, record ? "Stopped" : "Not decoded");
    }

    /** All three are there: mark where the answers part, and offer the replay, by the clock if it was theirs alone. */
    _compare() {
      const shared = this.lanes.some((lane) => lane.record.company);
      this.equal.options[0].disabled = shared;
      this.equal.value = shared ? "1" : this.chosen;
      const first = this.lanes[0].record;
      for (const lane of this.lanes) lane.answer.update({ partsAt: lane.record === first ? -1 : lane.record.partsFrom(first) });
      this.replay.disabled = false;
    }

    _result() {
      const [first, ...others] = this.lanes.map((lane) => lane.record);
      const parts = others.map((record) => record.partsFrom(first));
      const texts = LANES.slice(1).map(([title], i) => parts[i] < 0 ? `${title}: the same text as autoregressive.` : `${title}: differs from autoregressive from token ${parts[i] + 1} on (≠).`);
      if (this.lanes.some((lane) => lane.record.company)) texts.push("Others were decoding too, so the seconds are not told apart: the replay counts passes.");
      return texts.join(" ");
    }

    _replay() {
      if (this.replay.disabled) return;
      cancelAnimationFrame(this.frame);
      const equal = Boolean(this.equal.value);
      const records = this.lanes.map((lane) => lane.record);
      const clockOf = (record) => (equal ? record.passes.map((_, i) => (i + 1) / PASSES_A_SECOND) : record.clock.slice(1));
      const clocks = records.map(clockOf);
      const total = Math.max(...clocks.map((c) => c[c.length - 1] || 0));
      const at = records.map(() => -1);
      const began = performance.now();
      const tick = () => {
        const now = S.calm() ? total : Math.min(total, (performance.now() - began) / 1000);
        this.lanes.forEach((lane, k) => {
          let n = Math.max(0, at[k]);
          while (n < clocks[k].length && clocks[k][n] <= now) n++;
          if (n === at[k]) return;
          at[k] = n;
          const finished = n === clocks[k].length;
          lane.draw(n, records[0], finished);
          setText(lane.state, finished ? "Finished" : "Replaying");
        });
        setText(this.clock, equal ? "every pass takes the same time: compare the number of passes" : now.toFixed(1) + " s");
        if (now < total) this.frame = requestAnimationFrame(tick);
      };
      tick();
    }
  }

  S.mountRace = function (element, gradio) {
    element.race = new Race(element, gradio);
    return element.race;
  };
})(globalThis.SDLM);
