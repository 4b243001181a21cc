/* The lane of passes: a row a pass, a chip a guess. Only rows in view are in the document, so its size does not grow. */
(function (S) {
  "use strict";
  const { el, setText, setClass } = S;
  const SPARE = 4; // rows drawn beyond the view, above and below
  const MOST = 64; // chips drawn in a row
  const LONGEST = 22; // characters of a token on its chip
  let rows = 0; // made so far, for their ids

  class Passes {
    /** @param {{hover: (pass: number|null) => void, seek: (pass: number) => void, pin: (pass: number, i: number) => void}} on */
    constructor(on) {
      this.on = on;
      this.content = el("div", { class: "rows", role: "presentation" });
      this.spacer = el("div", { "aria-hidden": "true" }); // what is scrolled; rows hang from a box that never changes its size
      this.probe = el("div", { class: "row-height", "aria-hidden": "true" });
      this.node = el("div", { class: "passes", role: "list", "aria-label": "Forward passes, one a row", tabindex: "-1" }, this.probe, this.spacer, this.content);
      this.pool = [];
      this.view = { record: null, cursor: 0, verdict: null, lit: null, pinned: null };
      this.height = 56;
      this.tall = 0; // the lane's height, and below how far it is scrolled: kept here, since asking costs a layout
      this.top = 0;
      this.draw = S.everyFrame(() => this._draw());
      this.node.addEventListener("scroll", () => {
        this.top = this.node.scrollTop;
        this.draw();
      }, { passive: true });
      this.node.addEventListener("mouseover", (event) => this.on.hover(rowOf(event.target)));
      this.node.addEventListener("mouseleave", () => this.on.hover(null));
      this.node.addEventListener("click", (event) => this._click(event.target));
    }

    /** Fill `lane` with whole rows, whatever its size. */
    mount(lane) {
      lane.appendChild(this.node);
      new ResizeObserver(() => this._measure()).observe(lane);
    }

    /** @param {Partial<Passes["view"]>} change what is to be seen */
    update(change) {
      Object.assign(this.view, change);
      if ("record" in change || "cursor" in change) this.wanted = this.view.cursor - 1;
      this.draw();
    }

    /** Put the focus on a chip; on the lane where its row is not to be seen. */
    focus(index, i) {
      const row = this.pool.find(({ node }) => !node.hidden && Number(node.dataset.p) === index);
      const chip = row && index < this.view.cursor && row.cells[i];
      (chip ? chip.node : this.node).focus({ preventScroll: true });
    }

    _click(target) {
      const pass = rowOf(target);
      if (pass === null) return;
      const chip = target.closest(".chip");
      if (chip) this.on.pin(pass, Number(chip.dataset.i));
      else this.on.seek(pass);
    }

    _measure() {
      const height = parseFloat(getComputedStyle(this.probe).height) || 56;
      const d = this.view.record ? Math.min(MOST, this.view.record.blockSize) : 8;
      const perLine = Math.min(d, parseFloat(getComputedStyle(this.node).getPropertyValue("--per-line")) || 8);
      const lines = Math.ceil(d / perLine);
      this.node.style.setProperty("--columns", perLine);
      const least = height * lines + (lines > 1 ? 6 : 0);
      const room = (this.tall = this.node.clientHeight);
      this.height = room > least ? room / Math.floor(room / least) : least; // the lane holds whole rows
      this.wanted = this.view.cursor - 1; // a turned phone still shows the same pass
      this.draw();
    }

    _draw() {
      this.drawRows();
      this.scroll();
    }

    /** Write the rows in view; asks for no sizes. */
    drawRows() {
      const { record, cursor } = this.view;
      if (record !== this.drawn) {
        this.drawn = record;
        this._measure();
      }
      const n = record ? cursor : 0;
      this.spacer.style.height = n * this.height + "px";
      const tall = this.tall;
      this.top = Math.max(0, Math.min(this.top, n * this.height - tall));
      if (this.wanted !== undefined && this.wanted >= 0) {
        const top = this.wanted * this.height;
        if (top < this.top - 1 || top + this.height > this.top + tall + 1) {
          this.top = Math.max(0, top < this.top ? top : top + this.height - tall);
          this.scrolled = true;
        }
        this.wanted = undefined;
      }
      const first = Math.max(0, Math.floor(this.top / this.height) - SPARE);
      const last = Math.min(n, Math.ceil((this.top + tall) / this.height) + SPARE);
      const need = Math.ceil(tall / this.height) + 2 * SPARE + 2;
      while (this.pool.length < need) {
        const row = new Row();
        this.pool.push(row);
        this.content.appendChild(row.node);
      }
      const used = this.pool.length;
      const shown = new Set();
      for (let i = first; i < last; i++) {
        shown.add(i % used);
        this.pool[i % used].draw(record, i, this.view, this.height);
      }
      this.pool.forEach((row, slot) => row.hide(!shown.has(slot)));
      const span = [first, last, used].join();
      if (span === this.span) return;
      this.span = span;
      const order = Array.from({ length: Math.max(0, last - first) }, (_, i) => this.pool[(first + i) % used].node.id);
      this.node.setAttribute("aria-owns", order.join(" ")); // rows are read in the passes' order
    }

    scroll() {
      if (!this.scrolled) return;
      this.scrolled = false;
      this.node.scrollTop = this.top;
    }
  }

  /** One row of the pool, which shows now this pass, now that. */
  class Row {
    constructor() {
      this.number = el("button", { type: "button", class: "number", tabindex: "-1" });
      this.chips = el("div", { class: "chips" });
      this.count = el("span", { class: "count", role: "img" });
      this.time = el("span", { class: "time" });
      this.node = el("div", { class: "row", role: "listitem", id: "sdlm-row-" + ++rows, hidden: true }, this.number, this.chips, this.count, this.time);
      this.cells = [];
      this.key = "";
    }

    hide(hidden) {
      if (this.node.hidden !== hidden) this.node.hidden = hidden;
    }

    draw(record, index, view, height) {
      const pass = record.passes[index];
      const verdict = view.verdict;
      const kept = verdict ? verdict.kept[index] : pass.accepted;
      const current = index === view.cursor - 1;
      const pinned = view.pinned && view.pinned[0] === index ? view.pinned[1] : -1;
      // A record's pass never changes; what is known of its later places does, hence the tokens in the key.
      const key = [record.key, index, kept, verdict ? verdict.tau : "", current, pinned, height, Math.min(record.tokens, pass.start + pass.candidates.length)].join();
      setClass(this.node, "row" + (current ? " current" : "") + (view.lit === index ? " lit" : ""));
      if (key === this.key) return;
      this.key = key;
      this.node.dataset.p = index;
      this.node.style.transform = `translateY(${Math.round(index * height)}px)`;
      setText(this.number, String(index + 1));
      this.number.setAttribute("aria-label", `Go to pass ${index + 1}`);
      setText(this.count, "+" + kept);
      this.count.setAttribute("aria-label", `${kept} kept`);
      setText(this.time, S.seconds(pass.seconds));
      const n = Math.min(MOST, pass.candidates.length);
      while (this.cells.length < n) {
        const cell = new Chip(this.cells.length);
        this.cells.push(cell);
        this.chips.appendChild(cell.node);
      }
      const threshold = verdict ? verdict.tau : record.head.config.threshold;
      this.cells.forEach((cell, i) => {
        cell.node.hidden = i >= n;
        if (i < n) cell.draw(record, pass, i, kept, threshold, verdict !== null, current, pinned === i);
      });
    }
  }

  class Chip {
    constructor(i) {
      this.token = el("span", { class: "token", dir: "auto" });
      this.fill = el("i");
      this.mark = el("span", { class: "mark" });
      this.limit = el("span", { class: "limit" });
      this.node = el("button", { type: "button", class: "chip", "data-i": i, tabindex: "-1" }, this.token, el("span", { class: "meter" }, el("span", { class: "bar" }, this.fill), this.mark, this.limit));
    }

    draw(record, pass, i, kept, tau, trying, current, pinned) {
      const guess = pass.candidates[i];
      const shade = S.shade(guess.confidence);
      const final = i >= pass.accepted ? record.finalAt(pass.start + i) : null;
      const wrong = final && final.candidate.token_id !== guess.token_id;
      const forced = record.judged && i === 0 && guess.confidence <= tau; // not sure, but a pass keeps at least one
      const stopped = record.judged && i === kept && guess.confidence <= tau && pass.candidates[0].confidence > tau;
      const state = i < kept ? "kept" : stopped ? "why" : "rest";
      let mark = S.short(guess.confidence);
      const drafted = pass.draft[i];
      if (drafted && i < pass.accepted) mark = (drafted.token_id === guess.token_id ? "✓ " : "≠ ") + mark;
      if (trying && i < kept && wrong) mark = "≠ " + S.short(guess.confidence);
      let name = "chip " + state;
      if (i === 0) name += forced ? " first forced" : " first";
      if (i === kept - 1) name += " last";
      if (trying && i < kept && i >= pass.accepted) name += wrong ? " more wrong" : " more";
      if (trying && i >= kept && i < pass.accepted) name += " less";
      if (drafted && i < pass.accepted && drafted.token_id !== guess.token_id) name += " mismatch";
      if (pinned) name += " pinned";
      setClass(this.node, name);
      setText(this.token, S.shortened(S.visible(guess.text), LONGEST));
      setText(this.mark, mark);
      setText(this.limit, stopped || forced ? "≤" + S.short(tau) : "");
      this.fill.style.width = 100 * Math.min(1, guess.confidence) + "%";
      this.fill.style.background = shade.color;
      this.node.style.setProperty("--shade", shade.color);
      this.node.style.setProperty("--ink-on", shade.ink);
      this.node.tabIndex = current ? 0 : -1; // one row's chips at a time are stops of the Tab key
      const said = state === "kept" ? "kept" : i === kept ? "first discarded" : "discarded";
      this.node.setAttribute("aria-label", `${S.shortened(S.visible(guess.text), 40)}, confidence ${S.short(guess.confidence)}, ${said}`);
      this.node.setAttribute("aria-pressed", String(pinned));
    }
  }

  const rowOf = (target) => {
    const row = target.closest && target.closest(".row");
    return row ? Number(row.dataset.p) : null;
  };

  S.Passes = Passes;
})(globalThis.SDLM);
