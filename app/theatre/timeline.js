/* Time: play, pause, step, scrub, speed. It owns the cursor (how many passes are shown) and nothing else. */
(function (S) {
  "use strict";
  const { el, iconButton, setText } = S;
  const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
  const SIGNS = {
    first: "M3 3h2v10H3zM14 3v10L6 8z",
    back: "M11 3v10L4 8z",
    play: "M4 2v12l10-6z",
    pause: "M4 2h3v12H4zM9 2h3v12H9z",
    forward: "M5 3v10l7-5z",
    last: "M11 3h2v10h-2zM2 3v10l8-5z",
  };

  class Timeline {
    /** @param {(cursor: number) => void} onmove */
    constructor(onmove) {
      this.onmove = onmove;
      this.record = null;
      this.cursor = 0;
      this.live = false; // passes are still coming
      this.following = true; // the cursor stays at the newest pass
      this.playing = false;
      this.speed = 1;
      this.range = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Pass", class: "scrub", on: { input: () => this.seek(Number(this.range.value)) } });
      this.playButton = iconButton(SIGNS.play, "Play", () => this.toggle(), { class: "play" });
      this.where = el("output", { class: "where", "aria-live": "off" });
      const speed = el("select", { "aria-label": "Speed of the replay", on: { change: (event) => (this.speed = Number(event.target.value)) } },
        ...SPEEDS.map((s) => el("option", { value: s, text: s + "×", selected: s === 1 })));
      this.node = el("div", { class: "timeline", role: "group", "aria-label": "Time" },
        iconButton(SIGNS.first, "First pass (Home)", () => this.seek(1)),
        iconButton(SIGNS.back, "One pass back (left arrow)", () => this.step(-1)),
        this.playButton,
        iconButton(SIGNS.forward, "One pass on (right arrow)", () => this.step(1)),
        iconButton(SIGNS.last, "Last pass (End)", () => this.seek(Infinity)),
        this.range, this.where, speed);
    }

    get length() {
      return this.record ? this.record.passes.length : 0;
    }

    /** Show another record: at its end, or from its beginning. */
    load(record, { live = false, at = Infinity } = {}) {
      this._halt();
      this.record = record;
      this.live = live;
      this.following = true;
      this.cursor = Math.min(at, this.length);
      if (at !== Infinity) this.following = false;
      this._moved();
    }

    /** The record has grown, or ended. */
    grown(live) {
      this.live = live;
      if (this.following && !this.playing) this.cursor = this.length;
      this._moved();
    }

    seek(cursor) {
      this._halt();
      this.cursor = Math.max(Math.min(1, this.length), Math.min(this.length, cursor));
      this.following = this.cursor === this.length;
      this._moved();
    }

    step(by) {
      this.seek(this.cursor + by);
    }

    toggle() {
      if (this.playing) this.pause();
      else if (this.live && this.following) {
        this.following = false; // stop time while the model goes on
        this._moved();
      } else this.play();
    }

    play() {
      if (!this.length) return;
      if (this.cursor >= this.length && !this.live) this.cursor = 0;
      this.playing = true;
      this.following = false;
      this.began = performance.now();
      this.base = this.record.clock[this.cursor];
      this._moved();
      this._tick();
    }

    pause() {
      this._halt();
      this._moved();
    }

    _halt() {
      this.playing = false;
      cancelAnimationFrame(this.frame);
    }

    _tick() {
      this.frame = requestAnimationFrame(() => {
        if (!this.playing) return;
        const clock = this.base + ((performance.now() - this.began) / 1000) * this.speed;
        if (this.lastSpeed !== this.speed) {
          this.lastSpeed = this.speed;
          this.began = performance.now();
          this.base = this.record.clock[this.cursor];
        } else {
          let next = this.cursor;
          while (next < this.length && this.record.clock[next + 1] <= clock) next++;
          if (next !== this.cursor) {
            this.cursor = next;
            this._moved();
          }
        }
        if (this.cursor >= this.length) {
          this.following = true;
          if (!this.live) return this.pause();
          this.playing = false;
          return this._moved();
        }
        this._tick();
      });
    }

    _moved() {
      const length = this.length;
      if (Number(this.range.max) !== length) this.range.max = length;
      if (Number(this.range.value) !== this.cursor) this.range.value = this.cursor;
      this.range.disabled = length === 0;
      const running = this.playing || (this.live && this.following);
      if (running !== this.running) {
        this.running = running;
        this.playButton.querySelector("path").setAttribute("d", running ? SIGNS.pause : SIGNS.play);
        this.playButton.setAttribute("aria-label", running ? "Pause (space)" : "Play (space)");
        this.playButton.title = running ? "Pause (space)" : "Play (space)";
      }
      const clock = this.record ? this.record.clock[this.cursor] : 0;
      setText(this.where, length ? `pass ${this.cursor} of ${length} · ${S.seconds(clock)}` : "no passes yet");
      this.range.setAttribute("aria-valuetext", this.where.textContent);
      this.onmove(this.cursor);
    }

    /** The stage's keys: space, arrows, Home, End. Returns whether the key was one of them. */
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return false;
      const moves = {
        " ": () => this.toggle(), ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1),
        Home: () => this.seek(1), End: () => this.seek(Infinity),
      };
      if (!moves[event.key]) return false;
      moves[event.key]();
      return true;
    }
  }

  S.Timeline = Timeline;
})(globalThis.SDLM);
