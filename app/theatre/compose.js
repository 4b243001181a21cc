/* Where the prompt and the settings are written. */
(function (S) {
  "use strict";
  const { el, button, setText } = S;

  const PROMPTS = [
    "A baker makes 5 trays of 12 rolls and sells 38. How many rolls are left?",
    "Write a Python function `is_even(total)` that returns whether `total` is even.",
    "How many grams are 3 kilograms and 550 grams?",
    "Why is the sky blue?",
  ];
  const LIMITS = { block_size: [1, 16], temperature: [0, 2], max_new_tokens: [8, 512], threshold: [0, 1] };
  const LONGEST = 4000;

  class Compose {
    /** @param {{send: () => void, stop: () => void, retry?: () => void, clear?: () => void, share?: () => void}} on */
    constructor(on, { race = false } = {}) {
      this.on = on;
      this.text = el("textarea", { rows: 2, maxlength: LONGEST, placeholder: "Ask something", "aria-label": "Your prompt" });
      this.text.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          if (!this.busy) on.send();
        }
      });
      this.go = button(race ? "Start the race" : "Send", race ? "Start the race" : "Send", () => (this.busy ? on.stop() : on.send()), { class: "primary go" });
      this.examples = el("div", { class: "examples", role: "group", "aria-label": "Example prompts" }, ...PROMPTS.map((prompt) =>
        button(prompt, prompt, () => { this.text.value = prompt; if (!this.busy) on.send(); }, { class: "example" })));
      this.idle = this.go.textContent;

      this.algorithm = el("select", { "aria-label": "Algorithm" }, ...Object.entries(S.ALGORITHMS)
        .filter(([name]) => !race || name === "prob_conf" || name === "entropy_conf")
        .map(([name, title]) => el("option", { value: name, text: title })));
      this.block = slider("D, guesses a pass", 1, 16, 1, 8);
      this.temperature = slider("Temperature", 0, 2, 0.1, 0);
      this.length = slider("Answer length, tokens", 8, 512, 8, 200);
      const fields = [el("label", { class: "field" }, el("span", { text: race ? "Threshold on" : "Algorithm" }), this.algorithm), this.block.node, this.temperature.node, this.length.node];
      if (race) {
        this.threshold = slider("Threshold τ", 0, 1, 0.01, 0.9);
        fields.splice(1, 0, this.threshold.node);
      }
      this.settings = el("div", { class: "fields", hidden: !race });
      this.settings.append(...fields);
      const actions = [
        !race && (this.toggle = button("Settings", "Settings of the next run", () => this._toggle(), { "aria-expanded": "false" })),
        on.retry && (this.retry = button("Retry", "Decode the last prompt again", on.retry)),
        on.clear && (this.clear = button("Clear", "Clear the conversation", on.clear)),
        on.share && button("Copy link", "Copy a link with this prompt and these settings", on.share),
      ].filter(Boolean);
      this.node = el("div", { class: "compose" }, this.examples, el("div", { class: "entry" }, this.text, this.go), this.settings, el("div", { class: "actions" }, ...actions));
    }

    /** While a run lasts, the one button stops it. */
    setBusy(busy) {
      this.busy = busy;
      setText(this.go, busy ? "Stop" : this.idle);
      this.go.setAttribute("aria-label", busy ? "Stop decoding" : this.idle);
      this.go.classList.toggle("stop", busy);
      if (this.retry) this.retry.disabled = busy;
    }

    _toggle() {
      this.settings.hidden = !this.settings.hidden;
      this.toggle.setAttribute("aria-expanded", String(!this.settings.hidden));
    }

    /** The settings as the server reads them. */
    values(threshold) {
      return {
        algorithm: this.algorithm.value,
        block_size: this.block.known ? this.block.value : null, // null: the model's own
        threshold: this.threshold ? this.threshold.value : threshold,
        temperature: this.temperature.value,
        seed: this.temperature.value > 0 ? Math.floor(Math.random() * 2 ** 31) : 0, // each asking draws its own sample
        max_new_tokens: this.length.value,
      };
    }

    /** D is the model's own, unless the visitor or a link has chosen one before it was known. */
    suit(blockSize) {
      if (blockSize && !this.block.known) this.block.set(Math.min(LIMITS.block_size[1], blockSize));
    }

    /** Take over settings, each only if it is within bounds. */
    take(values) {
      if (S.ALGORITHMS[values.algorithm] && [...this.algorithm.options].some((o) => o.value === values.algorithm)) this.algorithm.value = values.algorithm;
      const fields = { block_size: this.block, temperature: this.temperature, max_new_tokens: this.length, threshold: this.threshold };
      for (const [name, field] of Object.entries(fields)) if (field && within(name, values[name])) field.set(values[name]);
    }
  }

  const within = (name, value) => typeof value === "number" && value >= LIMITS[name][0] && value <= LIMITS[name][1];

  function slider(label, min, max, step, value) {
    const range = el("input", { type: "range", min, max, step, value, "aria-label": label });
    const output = el("output", { text: String(value) });
    const field = {
      node: el("label", { class: "field" }, el("span", { text: label }), range, output),
      known: false, // whether someone has said what it should be
      get value() { return Number(range.value); },
      set(v) {
        range.value = v;
        field.said();
      },
      said() {
        field.known = true;
        setText(output, range.value);
      },
    };
    range.addEventListener("input", field.said);
    return field;
  }

  S.Compose = Compose;
  S.within = within;
  S.LONGEST_PROMPT = LONGEST;
})(globalThis.SDLM);
