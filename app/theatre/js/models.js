/* The models that the server has, and the one that the next run asks for: chosen once for all tabs. It touches no
   document. */

import { shortName } from "./text.js";

/** @import { Message, ModelStatus, Server } from "./wire.js" */
/** @typedef {ModelStatus & {name: string}} Known name: what the page calls the model; "" while that is not known */

const SOON = 1000, LATER = 10000; // milliseconds: to the next look at a model that loads, and at one of several

export class Models {
  /** @param {Pick<Server, "status">} server */
  constructor(server) {
    this.server = server;
    /** @type {string[]} where there are several */
    this.names = [];
    /** @type {string|undefined} there may be no such model */
    this.wanted = undefined;
    /** @type {Known|null} of the chosen one */
    this.status = null;
    /** @type {((status: Known) => void)[]} */
    this.listeners = [];
    this.looks = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
  }

  /** The chosen model's name; undefined where there is only one, or while that is not known. */
  get chosen() {
    return this.known(this.wanted);
  }

  /** This name if there is such a model, else the first one's. @param {string|undefined} name */
  known(name) {
    return name !== undefined && this.names.includes(name) ? name : this.names[0];
  }

  /** How a run's settings name a model: not at all where there is only one. @param {string} [name] @returns {{model?: string}} */
  setting(name = this.wanted) {
    const model = this.known(name);
    return model === undefined ? {} : { model };
  }

  /** What the page calls a model: the last part of its name, where no other has the same. @param {string} name */
  label(name) {
    const short = shortName(name);
    return this.names.filter((other) => shortName(other) === short).length > 1 ? name : short;
  }

  /** @param {string|undefined} name */
  choose(name) {
    if (!name) return;
    this.wanted = name;
    if (this.listeners.length) this.look();
  }

  /** Hear how the chosen model is doing, from now on. @param {(status: Known) => void} listener */
  watch(listener) {
    this.listeners.push(listener);
    if (this.status) listener(this.status);
    if (this.listeners.length === 1) this.look();
  }

  /** A run goes on, and may have had its model loaded. @param {Message} message */
  hear({ kind }) {
    if (this.names.length && kind !== "passes") this.look();
  }

  /** Ask how the chosen model is doing: now, and as long as that may change. That has no model loaded. @returns {Promise<void>} */
  async look() {
    clearTimeout(this.timer);
    const look = ++this.looks, name = this.chosen;
    const models = this.names.length ? this.names : undefined;
    const status = await this.server.status(name ?? null).catch(() => /** @type {ModelStatus} */ ({ state: "loading", models }));
    if (look !== this.looks) return; // another one was chosen meanwhile
    this.names = status.models || [];
    if (this.chosen !== (name ?? this.names[0])) return this.look();
    const model = status.model ?? this.chosen;
    this.status = { ...status, model, name: model ? this.label(model) : "" };
    for (const listener of this.listeners) listener(this.status);
    if (status.state === "loading" || status.models) this.timer = setTimeout(() => this.look(), status.state === "loading" ? SOON : LATER);
  }
}
