/* Building elements. Data reaches the document through textContent only. */

/**
 * @typedef {{[name: string]: string|number|boolean|null|undefined|{[event: string]: (event: any) => void}}} Options
 *   class, text, title, on (event → listener); anything else is an attribute
 */

/**
 * An element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Options} [options]
 * @param {...(Node|null|undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, options, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = String(value);
    else if (name === "text") node.textContent = String(value);
    else if (typeof value === "object") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child) node.appendChild(child);
  return node;
}

/**
 * A button that is called what it says; the hint says more.
 * @param {string} text @param {string} hint @param {() => void} onclick @param {Options} [more]
 */
export function button(text, hint, onclick, more) {
  return el("button", { type: "button", text, title: hint === text ? null : hint, on: { click: onclick }, ...more });
}

/**
 * A sign drawn as a path in a box of 16 by 16, since fonts differ in which signs they have.
 * @param {string} path
 */
function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.appendChild(shape);
  return svg;
}

/**
 * A button with a sign and a spoken label.
 * @param {string} path @param {string} label @param {() => void} onclick @param {Options} [more]
 */
export function iconButton(path, label, onclick, more) {
  const node = button("", label, onclick, { "aria-label": label, ...more });
  node.appendChild(icon(path));
  return node;
}

/**
 * Set text only where it changed: writing the same text again costs layout.
 * @param {Element} node @param {string} text
 */
export function setText(node, text) {
  if (node.firstChild === null || node.firstChild.nodeValue !== text || node.childNodes.length !== 1) node.textContent = text;
}

/** @param {Element} node @param {string} name */
export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

/**
 * A sentence in a banner; one about what went wrong is an alert.
 * @param {Element} banner @param {string} text @param {boolean} wrong
 */
export function setBanner(banner, text, wrong) {
  setText(banner, text);
  banner.setAttribute("role", wrong ? "alert" : "status");
  banner.classList.toggle("wrong", wrong);
}

/**
 * Numbers with names, as the stage and the race show them.
 * @param {{[key: string]: string}} names @param {string} first what they show at first
 */
export function numberList(names, first) {
  const numbers = Object.fromEntries(Object.keys(names).map((key) => [key, el("b", { text: first })]));
  const node = el("dl", { class: "stats" }, ...Object.entries(names).map(([key, name]) => el("div", {}, el("dt", { text: name }), el("dd", {}, numbers[key]))));
  return { node, numbers };
}

/** Whether the visitor wants no motion. */
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/**
 * One call a frame, however often it is asked for.
 * @param {() => void} draw
 */
export function everyFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
