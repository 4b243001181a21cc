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
      this.bars = document.createElement("canvas"); // all bars drawn so far; what is shown of them depends on the cursor
      this.drawn = { key: "", passes: 0 };
      this.draw = S.everyFrame(() => this._draw());
      new ResizeObserver(() => {
        this.width = this.canvas.clientWidth;
        this.height = this.canvas.clientHeight;
        this.draw();
      }).observe(this.canvas);
      new MutationObserver(() => {
        this.colors = null;
        this.draw();
      }).observe(document.body, { attributeFilter: ["class"] });
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

    /** Places for bars: while passes come, doubled when they are full, so that a new one seldom moves the old. */
    _slots(record) {
      return record.tail ? Math.max(24, record.passes.length) : doubled(24, record.passes.length);
    }

    _draw() {
      const { record, cursor } = this.view;
      const { width, height } = this;
      if (!width || !height) return;
      if (!this.colors) {
        const style = getComputedStyle(this.node);
        this.colors = ["--reused", "--written", "--thrown", "--ink"].map((name) => style.getPropertyValue(name));
      }
      const shown = record ? Math.min(cursor, record.passes.length) : 0;
      this._say(shown ? record.passes[shown - 1] : null);
      const ratio = Math.min(2, devicePixelRatio || 1);
      for (const canvas of [this.canvas, this.bars]) {
        if (canvas.width === Math.round(width * ratio) && canvas.height === Math.round(height * ratio)) continue;
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
        this.drawn.key = "";
      }
      const c = this.canvas.getContext("2d");
      c.setTransform(1, 0, 0, 1, 0, 0);
      c.clearRect(0, 0, this.canvas.width, this.canvas.height);
      if (!shown) return;
      const slot = width / this._slots(record);
      this._drawBars(record, slot, ratio);
      const right = Math.round(shown * slot * ratio);
      c.drawImage(this.bars, 0, 0, right, this.bars.height, 0, 0, right, this.bars.height);
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.strokeStyle = this.colors[3];
      c.lineWidth = 1.5;
      c.strokeRect(Math.max(0.75, (shown - 1) * slot - 0.5), 0.75, Math.max(3, slot), height - 1.5);
    }

    /** Above: rows read. Below, on a scale of its own: rows written and thrown away. */
    _drawBars(record, slot, ratio) {
      const { passes } = record;
      const last = passes[passes.length - 1];
      const most = doubled(64, last.rows_reused);
      const mostNew = doubled(record.blockSize + 2, Math.max(1, ...passes.slice(1, 40).map((p) => p.rows)));
      const key = [record.key, slot, most, mostNew, this.height, ratio, this.colors].join();
      const c = this.bars.getContext("2d");
      if (key !== this.drawn.key) {
        this.drawn = { key, passes: 0 };
        c.setTransform(ratio, 0, 0, ratio, 0, 0);
        c.clearRect(0, 0, this.width, this.height);
      }
      const upper = Math.round(this.height * 0.55), lower = this.height - upper - 2;
      const w = Math.max(0.6, slot - (slot > 5 ? 1 : 0));
      const bar = (color, x, y, h) => {
        c.fillStyle = color;
        c.fillRect(x, y, w, h);
      };
      for (; this.drawn.passes < passes.length; this.drawn.passes++) {
        const p = passes[this.drawn.passes];
        const x = this.drawn.passes * slot;
        const h = (p.rows_reused / most) * (upper - 2);
        const a = Math.min(lower, (p.rows_written / mostNew) * lower); // the prompt's pass would dwarf the others
        const b = Math.min(lower - a, ((p.rows - p.rows_written) / mostNew) * lower);
        bar(this.colors[0], x, upper - h, h);
        bar(this.colors[1], x, upper + 2, a);
        bar(this.colors[2], x, upper + 2 + a, b);
      }
    }
  }

  /** The least of n, 2n, 4n … that holds a value. */
  function doubled(n, value) {
    while (n < value) n *= 2;
    return n;
  }

  S.CacheLane = CacheLane;
})(globalThis.SDLM);
