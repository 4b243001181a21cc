/* The pinned card: all that is known of one guess. */
(function (S) {
  "use strict";
  const { el } = S;
  const LONGEST = 600;

  class Card {
    /**
     * @param {HTMLElement} host where the card lives
     * @param {(pass: number, i: number, focused: boolean) => void} onclose focused: whether the focus was on the card
     */
    constructor(host, onclose) {
      this.onclose = onclose;
      this.node = el("aside", { class: "card", role: "dialog", "aria-label": "One guess in detail", tabindex: "-1", hidden: true });
      this.token = el("b", { class: "token", dir: "auto" });
      this.body = el("div", { class: "body" }); // written anew while the card is open; the × keeps its focus
      this.node.append(el("header", {}, this.token, S.button("×", "Close the card", () => this.close(), { class: "close", "aria-label": "Close the card" })), this.body);
      this.node.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        this.close();
      });
      host.appendChild(this.node);
      this.pinned = null;
    }

    close() {
      if (!this.pinned) return;
      const [pass, i] = this.pinned;
      const focused = this.node.contains(document.activeElement);
      this.pinned = null;
      this.node.hidden = true;
      this.onclose(pass, i, focused);
    }

    /**
     * @param {S.Record} record
     * @param {number} index pass
     * @param {number} i place in the block
     * @param {object|null} tried the record judged by the τ that is being tried, else null
     */
    show(record, index, i, tried) {
      const pass = record.passes[index];
      const guess = pass && pass.candidates[i];
      if (!guess) return this.close();
      this.pinned = [index, i];
      const place = pass.start + i;
      const text = S.visible(guess.text);
      const limit = record.judged ? ` (τ = ${S.short(tried ? tried.tau : record.head.config.threshold)})` : "";
      const rows = [
        ["Where", `pass ${index + 1}, guess ${i + 1} of ${pass.candidates.length}: token ${place + 1} of the answer`],
        ["Confidence", S.short(guess.confidence, 3) + limit],
        ["Probability", `${S.short(guess.probability, 3)}, entropy ${guess.entropy.toFixed(2)} nats`],
      ];
      const others = el("ol", { class: "alternatives", "aria-label": "The model's likeliest tokens here" });
      for (const [id, alternative, p] of guess.alternatives.slice(0, 5)) {
        const bar = el("i");
        bar.style.width = 100 * Math.min(1, p) + "%";
        bar.style.background = S.shade(p).color;
        const label = el("span", { class: "alt-text", dir: "auto", text: S.shortened(S.visible(alternative), 40) });
        others.appendChild(
          el("li", { class: id === guess.token_id ? "same" : "" }, label, el("span", { class: "alt-bar" }, bar), el("span", { class: "alt-p", text: S.short(p, 3) }))
        );
      }
      S.setText(this.token, S.shortened(text, LONGEST));
      this.body.replaceChildren(
        el("p", { class: "verdict", text: tried ? comparison(record, pass, i, tried) : verdict(record, pass, i) }),
        el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })])),
        el("h4", { text: "Likeliest here" }),
        others
      );
      if (text.length > LONGEST) this.body.appendChild(el("p", { class: "note", text: `The token has ${S.plural(guess.text.length, "character")}.` }));
      this.node.hidden = false;
    }
  }

  /** What the τ that is being tried makes of a guess, and what the run made of it. */
  function comparison(record, pass, i, tried) {
    const became = verdict(record, pass, i);
    const now = `τ = ${S.short(tried.tau)} would ${i < tried.kept[pass.index] ? "keep" : "discard"} it.`;
    return `${now} In the recorded run (τ = ${S.short(record.head.config.threshold)}) it was ${became[0].toLowerCase() + became.slice(1)}`;
  }

  /** What became of a guess, in a sentence or two. */
  function verdict(record, pass, i) {
    const tau = record.head.config.threshold;
    const unsure = record.judged && pass.candidates[0].confidence <= tau; // even the first was not above τ
    const guess = pass.candidates[i];
    const drafted = pass.draft[i];
    const checked = drafted && i < pass.accepted
      ? drafted.token_id === guess.token_id
        ? " It had been guessed a pass before, and holds."
        : ` The pass before had guessed “${S.shortened(S.visible(drafted.text), 30)}” here: a mismatch, so checking ended.`
      : "";
    if (i < pass.accepted) {
      if (i === 0) return (unsure ? `Kept, though not above τ = ${S.short(tau)}: a pass always keeps its first guess.` : "Kept.") + checked;
      return (record.judged ? "Kept: it and all before it are sure enough." : "Kept.") + checked;
    }
    const why = !record.judged
      ? draft(record, pass, i)
      : unsure
        ? "Discarded: the first guess of this pass was not sure enough, so only that one counts."
        : i === pass.accepted && guess.confidence <= tau
          ? `Discarded: ${S.short(guess.confidence, 3)} is not above τ = ${S.short(tau)}.`
          : i === pass.accepted
            ? "Discarded: the answer had reached its end."
            : "Discarded: it follows a discarded guess.";
    const final = record.finalAt(pass.start + i);
    if (!final) return why + (record.tail ? " The answer ended before this place." : "");
    const same = final.candidate.token_id === guess.token_id;
    return `${why} Pass ${final.pass + 1} ${same ? "guessed the same and kept it." : `wrote “${S.shortened(S.visible(final.candidate.text), 30)}” instead.`}`;
  }

  /** What becomes of a guess beyond those that the pass knew to hold: only drafts that stand a chance are checked. */
  function draft(record, pass, i) {
    const next = record.passes[pass.index + 1];
    if (!next) return record.tail ? "Not kept." : "Not kept yet: the next pass checks it if it stands a chance.";
    return i - pass.accepted < next.draft.length ? "Not kept yet: a draft for the next pass to check." : "Dropped: too unlikely to be worth checking.";
  }

  S.Card = Card;
})(globalThis.SDLM);
