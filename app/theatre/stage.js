/* The stage: a conversation on the left, the passes of its newest answer on the right, and time below. This file holds
   what is going on (which record, which cursor, which τ) and tells the parts; the parts draw. */
(function (S) {
  "use strict";
  const { el, button, setText } = S;
  const { states: STATES, comparison, explanation, lastQuestion, shortName } = S.words;

  class Stage {
    /** @param {HTMLElement} root @param {object|null} gradio null in an exported file: no model, no server */
    constructor(root, gradio) {
      this.root = root;
      this.gradio = gradio;
      this.turns = []; // finished messages of the conversation
      this.record = null; // what is shown
      this.live = null; // what is being decoded or was last
      this.kept = null; // the run before the last change of τ
      this.verdict = null; // the shown record judged by another τ
      this.status = "empty";
      this._build();
      document.addEventListener("keydown", (event) => this._key(event));
    }

    _build() {
      this.passes = new S.Passes({ hover: (p) => this._light(p), seek: (p) => this.timeline.seek(p + 1), pin: (p, i) => this._pin(p, i) });
      this.answer = new S.Answer({ hover: (p) => this._light(p), seek: (p) => this.timeline.seek(p + 1), drawn: (end) => this._keepInView(end) });
      this.cache = new S.CacheLane((p) => this.timeline.seek(p + 1));
      this.timeline = new S.Timeline((cursor) => this._moved(cursor));
      this.whatIf = new S.WhatIf({ move: (tau) => this._judge(tau, true), rest: (tau) => this._rest(tau) });
      this.keep = new S.Keep(this.gradio, { record: () => this.record, run: () => this.wire.run, loaded: (record) => this._loaded(record), refused: (message) => this._refused(message) });
      this.badge = el("span", { class: "badge" });
      this.banner = el("p", { class: "banner", role: "status" });
      this.explain = el("p", { class: "explain" });
      this.stats = Object.fromEntries(["passes", "tokens", "tokens a pass", "time"].map((name) => [name, el("b", { text: "0" })]));
      this.compared = el("span");
      this.swap = button("Show the old run", "Show the old run", () => this._swap());
      this.compare = el("div", { class: "compare", hidden: true }, this.compared, this.swap);
      this.conversation = el("div", { class: "conversation", tabindex: "0", role: "log", "aria-label": "Conversation", "aria-live": "off" });
      this.say = el("div", { class: "unseen", "aria-live": "polite" });
      this.model = el("span", { class: "model" });
      const stats = el("dl", { class: "stats" }, ...Object.entries(this.stats).map(([name, b]) => el("div", {}, el("dt", { text: name }), el("dd", {}, b))));
      this.big = button("Aa", "Big letters, for the back of the room", () => this._toggleBig(), { class: "quiet", "aria-pressed": "false", "aria-label": "Aa, big letters for the back of the room" });
      const header = el("header", { class: "top" },
        el("div", {}, el("h1", { text: "Sequential diffusion, pass by pass" }), el("p", { text: "The model guesses D tokens in each forward pass and keeps the prefix it is sure of." })),
        el("div", { class: "tools" }, this.model, this.big, S.iconButton("M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 2v10A5 5 0 0 1 8 3z", "Light or dark", toggleTheme, { class: "quiet" })));
      const left = el("section", { class: "left", "aria-label": "Chat" }, this.conversation);
      if (this.gradio) left.appendChild(this._composer());
      const lane = el("div", { class: "lane" });
      this.passes.mount(lane);
      this.card = new S.Card(lane, (pass, i, focused) => this._unpin(pass, i, focused));
      const right = el("section", { class: "right", "aria-label": "Stage" },
        el("div", { class: "head" }, el("div", { class: "state" }, this.badge, this.banner), stats),
        this.explain, this.whatIf.node, this.compare, lane, this.cache.node, this.timeline.node, this.keep.node);
      this.node = el("div", { class: "sdlm" + (this.gradio ? "" : " replay") }, header, el("div", { class: "columns" }, left, right), this.say);
      this.root.replaceChildren(this.node);
      this._setStatus("empty");
      this.timeline.load(null);
    }

    _composer() {
      this.compose = new S.Compose({ send: () => this._send(), stop: () => this.wire.stop(), retry: () => this._retry(), clear: () => this._clear(), share: () => this._share() });
      this.compose.algorithm.addEventListener("change", () => this._enableTau());
      return this.compose.node;
    }

    // -- what is shown ------------------------------------------------------------------------------------------------

    /** Put a record on the stage. */
    show(record, { live = false, at = Infinity } = {}) {
      this.record = record;
      this.verdict = null;
      this.card.close();
      this._enableTau();
      this.whatIf.set(record.head.config.threshold);
      this.whatIf.say(record, null);
      setText(this.explain, explanation(record));
      this.passes.update({ record, verdict: null, pinned: null, lit: null });
      this.answer.update({ record, verdict: null, lit: null, partsAt: -1 });
      this.cache.update({ record });
      this.timeline.load(record, { live, at });
      this._drawConversation();
    }

    _moved(cursor) {
      const record = this.record;
      this.passes.update({ cursor });
      this.answer.update({ cursor, ghost: !this.timeline.following && !this.timeline.playing && !this.verdict });
      this.cache.update({ cursor });
      const tokens = record ? record.tokensAfter(cursor) : 0;
      setText(this.stats.passes, String(cursor));
      setText(this.stats.tokens, String(tokens));
      setText(this.stats["tokens a pass"], cursor ? (tokens / cursor).toFixed(2) : "–");
      setText(this.stats.time, record ? S.seconds(record.clock[cursor]) : "–");
      if (this.card.pinned && this.card.pinned[0] >= cursor) this.card.close();
    }

    /** The end of the text stays in view, wherever time goes. Called when all is drawn: it costs the frame's one layout. */
    _keepInView(end) {
      const box = this.conversation, below = end.offsetTop + end.offsetHeight;
      if (below > box.scrollTop + box.clientHeight - 20 || below < box.scrollTop + 60) box.scrollTop = below - box.clientHeight + 40;
    }

    /** τ can be moved where it means something: for the record shown, or for the run to come. */
    _enableTau() {
      const next = this.compose && /_conf$/.test(this.compose.algorithm.value);
      this.whatIf.range.disabled = this.record ? !this.record.judged && !next : this.compose ? !next : true;
    }

    _light(pass) {
      this.passes.update({ lit: pass });
      this.answer.update({ lit: pass });
    }

    _pin(pass, i) {
      const pinned = this.card.pinned;
      if (pinned && pinned[0] === pass && pinned[1] === i) return this.card.close();
      this.card.show(this.record, pass, i, this.verdict);
      this.card.node.focus({ preventScroll: true });
      this.passes.update({ pinned: [pass, i] });
    }

    _unpin(pass, i, focused) {
      this.passes.update({ pinned: null });
      if (focused) this.passes.focus(pass, i);
    }

    /** Judge the record by another τ. moving: the slider moves; otherwise there is more to judge. */
    _judge(tau, moving = false) {
      const record = this.record;
      if (!record || !record.judged) return;
      this.verdict = Math.abs(tau - record.head.config.threshold) < 1e-9 ? null : record.rejudge(tau);
      this.passes.update({ verdict: this.verdict });
      this.answer.update({ verdict: this.verdict, ghost: false });
      const again = moving ? " When τ rests, the prompt is decoded again." : " Move τ once more to decode with it.";
      const next = !record.tail ? " The run itself goes on as it began." : this._canRedo() ? again : "";
      this.whatIf.say(record, this.verdict, next);
      this._refreshCard();
    }

    /** Whether the shown answer is finished and can be decoded again with another τ. */
    _canRedo() {
      return Boolean(this.gradio && this.request && this.record === this.live && this.live.tail);
    }

    /** The slider rests: decode the shown prompt for real, and keep the old run to compare. */
    _rest(tau) {
      if (this.verdict && this._canRedo()) this._run({ ...this.request, settings: { ...this.request.settings, threshold: tau } }, this.record);
    }

    _refreshCard() {
      if (this.card.pinned) this.card.show(this.record, ...this.card.pinned, this.verdict);
    }

    _setStatus(status, detail = {}) {
      this.status = status;
      const [badge, text] = STATES[status](detail);
      this.node.dataset.status = status;
      setText(this.badge, badge);
      S.say(this.banner, text, status === "failed");
      if (this.compose) this.compose.setBusy(status === "waiting" || status === "running");
    }

    _drawConversation() {
      if (this.compose) this.compose.examples.hidden = this.turns.length > 0;
      const bubble = (role, ...content) => el("div", { class: "turn " + role }, el("span", { class: "who", text: role === "user" ? "Prompt" : "Answer" }), ...content);
      const text = (t) => el("div", { class: "words", dir: "auto", text: S.readable(t) });
      const record = this.record;
      const own = !record || record.origin === "live";
      const past = own ? this.turns.map((t) => bubble(t.role, text(t.content))) : [bubble("user", text(lastQuestion(record.head.prompt)))];
      if (own && this.live && this.live.tail && this.turns.length && this.turns[this.turns.length - 1].role === "assistant") past.pop();
      this.conversation.replaceChildren(...past, ...(record ? [bubble("assistant", this.answer.node)] : []));
      this.conversation.scrollTop = this.conversation.scrollHeight;
    }

    _drawCompare() {
      const { kept, live } = this;
      if (this.record.origin === "file" && live) {
        this.compare.hidden = false;
        setText(this.compared, "This trace is no part of your conversation, which your next question goes on with.");
        return setText(this.swap, "Back to the conversation");
      }
      this.compare.hidden = !kept;
      if (!kept || !live) return;
      const parts = live.partsFrom(kept);
      setText(this.compared, comparison(kept, live, parts));
      setText(this.swap, this.record === kept ? "Show the new run" : "Show the old run");
      this.answer.update({ partsAt: parts });
      this.answer._clear();
    }

    _swap() {
      const back = this.record.origin === "file";
      this.show(back || this.record === this.kept ? this.live : this.kept);
      if (back) this._ended();
      this._drawCompare();
    }

    /** The badge and sentence of the live run, which is over. */
    _ended() {
      const { live } = this;
      const reason = live.tail.finish_reason;
      this._setStatus(reason === "cancelled" ? "stopped" : "done", { reason, judged: live.judged });
    }

    // -- running ------------------------------------------------------------------------------------------------------

    /** Connect to the model. */
    connect() {
      this.wire = new S.Wire(this.gradio, (message) => this._told(message));
      const { prompt, values } = S.readLink();
      this.compose.take(values);
      if (values.threshold !== undefined) this.whatIf.set(values.threshold);
      S.followModel(this.gradio, (status) => this._modelIs(status));
      if ((!prompt || S.reloaded()) && this._restore(S.recall())) return;
      if (prompt) this.compose.text.value = prompt;
      this.gradio.server.examples(null).then((texts) => {
        if (this.record || this.status === "waiting" || !texts.length) return;
        const record = S.Record.from(JSON.parse(texts[0]), "example");
        this.show(record, { at: S.calm() ? Infinity : 0 });
        if (values.threshold !== undefined) this.whatIf.set(values.threshold);
        if (this.status !== "failed") this._setStatus("example", { model: record.head.model }); // a failure stays said
        if (!S.calm()) this.timeline.play();
      });
    }

    /** The conversation from before the page was loaded again, by its visitor or since the line to the server broke. */
    _restore(remembered) {
      if (!remembered) return false;
      try {
        const { request, trace } = remembered;
        const turns = [...request.messages, { role: "assistant", content: trace.text }];
        Object.assign(this, { request, turns, live: S.Record.from(trace, "live") });
        this.compose.take(request.settings);
        this.show(this.live);
        this._ended();
        return true;
      } catch {
        this._clear(); // from a page of another version
        return false;
      }
    }

    _modelIs(status) {
      this.model.dataset.state = status.state;
      setText(this.model, { loading: "The model is loading …", failed: "No model", ready: `${shortName(status.model)} · ${status.device}` }[status.state]);
      this.model.title = status.message || status.model || "";
      if (status.state === "failed") this._setStatus("failed", { message: status.message });
      this.compose.suit(status.block_size);
    }

    _send() {
      const prompt = this.compose.text.value;
      if (!prompt.trim()) return this.compose.text.focus();
      if (this.turns.length && this.turns[this.turns.length - 1].role === "user") this.turns.pop(); // it got no answer
      this.turns.push({ role: "user", content: prompt });
      this.compose.text.value = "";
      this._run({ messages: [...this.turns], settings: this.compose.values(this.whatIf.tau) }, null);
    }

    _retry() {
      const last = this.turns.map((t) => t.role).lastIndexOf("user");
      if (last < 0) return;
      this.turns.length = last + 1;
      this._run({ messages: [...this.turns], settings: this.compose.values(this.whatIf.tau) }, null);
    }

    _run(request, kept) {
      this.request = request;
      this.kept = kept;
      this.turns = request.messages.slice();
      this.answer.update({ partsAt: -1 });
      this.compare.hidden = true;
      this.timeline.pause();
      this.whatIf.forget(); // τ moved just before was for the record that goes
      if (document.activeElement === this.compose.go) this.passes.node.focus({ preventScroll: true }); // Space shall not stop the run
      if (!kept) this._empty();
      this._drawConversation();
      this._setStatus("waiting", { position: 0, model: "ready" });
      this.wire.begin(request);
    }

    _told(message) {
      if (message.kind === "waiting") this._setStatus("waiting", message);
      if (message.kind === "start") {
        this.live = new S.Record(message.head, "live");
        this.show(this.live, { live: true });
        this._setStatus("running");
      }
      if (message.kind === "passes") {
        for (const pass of message.passes) this.live.add(pass);
        this._grown(true);
      }
      if (message.kind === "end") {
        this.live.tail = message.tail;
        this.turns.push({ role: "assistant", content: message.tail.text });
        this._grown(false);
        this._ended();
        S.remember({ request: this.request, trace: this.live.toJSON() });
        setText(this.say, `${S.plural(this.live.tokens, "token")} in ${S.plural(this.live.passes.length, "pass")}.`);
        this._drawCompare();
      }
      if (message.kind === "failed") {
        this._grown(false); // it may have broken midway
        this._putBack();
        if (this.record !== this.live) this.show(this.live);
        this._setStatus("failed", message);
      }
    }

    /** The run has grown or ended. A τ that is being tried judges what is new too, before rows are drawn by it. */
    _grown(live) {
      if (this.record !== this.live) return;
      if (this.verdict) this._judge(this.whatIf.tau);
      else {
        this.whatIf.say(this.live, null);
        this._refreshCard();
      }
      this.timeline.grown(live);
    }

    /** Where decoding again came to nothing, the answer from before stays the answer. */
    _putBack() {
      const { kept, turns } = this;
      this.kept = null;
      if (!kept || turns[turns.length - 1].role !== "user") return;
      turns.push({ role: "assistant", content: kept.tail.text });
      this.live = kept;
    }

    /** Nothing more comes of a run that is left: what there is counts as stopped. */
    _cutShort() {
      if (!this.live || this.live.tail) return;
      const { text, token_ids, finish_reason } = this.live.toJSON();
      this.live.tail = { text, token_ids, finish_reason };
      this.turns.push({ role: "assistant", content: text });
    }

    _clear() {
      this.wire.leave();
      S.remember(null);
      this.turns = [];
      this.request = this.kept = null;
      this.compare.hidden = true;
      this._empty();
      this._enableTau();
      this._drawConversation();
      this._setStatus("empty");
    }

    /** Nothing is on the stage. */
    _empty() {
      this.record = this.live = this.verdict = null;
      this.card.close();
      for (const part of [this.passes, this.answer, this.cache]) part.update({ record: null, cursor: 0, verdict: null });
      this.timeline.load(null);
      this.whatIf.say(null, null);
      setText(this.explain, "");
    }

    // -- keeping ------------------------------------------------------------------------------------------------------

    _loaded(record) {
      this.wire.leave();
      this._putBack();
      this._cutShort();
      this.show(record);
      this._setStatus("file", { model: record.head.model });
      this._drawCompare();
    }

    _refused(message) {
      if (this.record || this.compose.busy) S.say(this.banner, message, true); // what is there stays
      else this._setStatus("failed", { message });
    }

    async _share() {
      const asked = this.turns.filter((t) => t.role === "user").pop();
      const link = S.linkTo(this.compose.text.value || (asked ? asked.content : ""), this.compose.values(this.whatIf.tau));
      history.replaceState(null, "", link);
      S.say(this.banner, (await S.copy(link)) ? "The link is copied; it carries the prompt and the settings." : "The link is in the address bar; it carries the prompt and the settings.");
    }

    _toggleBig() {
      const big = this.node.classList.toggle("big");
      this.big.setAttribute("aria-pressed", String(big));
      this.passes._measure();
    }

    _key(event) {
      if (this.node.offsetParent === null || event.defaultPrevented) return;
      const target = event.target instanceof Element ? event.target : document.body;
      // Others have keys of their own: a slider has no use for the space bar, an empty prompt none for any of the stage's.
      const free = target.matches("input[type=range]") ? event.key === " " : this.compose && target === this.compose.text && !target.value;
      if (!free && target.closest("input, textarea, select, .conversation")) return;
      if (target !== document.body && !this.node.contains(target)) return;
      if (event.key === " " && target.closest("button")) return;
      if (event.key === "Escape") return this.card.close();
      if (this.timeline.key(event)) event.preventDefault();
    }
  }

  function toggleTheme() {
    document.body.classList.toggle("dark");
  }

  S.mountStage = function (element, gradio) {
    const stage = new Stage(element, gradio);
    element.stage = stage;
    stage.connect();
    return stage;
  };

  S.Stage = Stage;
})(globalThis.SDLM);
