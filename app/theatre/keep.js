/* What can be kept: the trace as JSON, the stage as one file, a link with prompt and settings; and loading a trace back. */
(function (S) {
  "use strict";
  const { el, button } = S;
  const REMEMBERED = "sdlm-conversation"; // in the tab's storage
  const LARGEST = 16e6; // bytes of a trace file
  const SLOT = "/*SDLM-" + "TRACE*/"; // in two parts, since this script stands in the player too

  /** JSON that may stand inside a <script> element. */
  S.embedded = (text) => text.replace(/[<>&\u2028\u2029]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

  function download(name, type, text) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const link = S.el("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  const fileName = (record, ending) => {
    const config = record.head.config;
    const rule = record.judged ? `tau-${config.threshold}` : config.algorithm;
    return `sdlm-d${record.blockSize}-${rule}-${record.passes.length}-passes.${ending}`;
  };

  const saveTrace = (record) => download(fileName(record, "json"), "application/json", JSON.stringify(record.toJSON()));

  /** @param {string} player the player's page, with a slot for the trace */
  const savePage = (record, player) =>
    download(fileName(record, "html"), "text/html", player.split(SLOT).join(S.embedded(JSON.stringify(record.toJSON()))));

  /**
   * Read a file as a trace. The server's check is the one that counts; throws an Error with one clear sentence.
   * @param {File} file
   * @param {(text: string) => Promise<{error?: string}>} check
   */
  S.loadTrace = async function (file, check) {
    if (file.size > LARGEST) throw new Error(`This file is too large: ${(file.size / 1e6).toFixed(0)} MB, at most ${LARGEST / 1e6} MB are read.`);
    const text = await file.text();
    const answer = await check(text);
    if (!answer || answer.error) throw new Error(answer ? answer.error : "The server did not take this file.");
    let data;
    try {
      data = JSON.parse(text);
    } catch {
      throw new Error("This is not a trace: the text is not valid JSON."); // such as NaN, which only Python reads
    }
    return S.Record.from(data, "file");
  };

  /** The buttons below the stage. */
  class Keep {
    /**
     * @param {object|null} gradio null in an exported file
     * @param {{record: () => object|null, run: () => string|null, loaded: (record: object) => void, refused: (message: string) => void}} on
     */
    constructor(gradio, on) {
      this.gradio = gradio;
      this.on = on;
      const save = button("Save trace", "Download this run as a JSON trace", () => on.record() && saveTrace(on.record()));
      this.node = el("div", { class: "keep", role: "group", "aria-label": "Keep this run" }, save);
      if (!gradio) return;
      const file = el("input", { type: "file", accept: ".json,application/json", class: "unseen", tabindex: "-1", "aria-hidden": "true", on: { change: () => this._load(file) } });
      this.node.append(
        button("Save replay file", "Download this stage as one HTML file that replays in any browser", () => this._savePage()),
        button("Load a trace", "Show a trace from a file", () => file.click()),
        file);
    }

    async _savePage() {
      const record = this.on.record();
      if (record) savePage(record, await this.gradio.server.player(null));
    }

    async _load(input) {
      const file = input.files[0], run = this.on.run();
      input.value = "";
      if (!file) return;
      try {
        const record = await S.loadTrace(file, (text) => this.gradio.server.check_trace(text));
        if (run === this.on.run()) this.on.loaded(record); // else something was asked meanwhile
      } catch (error) {
        this.on.refused(error instanceof Error ? error.message : "This file could not be read.");
      }
    }
  }
  S.Keep = Keep;

  const NAMES = { algorithm: "algorithm", block_size: "d", threshold: "tau", temperature: "temperature", max_new_tokens: "length" };

  /** A link to this page that carries prompt and settings; behind the #, so that no server's log sees them. */
  S.linkTo = function (prompt, values) {
    const parts = new URLSearchParams({ prompt: prompt.slice(0, S.LONGEST_PROMPT) });
    for (const [name, short] of Object.entries(NAMES)) if (values[name] !== null) parts.set(short, String(values[name]));
    return location.origin + location.pathname + location.search + "#" + parts;
  };

  /** What the page's link says: text for the prompt and numbers in bounds, nothing that acts. */
  S.readLink = function () {
    const parts = new URLSearchParams(location.hash.slice(1));
    const values = {};
    for (const [name, short] of Object.entries(NAMES)) {
      const said = parts.get(short);
      if (said === null || said === "") continue;
      if (name === "algorithm") {
        if (Object.hasOwn(S.ALGORITHMS, said)) values[name] = said;
      } else if (S.within(name, Number(said))) values[name] = Number(said);
    }
    return { prompt: (parts.get("prompt") || "").slice(0, S.LONGEST_PROMPT), values };
  };

  /** Keep the conversation for as long as the browser's tab lasts; null forgets it. */
  S.remember = function (state) {
    try {
      sessionStorage.removeItem(REMEMBERED); // an older one shall not outlive one there is no room for
      if (state) sessionStorage.setItem(REMEMBERED, JSON.stringify(state));
    } catch {
      // no room, or not allowed: then a reload begins anew
    }
  };

  /** What was remembered, or null. */
  S.recall = function () {
    try {
      return JSON.parse(sessionStorage.getItem(REMEMBERED));
    } catch {
      return null;
    }
  };

  /** Whether this page was there before and is loaded again. */
  S.reloaded = () => performance.getEntriesByType("navigation").some((entry) => entry.type === "reload");

  S.copy = async function (text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  };
})(globalThis.SDLM);
