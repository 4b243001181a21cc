/* The lane of the KV cache: for each pass the rows read from it, newly written to it, and thrown away. */
(function (S) {
  "use strict";
  const { el } = S;

  class CacheLane {
    /** @param {(pass: number) => void} seek */
    constructor(seek) {
      this.canvas = el("canvas", { role: "img" });
      this.numbers = { reused: el("b"), written: el("b"), thrown: el("b") };
      const part = (name, text) => el("span", {}, el("i", { class: name }), this.numbers[name], el("span", { text: " " + text }));
      this.caption = el("p", { class: "caption" }, el("span", { text: "KV cache, rows in this pass:" }), part("reused", "read from it,"), part("written", "written to it,"), part("thrown", "thrown away"));
      this.node = el("section", { class: "cache", "aria-label": "KV cache" }, this.canvas, this.caption);
      this.view = { record: null, cursor: 0 };
      this.draw = S.everyFrame(() => this._draw());
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      this.canvas.addEventListener("click", (event) => {
        const { record } = this.view;
        if (!record || !record.passes.length) return;
        const box = this.canvas.getBoundingClientRect();
        seek(Math.min(record.passes.length - 1, Math.floor(((event.clientX - box.left) / box.width) * this._slots(record))));
      });
    }

    update(change) {
      Object.assign(this.view, change);
      this.draw();
    }

    _say(pass) {
      S.setText(this.numbers.reused, pass ? String(pass.rows_reused) : "–");
      S.setText(this.numbers.written, pass ? String(pass.rows_written) : "–");
      S.setText(this.numbers.thrown, pass ? String(pass.rows - pass.rows_written) : "–");
      this.canvas.setAttribute("aria-label", this.caption.textContent);
    }

    _slots(record) {
      return Math.max(24, record.passes.length);
    }

    _draw() {
      const { record, cursor } = this.view;
      const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
      if (!width || !height) return;
      const ratio = Math.min(2, devicePixelRatio || 1);
      if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(height * ratio);
      }
      const c = this.canvas.getContext("2d");
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, width, height);
      const passes = record ? record.passes : [];
      const shown = Math.min(cursor, passes.length);
      const now = shown ? passes[shown - 1] : null;
      this._say(now);
      if (!record) return;
      const style = getComputedStyle(this.node);
      const [reused, written, thrown, ink] = ["--reused", "--written", "--thrown", "--ink"].map((name) => style.getPropertyValue(name));
      let mostReused = 1, mostNew = 1;
      for (const p of passes) {
        mostReused = Math.max(mostReused, p.rows_reused);
        if (p.index > 0) mostNew = Math.max(mostNew, p.rows); // the prompt's pass would dwarf the others
      }
      const slot = width / this._slots(record);
      const gap = slot > 5 ? 1 : 0;
      const upper = Math.round(height * 0.55), lower = height - upper - 2;
      for (let i = 0; i < shown; i++) {
        const p = passes[i];
        const x = i * slot, w = Math.max(0.6, slot - gap);
        const h = (p.rows_reused / mostReused) * (upper - 2);
        c.fillStyle = reused;
        c.fillRect(x, upper - h, w, h);
        const scale = lower / mostNew;
        const a = Math.min(lower, p.rows_written * scale), b = Math.min(lower - a, (p.rows - p.rows_written) * scale);
        c.fillStyle = written;
        c.fillRect(x, upper + 2, w, a);
        c.fillStyle = thrown;
        c.fillRect(x, upper + 2 + a, w, b);
      }
      if (now) {
        c.strokeStyle = ink;
        c.lineWidth = 1.5;
        c.strokeRect((shown - 1) * slot - 0.5, 0.75, Math.max(3, slot), height - 1.5);
      }
    }
  }

  S.CacheLane = CacheLane;
})(globalThis.SDLM);
