/* The answer as spans, one a pass. Long answers are kept in chunks: only those near the view are cut into spans, the others
   are plain text of the same size. */
(function (S) {
  "use strict";
  const { el } = S;
  const CHUNK = 24; // passes

  class Answer {
    /** @param {{hover?: (pass: number|null) => void, seek?: (pass: number) => void, drawn?: (end: Node) => void}} on */
    constructor(on = {}) {
      this.on = on;
      this.node = el("div", { class: "answer", dir: "auto", "aria-label": "The answer, one marked span a pass" });
      this.chunks = []; // {node, key}
      this.ghost = this.node.appendChild(el("span", { class: "ghost", "aria-hidden": "true" }));
      this.view = { record: null, cursor: 0, verdict: null, lit: null, partsAt: -1, ghost: false };
      this.near = new Set();
      this.watcher = new IntersectionObserver((entries) => this._seen(entries), { rootMargin: "400px 0px" });
      this.draw = S.everyFrame(() => this._draw());
      const passOf = (event) => {
        const span = event.target.closest && event.target.closest(".span");
        return span ? Number(span.dataset.p) : null;
      };
      if (on.hover) {
        this.node.addEventListener("mouseover", (event) => on.hover(passOf(event)));
        this.node.addEventListener("mouseleave", () => on.hover(null));
      }
      if (on.seek) this.node.addEventListener("click", (event) => passOf(event) !== null && on.seek(passOf(event)));
    }

    update(change) {
      const before = this.view.record;
      Object.assign(this.view, change);
      if (this.view.record !== before) this._clear();
      if ("cursor" in change) this.moved = true;
      this.draw();
    }

    _clear() {
      for (const chunk of this.chunks) this.watcher.unobserve(chunk.node);
      this.chunks = [];
      this.near.clear();
      this.node.replaceChildren(this.ghost);
    }

    _seen(entries) {
      for (const entry of entries) {
        if (entry.isIntersecting) this.near.add(entry.target);
        else this.near.delete(entry.target);
      }
      this.draw();
    }

    _draw() {
      const { record, cursor, verdict, lit, partsAt, ghost } = this.view;
      const count = record ? Math.ceil(cursor / CHUNK) : 0;
      while (this.chunks.length < count) {
        const node = el("span", { class: "chunk" });
        this.chunks.push({ node, key: "", last: 0 });
        this.node.insertBefore(node, this.ghost);
        this.watcher.observe(node);
        this.near.add(node);
      }
      this.chunks.forEach((chunk, c) => {
        const hidden = c >= count;
        if (chunk.node.hidden !== hidden) chunk.node.hidden = hidden;
        if (hidden) return;
        const last = Math.min(cursor, (c + 1) * CHUNK);
        const cut = this.near.has(chunk.node) || c >= count - 2;
        const key = [cut, verdict ? verdict.tau : "", partsAt, record.endPlace].join();
        if (key === chunk.key && last === chunk.last) return;
        if (key === chunk.key && last > chunk.last && cut && !verdict) chunk.node.append(...this._spans(chunk.last, last));
        else chunk.node.replaceChildren(...(cut ? this._spans(c * CHUNK, last) : [document.createTextNode(this._plain(c * CHUNK, last))]));
        chunk.key = key;
        chunk.last = last;
      });
      if (this.lit !== lit || this.litKey !== cursor) {
        for (const span of this.node.querySelectorAll(".span.lit")) span.classList.remove("lit");
        if (lit !== null && record) for (const span of this.node.querySelectorAll(`.span[data-p="${lit}"]`)) span.classList.add("lit");
        this.lit = lit;
        this.litKey = cursor;
      }
      this._drawGhost(record, cursor, ghost);
      if (this.moved && this.on.drawn) this.on.drawn(this.ghost);
      this.moved = false;
    }

    /** While time stands still: what the newest pass guessed beyond what was kept. */
    _drawGhost(record, cursor, wanted) {
      const pass = wanted && record && cursor > 0 ? record.passes[cursor - 1] : null;
      const text = pass ? pass.candidates.slice(pass.accepted).map((c) => S.readable(c.text)).join("") : "";
      S.setText(this.ghost, text);
    }

    _spans(first, last) {
      const { record, verdict, partsAt } = this.view;
      const from = first ? record.tokensAfter(first) : 0;
      const to = record.tokensAfter(last);
      const cuts = verdict
        ? verdict.spans.filter(([, end]) => end > from).filter(([start]) => start < to)
        : record.passes.slice(first, last).map((p) => [p.start, p.start + p.accepted, p.index, true]);
      return cuts.map(([start, end, pass, known]) => {
        const span = el("span", { class: "span" + (known ? "" : " unknown") + (pass % 2 ? " odd" : ""), "data-p": pass });
        for (let place = Math.max(start, from); place < Math.min(end, to); place++) {
          if (place === partsAt) span.appendChild(el("mark", { class: "parts", text: "≠", title: "From here on the answers differ" }));
          if (place === record.endPlace) {
            span.appendChild(el("span", { class: "end", text: "■", title: "The end token", "aria-label": "end of the answer" }));
            continue;
          }
          const { candidate } = record.finalAt(place);
          const token = el("span", { class: partsAt >= 0 && place >= partsAt ? "t apart" : "t", text: S.readable(candidate.text) });
          token.style.setProperty("--shade", S.shade(candidate.confidence).color);
          span.appendChild(token);
        }
        return span;
      });
    }

    _plain(first, last) {
      const { record } = this.view;
      let text = "";
      for (const pass of record.passes.slice(first, last)) {
        for (let i = 0; i < pass.accepted; i++) if (pass.start + i !== record.endPlace) text += pass.candidates[i].text;
      }
      return S.readable(text);
    }
  }

  S.Answer = Answer;
})(globalThis.SDLM);
