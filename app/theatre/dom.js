/* Building elements, and showing tokens as text. Data reaches the document through textContent only. */
globalThis.SDLM = globalThis.SDLM || {};
(function (S) {
  "use strict";

  /**
   * An element. `options` may hold class, text, title, on (event → listener); anything else is an attribute.
   * @param {string} tag
   * @param {object} [options]
   * @param {...(Node|null)} children
   */
  S.el = function (tag, options, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name === "text") node.textContent = value;
      else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children) if (child) node.appendChild(child);
    return node;
  };

  /** A button that is called what it says; the hint says more. */
  S.button = function (text, hint, onclick, more) {
    return S.el("button", { type: "button", text, title: hint === text ? null : hint, on: { click: onclick }, ...more });
  };

  /** A sign drawn as a path in a box of 16 by 16, since fonts differ in which signs they have. */
  S.icon = function (path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
    shape.setAttribute("d", path);
    svg.appendChild(shape);
    return svg;
  };

  /** A button with a sign and a spoken label. */
  S.iconButton = function (path, label, onclick, more) {
    const node = S.button("", label, onclick, { "aria-label": label, ...more });
    node.appendChild(S.icon(path));
    return node;
  };

  /** Set text only where it changed: writing the same text again costs layout. */
  S.setText = function (node, text) {
    if (node.firstChild === null || node.firstChild.nodeValue !== text || node.childNodes.length !== 1) node.textContent = text;
  };

  /** A sentence in a banner; one about what went wrong is an alert. */
  S.say = function (banner, text, wrong = false) {
    S.setText(banner, text);
    banner.setAttribute("role", wrong ? "alert" : "status");
    banner.classList.toggle("wrong", wrong);
  };

  S.setClass = function (node, name) {
    if (node.className !== name) node.className = name;
  };

  const JOINED = /(\p{Extended_Pictographic}[\uFE0F\u{1F3FB}-\u{1F3FF}]?)\u200D(?=\p{Extended_Pictographic})/gu;
  const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u00A0\u034F\u115F\u1160\u2000-\u200A\u202F\u205F\u3000\u3164\uFFA0]/gu;
  const BIDI = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;
  const code = (c) => "⟨" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩";
  const KEEP = "\uE000"; // stands in for the joiner inside an emoji while the rest is made visible

  /** A token with everything visible: spaces, line ends, and the characters one cannot see. */
  S.visible = function (text) {
    if (text === "") return "◌";
    return text
      .replace(/\uE000/g, "⟨E000⟩")
      .replace(JOINED, "$1" + KEEP)
      .replace(/ /g, "·")
      .replace(/\r?\n/g, "⏎")
      .replace(/\t/g, "⇥")
      .replace(UNSEEN, (c) => (c === KEEP ? "\u200D" : code(c)));
  };

  /** At most `limit` characters, whole ones. */
  S.shortened = function (text, limit) {
    if (text.length <= limit) return text;
    return Array.from(text.slice(0, 2 * limit)).slice(0, limit).join("") + "…";
  };

  /** Text for reading: as it is, except that direction overrides are shown instead of obeyed. */
  S.readable = (text) => text.replace(BIDI, code);

  /** .93 for 0.93, 1 for 1: the stage's short form of a probability; floored, so that .899 never reads as .90. */
  S.short = function (x, digits = 2) {
    if (x >= 1) return "1";
    const scale = 10 ** digits;
    return (Math.floor(x * scale + 1e-9) / scale).toFixed(digits).replace(/^0/, "");
  };

  S.seconds = (s) => (s < 0.9995 ? Math.round(s * 1000) + " ms" : s.toFixed(s < 100 ? 2 : 0) + " s");
  S.plural = (n, word, many) => n.toLocaleString("en") + " " + (n === 1 ? word : many || word + (/(s|ss)$/.test(word) ? "es" : "s"));
  S.calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  /** A run's id: a secret of this page. */
  S.newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

  /** One call a frame, however often it is asked for. */
  S.everyFrame = function (draw) {
    let asked = false;
    return () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        draw();
      });
    };
  };
})(globalThis.SDLM);
