/* Where the prompt and the settings are written. What is written stays in the fields until it is sent. */

import { button, el, setText } from "./dom.js";
import { menu, slider } from "./fields.js";
import { ALGORITHMS, BY_CONFIDENCE, DEFAULTS, GUESSES, LIMITS, MAX_PROMPT_CHARACTERS, MAX_SYSTEM_CHARACTERS } from "./generated.js";
import { within } from "./links.js";
import { ModelSign } from "./model-sign.js";
import { algorithms, compose as words } from "./words.js";

/** @import { Filters, Settings } from "./links.js" */
/** @import { Known, Models } from "./models.js" */

export class Compose {
  /**
   * @param {{send: () => void, stop: () => void, algorithm?: (name: string) => void, filters?: (filters: Filters) => void, retry?: () => void, clear?: () => void, share?: () => void}} on
   * @param {{models: Models, race?: boolean}} options
   */
  constructor(on, { models, race = false }) {
    this.on = on;
    this.models = models;
    this.busy = false;
    this.idle = race ? words.race : words.send;
    this.text = el("textarea", { rows: 2, maxlength: MAX_PROMPT_CHARACTERS, placeholder: words.placeholder, "aria-label": words.prompt });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        if (!this.busy) on.send();
      }
    });
    this.go = button(this.idle, this.idle, () => (this.busy ? on.stop() : on.send()), { class: "primary go" });
    this.examples = el("div", { class: "examples", role: "group", "aria-label": words.examples }, ...words.prompts.map((said) => {
      const turns = race ? said.slice(0, 1) : said;
      const label = turns.join(" → ");
      return button(label, label, () => this._example(turns), { class: "example" });
    }));
    /** @type {string[]} what an example asks next */
    this.coming = [];

    this.model = menu(words.model, [], (name) => models.choose(name));
    this.model.node.hidden = true; // until there are several
    this.sign = new ModelSign(true);
    this.model.node.append(this.sign.node);
    const names = race ? BY_CONFIDENCE : ALGORITHMS;
    this.algorithm = menu(race ? words.thresholdOn : words.algorithm, names.map((name) => [name, algorithms[name]]), (name) => on.algorithm && on.algorithm(name));
    this.guesses = menu(words.guesses, GUESSES.map((name) => [name, words.guessesNames[name]]));
    this.guesses.node.hidden = true; // until a model with a sampler is there
    const [least, most] = LIMITS.block_size;
    this.block = menu(words.blockSize, [["auto", words.auto], ...Array.from({ length: most - least + 1 }, (_, i) => /** @type {[string, string]} */ ([String(least + i), String(least + i)]))]);
    const moved = () => on.filters && on.filters(this.filters());
    this.temperature = slider(words.temperature, LIMITS.temperature, 0.1, DEFAULTS.temperature, { moved });
    this.topP = slider(words.topP, LIMITS.top_p, 0.05, DEFAULTS.top_p, { format: words.topPValue, moved });
    this.topK = slider(words.topK, LIMITS.top_k, 1, DEFAULTS.top_k, { format: words.topKValue, moved });
    this.length = slider(words.length, LIMITS.max_new_tokens, 8, DEFAULTS.max_new_tokens);
    this.threshold = race ? slider(words.threshold, LIMITS.threshold, 0.01, DEFAULTS.threshold) : null;
    this.system = el("textarea", { rows: 2, maxlength: MAX_SYSTEM_CHARACTERS, "aria-label": words.system, placeholder: words.systemHint });
    const system = race ? null : el("label", { class: "field" }, el("span", { text: words.system }), this.system);
    this.settings = el("div", { class: "fields", hidden: !race }, this.model.node, this.algorithm.node, this.guesses.node, this.threshold && this.threshold.node, this.block.node,
      this.temperature.node, this.topP.node, this.topK.node, this.length.node, system);
    this.toggle = race ? null : button(words.settings[0], words.settings[1], () => this._toggle(), { "aria-expanded": "false" });
    this.retry = on.retry ? button(words.retry[0], words.retry[1], on.retry) : null;
    const clear = on.clear && button(words.clear[0], words.clear[1], on.clear);
    const share = on.share && button(words.share[0], words.share[1], on.share);
    this.node = el("div", { class: "compose" }, this.examples, el("div", { class: "entry" }, this.text, this.go), this.settings,
      el("div", { class: "actions" }, this.toggle, this.retry, clear, share));
  }

  /** @param {string[]} turns */
  _example(turns) {
    if (this.busy) return;
    [this.text.value, ...this.coming] = turns;
    this.on.send();
  }

  /** An answer is there: ask what the example asks next. */
  goOn() {
    const next = this.coming.shift();
    if (next === undefined) return;
    this.text.value = next;
    queueMicrotask(() => this.on.send()); // the answer is still being drawn
  }

  /**
   * While a run lasts, the one button stops it.
   * @param {boolean} busy
   */
  setBusy(busy) {
    this.busy = busy;
    setText(this.go, busy ? words.stop : this.idle);
    this.go.setAttribute("aria-label", busy ? words.stopLabel : this.idle);
    this.go.classList.toggle("stop", busy);
    if (this.retry) this.retry.disabled = busy;
  }

  _toggle() {
    this.settings.hidden = !this.settings.hidden;
    if (this.toggle) this.toggle.setAttribute("aria-expanded", String(!this.settings.hidden));
  }

  /** What becomes of the distribution that a guess is chosen from. @returns {Filters} */
  filters() {
    return { temperature: this.temperature.value, top_p: this.topP.value, top_k: this.topK.value };
  }

  /** @param {Filters} filters */
  setFilters({ temperature, top_p, top_k }) {
    this.temperature.set(temperature);
    this.topP.set(top_p);
    this.topK.set(top_k);
  }

  /**
   * The settings as the server reads them.
   * @param {number} [threshold] where it has no field here
   */
  values(threshold) {
    return {
      ...this.models.setting(),
      algorithm: this.algorithm.value,
      block_size: this.block.value === "auto" ? /** @type {const} */ ("auto") : Number(this.block.value),
      guesses: this.guesses.node.hidden ? null : this.guesses.value, // null: what the model can do
      threshold: this.threshold ? this.threshold.value : threshold,
      ...this.filters(),
      seed: this.temperature.value > 0 ? Math.floor(Math.random() * 2 ** 31) : 0, // each asking draws its own sample
      max_new_tokens: this.length.value,
    };
  }

  /**
   * Offer what the chosen model can do, and the others where there are any.
   * @param {Known} status
   */
  suit(status) {
    const { model, models, sampler, block_size } = status, field = this.model;
    this.guesses.node.hidden = !sampler;
    field.node.hidden = !models;
    if (!models) return;
    if (models.join() !== [...field.menu.options].map(({ value }) => value).join()) field.offer(models.map((name) => [name, this.models.label(name)]));
    field.set(model);
    this.sign.render(status);
    for (const option of this.block.menu.options) if (option.value !== "auto") setText(option, option.value === String(block_size) ? words.trained(option.value) : option.value);
  }

  /**
   * Take over settings, each only if it is within bounds.
   * @param {Settings} values
   */
  take(values) {
    const menus = { algorithm: this.algorithm, guesses: this.guesses, block_size: this.block };
    for (const [name, field] of Object.entries(menus)) field.set(values[/** @type {keyof typeof menus} */ (name)]);
    if (this.on.algorithm) this.on.algorithm(this.algorithm.value);
    const sliders = { temperature: this.temperature, top_p: this.topP, top_k: this.topK, max_new_tokens: this.length, threshold: this.threshold };
    for (const [key, field] of Object.entries(sliders)) {
      const name = /** @type {keyof typeof sliders} */ (key), value = values[name];
      if (field && within(name, value)) field.set(value);
    }
  }
}
