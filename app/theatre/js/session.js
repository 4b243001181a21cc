/* The stage's dealings with the world outside: asking the model, hearing from it, links, and what outlives a reload. It
   knows the state and the server; it draws nothing. */

import { calm } from "./dom.js";
import { forkRequest, fromSaved, indexIn, saved } from "./forks.js";
import { fromHash, toHash } from "./links.js";
import { recall, reloaded, remember } from "./memory.js";
import { Record } from "./record.js";
import { canRedo, isBusy } from "./state.js";
import { Wire } from "./wire.js";
import { forks as tree, stage as words } from "./words.js";

/** @import { Compose } from "./compose.js" */
/** @import { Fork } from "./forks.js" */
/** @import { Settings } from "./links.js" */
/** @import { Kept } from "./memory.js" */
/** @import { Models } from "./models.js" */
/** @import { Action, Request, State } from "./state.js" */
/** @import { Store } from "./store.js" */
/** @import { Gradio, Message } from "./wire.js" */

export class Session {
  /** @param {Store<State, Action>} store @param {Gradio} gradio @param {Models} models @param {Compose} compose @param {() => void} onrun */
  constructor(store, gradio, models, compose, onrun) {
    this.store = store;
    this.gradio = gradio;
    this.models = models;
    this.compose = compose;
    this.onrun = onrun;
    this.wire = new Wire(gradio, (message) => this.receive(message));
  }

  /** What the page opens with: the conversation from before a reload, else what the link says and a recorded run. */
  open() {
    const { store, compose, gradio, models } = this;
    const { prompt, values } = fromHash(location.hash);
    const setTau = () => values.threshold !== undefined && store.dispatch({ type: "set tau", tau: values.threshold });
    this._take(values);
    setTau();
    models.watch((status) => {
      store.dispatch({ type: "model", status });
      compose.suit(status);
    });
    if ((!prompt || reloaded()) && this._restore(recall())) return;
    if (prompt) compose.text.value = prompt;
    gradio.server.examples(null).then((texts) => {
      if (store.state.record || store.state.status === "waiting" || !texts.length) return;
      store.dispatch({ type: "show", record: Record.from(JSON.parse(texts[0]), "example"), status: "example", at: calm() ? Infinity : 0 });
      setTau();
      if (!calm()) store.dispatch({ type: "play" });
    });
  }

  /** The conversation from before the page was loaded again, by its visitor or since the line to the server broke. @param {Kept|null} remembered */
  _restore(remembered) {
    if (!remembered) return false;
    try {
      const { request, trace, requests, at } = remembered;
      const forks = fromSaved(trace, "live").map((fork, i) => ({ ...fork, request: requests[i] }));
      const live = forks[at].record, { text } = live.toJSON();
      this._take(request.settings);
      this.compose.system.value = request.system || "";
      this.store.dispatch({ type: "restore", request, turns: [...request.messages, { role: "assistant", content: text }], live, forks: forks.length > 1 ? forks : [] });
      return true;
    } catch {
      this.clear(); // from a page of another version
      return false;
    }
  }

  send() {
    const prompt = this.compose.text.value;
    if (!prompt.trim()) return this.compose.text.focus();
    const turns = [...this.store.state.turns];
    if (turns.length && turns[turns.length - 1].role === "user") turns.pop(); // it got no answer
    this.compose.text.value = "";
    this._run({ messages: [...turns, { role: "user", content: prompt }], ...this._asked() }, null);
  }

  retry() {
    const { turns } = this.store.state;
    const last = turns.map((t) => t.role).lastIndexOf("user");
    if (last >= 0) this._run({ messages: turns.slice(0, last + 1), ...this._asked() }, null);
  }

  /** The slider rests: decode the shown prompt for real. */
  rest() {
    const { verdict, tau } = this.store.state;
    if (verdict) this.again({ threshold: tau });
  }

  /** Decode the shown prompt again with some settings changed, and keep the old run to compare. @param {Settings} change */
  again(change) {
    const { state } = this.store;
    const { request, record, forks } = state;
    if (!request || !canRedo(state)) return;
    const leaving = record && forks.length ? { name: tree.again(change), place: record.given.length } : null;
    this._run({ ...request, settings: { ...request.settings, ...change } }, record, leaving);
  }

  /**
   * Decode on from another token or text at a place of the shown answer, which stays beside it.
   * @param {number} place @param {number|string} put @param {string} text what it is called
   */
  fork(place, put, text) {
    const { state } = this.store;
    const request = forkRequest(state, place, put);
    if (request) this._run(request, state.record, { name: tree.leaves(text, place), place });
  }

  /** The conversation shall outlive a reload. */
  keep() {
    const { request, live, forks } = this.store.state;
    if (!request || !live || !live.tail) return;
    const at = forks.length > 1 ? indexIn(forks, live) : -1;
    const alone = { request, trace: live.toJSON(), requests: [request], at: 0 };
    const trace = at < 0 ? null : saved({ ...this.store.state, record: live });
    remember(trace ? { request, trace, requests: forks.map((fork) => fork.request), at } : alone, alone);
  }

  stop() {
    this.wire.stop();
  }

  clear() {
    this.wire.leave();
    remember(null);
    this.store.dispatch({ type: "clear" });
  }

  /** @param {Fork[]} loaded the runs of a file */
  load(loaded) {
    this.wire.leave();
    this.store.dispatch({ type: "load", record: loaded[0].record, loaded });
  }

  async share() {
    const { turns } = this.store.state;
    const asked = turns.filter((t) => t.role === "user").pop();
    const hash = toHash(this.compose.text.value || (asked ? asked.content : ""), this._settings());
    const link = location.origin + location.pathname + location.search + hash;
    history.replaceState(null, "", link);
    const copied = await navigator.clipboard.writeText(link).then(() => true, () => false);
    this.store.dispatch({ type: "notice", text: copied ? words.linkCopied : words.linkShown });
  }

  /** @param {Message} message */
  receive(message) {
    const { store } = this;
    this.models.hear(message);
    if (message.kind === "waiting") store.dispatch({ type: "wait", detail: message });
    if (message.kind === "start") store.dispatch({ type: "start", record: new Record(message.head, "live") });
    if (message.kind === "passes") store.dispatch({ type: "passes", passes: message.passes });
    if (message.kind === "end") {
      store.dispatch({ type: "end", tail: message.tail });
      this.keep();
    }
    if (message.kind === "failed") store.dispatch({ type: "fail", message: message.message });
  }

  get busy() {
    return isBusy(this.store.state);
  }

  _settings() {
    return this.compose.values(this.store.state.tau);
  }

  /** @param {Settings} settings */
  _take(settings) {
    this.compose.take(settings);
    this.models.choose(settings.model);
  }

  /** What a request holds beside its messages. */
  _asked() {
    return { settings: this._settings(), system: this.compose.system.value };
  }

  /** @param {Request} request @param {Record|null} kept the run it is to be compared with @param {{name: string, place: number}|null} [leaving] what it will be in the tree */
  _run({ settings: { model, ...settings }, ...rest }, kept, leaving) {
    const request = { ...rest, settings: { ...settings, ...this.models.setting(model) } };
    this.onrun();
    this.store.dispatch({ type: "ask", request, kept, leaving });
    this.wire.begin(request);
  }
}
