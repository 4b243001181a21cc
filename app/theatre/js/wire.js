/* From a component's value to messages in order, each once. */

import { wire as words } from "./words.js";

/** @import { Pass } from "./generated.js" */
/** @import { Measured } from "./tradeoff.js" */
/** @import { Head, Tail } from "./record.js" */
/**
 * models: the names of all, where there are several. seconds: since loading began; of: that it took the last time; size: in
 * memory, in words.
 * @typedef {{state: "unloaded"|"loading"|"ready"|"failed", model?: string, device?: string, block_size?: number|null, sampler?: boolean, message?: string,
 *   models?: string[], seconds?: number, of?: number|null, size?: string|null}} ModelStatus
 */
/** @typedef {[text: string, id: number, special: boolean]} PromptToken */
/**
 * What the server can be asked for by name.
 * @typedef {{
 *   status: (model: string|null) => Promise<ModelStatus>,
 *   stop: (run: string) => Promise<void>,
 *   events_after: (wanted: {run: string, after: number}) => Promise<string[]>,
 *   check_trace: (text: string) => Promise<{error?: string}>,
 *   player: (nothing: null) => Promise<string>,
 *   read_prompt: (prompt: {messages: object[], system?: string, model?: string}) => Promise<{tokens?: PromptToken[], error?: string}>,
 *   curves: (nothing: null) => Promise<Measured>,
 *   examples: (nothing: null) => Promise<string[]>,
 *   race_example: (nothing: null) => Promise<string[]>,
 * }} Server
 */
/** @typedef {{run: string, messages: {[number: string]: string}}} Value a component's value: the newest messages as JSON */
/** @typedef {{props: {value?: Value|any}, watch: (name: string, changed: () => void) => void, server: Server, send: (data: object) => void}} Gradio */
/**
 * lane: of a race, from 0. last: whether nothing more comes. shared_pass: whether others were decoding too.
 * @typedef {{kind: "waiting", position: number, model: string}
 *   | {kind: "start", lane: number, head: Head}
 *   | {kind: "passes", lane: number, passes: Pass[]}
 *   | {kind: "end", lane: number, tail: Tail, last: boolean, shared_pass: boolean}
 *   | {kind: "failed", message: string}} Message
 */

const STOP_MILLISECONDS = 20000;

/** A run's id: a secret of this page. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export class Wire {
  /** @param {Gradio} gradio @param {(message: Message) => void} onmessage */
  constructor(gradio, onmessage) {
    this.gradio = gradio;
    this.onmessage = onmessage;
    /** @type {string|null} */
    this.run = null;
    this.open = false; // whether more may come of the run
    this.next = 0; // number of the message that is due
    /** @type {Map<number, string>} messages that came before their turn */
    this.early = new Map();
    this.asking = false;
    gradio.watch("value", () => this._accept(gradio.props.value));
  }

  /**
   * Ask for a run; messages of earlier ones are ignored from now on.
   * @param {object} request
   */
  begin(request) {
    this.stop();
    this.run = newId();
    this.next = 0;
    this.early = new Map();
    this.open = true;
    this.gradio.send({ run: this.run, ...request });
  }

  /** The server answers within a pass, if it can be reached. */
  stop() {
    const run = this.run;
    if (!run || !this.open) return;
    this.gradio.server.stop(run);
    setTimeout(() => {
      if (run !== this.run || !this.open) return;
      this.open = false;
      this.onmessage({ kind: "failed", message: words.lost });
    }, STOP_MILLISECONDS);
  }

  /** Stop, and hear no more of the run: what it still says is not for the record that is shown now. */
  leave() {
    this.stop();
    this.run = null;
  }

  /** @param {Value|any} value */
  _accept(value) {
    if (!value || value.run !== this.run || !value.messages) return;
    for (const [n, text] of Object.entries(value.messages)) if (Number(n) >= this.next) this.early.set(Number(n), String(text));
    this._deliver();
    if (this.early.size && !this.asking) this._fetchMissed();
  }

  _deliver() {
    for (let text = this.early.get(this.next); text !== undefined; text = this.early.get(this.next)) {
      /** @type {Message} */
      const message = JSON.parse(text);
      this.early.delete(this.next++);
      if (message.kind === "failed" || (message.kind === "end" && message.last)) this.open = false;
      this.onmessage(message);
    }
  }

  /** The page slept while more messages came than a value holds. Without them the run ends here. */
  async _fetchMissed() {
    const { run, next: after } = this;
    if (!run) return;
    this.asking = true;
    const texts = await this.gradio.server.events_after({ run, after }).catch(() => []);
    this.asking = false;
    if (run === this.run) {
      texts.forEach((text, i) => after + i >= this.next && this.early.set(after + i, text));
      this._deliver();
      if (this.next === after) {
        this.leave();
        this.onmessage({ kind: "failed", message: words.missed });
      }
    }
    if (this.run && this.early.size) this._fetchMissed(); // another hole came meanwhile
  }
}
