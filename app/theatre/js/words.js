/* All that the page says, in English; one file a language. Components take their words from here by key. It touches no
   document. */

import { seconds, short } from "./numbers.js";
import { shortName, shortened, visible } from "./text.js";

/** @import { Record } from "./record.js" */

/**
 * A number and what is counted.
 * @param {number} n @param {string} word @param {string} [many]
 */
export function plural(n, word, many) {
  return n.toLocaleString("en") + " " + (n === 1 ? word : many || word + (/(s|ss)$/.test(word) ? "es" : "s"));
}

/** Names of the algorithms, by the core's names. @type {{[algorithm: string]: string}} */
export const algorithms = {
  prob_conf: "Threshold on probability",
  entropy_conf: "Threshold on entropy",
  self_speculative: "Self-speculative",
  autoregressive: "Autoregressive",
};

/** Kinds of guesses, by the core's names. @type {{[guesses: string]: string}} */
const guessesNames = { coherent: "coherent guesses", independent: "independent guesses" };

export const otherGuesses = {
  /** @type {{[guesses: string]: string}} */
  decode: { coherent: "Decode again with coherent guesses", independent: "Decode again with independent guesses" },
  /** @type {{[guesses: string]: string}} */
  hint: { coherent: "Each guess of a pass knows the guesses before it", independent: "No guess of a pass knows the other guesses, as in the paper" },
};

/** @typedef {{model?: string, created?: string, position?: number, reason?: string, judged?: boolean, message?: string}} Detail */

/** Badge and sentence of each state of the stage. @type {{[status: string]: (detail: Detail) => [string, string]}} */
export const states = {
  empty: () => ["Ready", "Ask something, and each forward pass of the answer appears here."],
  example: ({ model }) => ["Recorded", `A recorded run of ${shortName(model)}. Ask something to decode live.`],
  file: ({ model }) => ["Loaded trace", `A run of ${shortName(model)} from a file.`],
  replay: ({ model, created }) => ["Recorded", `A run of ${shortName(model)}${created ? ", " + created.slice(0, 10) : ""}.`],
  waiting: ({ position, model }) =>
    model === "loading"
      ? ["Waiting", "The model is still loading; decoding starts as soon as it is there."]
      : model === "unloaded"
        ? ["Waiting", "The model is loaded as soon as another one makes room."]
        : position && position > 0
          ? ["Waiting", `Waiting for the model. Your place in line: ${position}.`]
          : ["Starting", "Reading the prompt …"],
  running: () => ["Decoding", "Each pass appears as the model makes it. Space pauses the display, not the model."],
  stopped: () => ["Stopped", "What was decoded so far is kept."],
  done: ({ reason, judged, model }) => ["Done", `The answer ${model ? `of ${shortName(model)} ` : ""}${reason === "length" ? "reached its length limit" : "is complete"}. Step back through it${judged ? ", or move τ" : ""}.`],
  failed: ({ message }) => ["Not decoded", String(message || "Something went wrong.")],
};

export const stage = {
  title: "Sequential diffusion, pass by pass",
  about: "The model guesses D tokens in each forward pass and keeps the longest prefix it is sure of.",
  chat: "Chat",
  stage: "Stage",
  big: "Aa",
  bigHint: "Big letters, for the back of the room",
  bigLabel: "Aa, big letters for the back of the room",
  theme: "Light or dark",
  /** @type {{[state: string]: (status: import("./models.js").Known) => string}} */
  model: {
    unloaded: ({ name }) => `${name}: not loaded, a question loads it`,
    loading: ({ name }) => (name ? `${name} is loading` : "The model is loading …"),
    failed: ({ name }) => (name ? `${name} could not be loaded` : "No model"),
    ready: ({ name, device }) => `${name} · ${device}`,
  },
  /** How far loading is. @param {import("./models.js").Known} status */
  progress: ({ seconds: now, of, size }) => `, ${now} s${of ? ` of about ${of} s` : ""}${size ? `, ${size}` : ""}`,
  numbers: { passes: "passes", tokens: "tokens", rate: "tokens per pass", time: "time" },
  linkCopied: "The link is copied; it carries the prompt and the settings.",
  linkShown: "The link is in the address bar; it carries the prompt and the settings.",
  noTrace: "This file holds no trace.",
  /** @param {{tokens: number, passes: number}} done */
  announcement: ({ tokens, passes }) => `${plural(tokens, "token")} in ${plural(passes, "pass")}.`,
  /** What a row is. @param {Record} record */
  explanation(record) {
    const algorithm = record.head.config.algorithm;
    if (algorithm === "autoregressive" || record.blockSize === 1) return "Each line is one forward pass. It guesses one token and keeps it.";
    if (algorithm === "self_speculative") return "Each line is one forward pass. It checks the likely guesses of the pass before, keeps them while it predicts the same (✓), and makes new guesses.";
    const guesses = record.head.config.block_size === "auto" ? `at most ${record.blockSize} guesses, their number chosen for speed` : `D = ${record.blockSize} guesses`;
    return `Each line is one forward pass with ${guesses}. The framed prefix is kept: the first guess, and those after it while all are above τ. The rest is discarded.`;
  },
};

export const conversation = {
  label: "Conversation",
  user: "Prompt",
  assistant: "Answer",
  markdown: "Markdown",
  markdownHint: "Show this answer as Markdown or as plain text",
  copy: "Copy",
  copyHint: "Copy the answer's text",
  copied: "Copied",
  notCopied: "Not copied",
};

/** @param {number|null} x a share */
const whole = (x) => Math.round(100 * (x || 0)) + " %";

export const ends = {
  name: "kept, by position",
  hint: "How often the guess at each position of the block was kept. Bar: this run so far. Line: the conversation",
  /** @param {number} i from 0 @param {number} run @param {number|null} all of the conversation; null where there is none */
  place: (i, run, all) => `Guess ${i + 1}: kept in ${whole(run)} of this run's passes` + (all === null ? "" : `, in ${whole(all)} of the conversation's`),
  /** @param {string[]} places */
  label: (places) => `How often each guess is kept. ${places.join(". ")}.`,
};

export const promptTokens = {
  title: "The prompt as the model reads it",
  /** @param {number} n */
  count: (n) => `The prompt as the model reads it: ${plural(n, "token")}`,
  /** @param {number} id */
  special: (id) => `special token ${id}`,
  /** @param {number} id */
  plain: (id) => `token ${id}`,
  loading: "Reading …",
  lost: "The server did not answer.",
};

export const compare = {
  old: "Show the old run",
  new: "Show the new run",
  other: "Show the other run",
  back: "Back to the conversation",
  file: "This trace is not part of your conversation. Your next question continues the conversation.",
  /** What other settings or another token made of the same prompt. @param {Record} before @param {Record} now @param {number} parts where the answers part, or −1 @param {string[]} [names] */
  runs(before, now, parts, names) {
    const same = before.head.guesses === now.head.guesses;
    /** @param {Record} record */
    const line = (record) => `${same ? "τ = " + short(record.head.config.threshold) : guessesNames[record.head.guesses]}: ${plural(record.passes.length, "pass")}, ${record.tokensPerPass.toFixed(2)} tokens per pass, ${seconds(record.seconds)}`;
    const cut = [before, now].some(({ tail }) => tail && tail.finish_reason === "cancelled"); // then one may be a prefix of the other
    const agree = parts < 0 ? `The answers agree${cut ? " as far as they go" : ""}.` : `The answers differ from token ${parts + 1} on.`;
    return names ? `${names[0]}: ${line(before)}. ${names[1]}: ${line(now)}. ${agree}` : `Before: ${line(before)}. Now: ${line(now)}. ${agree}`;
  },
};

export const forks = {
  label: "Runs of this prompt",
  first: "First answer",
  unnamed: "(no name)",
  /** @param {string} text what was put @param {number} place from 0 */
  leaves: (text, place) => `“${shortened(text, 20)}” at ${place + 1}`,
  /** @param {number} tau */
  tau: (tau) => `τ = ${short(tau)}`,
  /** @param {import("./links.js").Settings} change settings that another run of the prompt has */
  again: ({ threshold, guesses }) => threshold === undefined ? guessesNames[guesses || ""] : `τ = ${short(threshold)}`,
  /** @param {string} name @param {number} depth */
  show: (name, depth) => `Show this run: ${name}${depth ? `, ${plural(depth, "fork")} deep` : ""}`,
  rate: "tokens per pass",
  rename: "Rename this run",
  name: "Name of this run",
  against: "Compare the shown run with this one",
  own: "Your own text to continue with",
  placeholder: "or your own text",
  go: "Continue",
  goHint: "Continue decoding from here; this run is kept too",
  how: "Choose a token or type a text; decoding continues from there.",
  whileRunning: "When the run has ended, you can continue decoding from here.",
  beyond: "The answer does not reach this position, so decoding cannot continue from here.",
};

export const answer = {
  label: "The answer, one marked span per pass",
  parts: "From here on the answers differ",
  given: "Given, not decoded in this run",
  end: "The end token",
  endLabel: "end of the answer",
};

export const passes = {
  label: "Forward passes, one per line",
  /** @param {number} n */
  go: (n) => `Go to pass ${n}`,
  /** @param {number} n */
  kept: (n) => `${n} kept`,
  /** @param {number} width guesses of a block @param {number} blocks */
  width: (width, blocks) => (blocks > 1 ? `${blocks}×${width}` : `of ${width}`),
  /** @param {number} width @param {number} blocks */
  widthHint: (width, blocks) => `This pass computed ${blocks > 1 ? `${blocks} blocks of ${plural(width, "guess")}, one for each checked prefix of the draft` : plural(width, "guess")}.`,
  /** What the colours of a row say. @param {number} index @param {string[]} kept guesses, each as `guess` says it @param {string[]} rest */
  row: (index, kept, rest) =>
    `Pass ${index + 1}: ${kept.length} of ${plural(kept.length + rest.length, "guess")} kept: ${kept.join("; ")}. ` + (rest.length ? `Discarded: ${rest.join("; ")}.` : "None discarded."),
  /** @param {string} text @param {number} confidence @param {string[]} notes */
  guess: (text, confidence, notes) => [`${shortened(visible(text), 20)} ${short(confidence)}`, ...notes].join(", "),
  notes: {
    /** @param {number} tau */
    forced: (tau) => `kept as the first guess, though not above τ ${short(tau)}`,
    /** @param {number} tau */
    limit: (tau) => `not above τ ${short(tau)}`,
    holds: "as drafted",
    mismatch: "not as drafted",
    more: "discarded in the run",
    wrong: "the answer has another token here",
    less: "kept in the run",
  },
  states: { kept: "kept", first: "first discarded", rest: "discarded" },
  /** @param {string} text @param {number} confidence @param {string} state @param {string[]} notes */
  chip: (text, confidence, state, notes) => [shortened(visible(text), 40), "confidence " + short(confidence), state, ...notes].join(", "),
};

export const cache = { label: "KV cache", caption: "KV cache, rows in this pass:", reused: "read from it,", written: "written to it,", thrown: "discarded" };

export const timeline = {
  label: "Time",
  pass: "Pass",
  speed: "Speed of the replay",
  first: "First pass (Home)",
  back: "One pass back (left arrow)",
  forward: "One pass on (right arrow)",
  last: "Last pass (End)",
  play: "Play (space)",
  pause: "Pause (space)",
  none: "no passes yet",
  /** @param {number} cursor @param {number} length @param {number} time in seconds */
  where: (cursor, length, time) => `pass ${cursor} of ${length} · ${seconds(time)}`,
};

export const whatIf = {
  label: "Confidence scale and threshold",
  tau: "Threshold τ: guesses are kept while their confidence is above it",
  unsure: "unsure",
  sure: "sure",
  empty: "A guess is kept while its confidence is above τ, and so is every guess before it.",
  autoregressive: "Autoregressive decoding guesses one token per pass, so τ decides nothing.",
  selfSpeculative: "Self-speculative decoding has no τ: each pass checks the guesses of the pass before and keeps them while it predicts the same.",
  /** @param {number} tau */
  kept: (tau) => `Kept: the longest prefix above τ = ${short(tau)}. Move τ to judge these passes again.`,
  /** @param {{mean: number, more: number, agree: number}} verdict @param {number} recorded tokens a pass */
  judged({ mean, more, agree }, recorded) {
    const beyond = more ? ` It would keep ${plural(more, "more guess", "more guesses")}, ${agree} of them as the run wrote in the end; ≠ marks the others.` : "";
    return `The recorded run judged again, not decoded again: ${mean.toFixed(2)} kept per pass instead of ${recorded.toFixed(2)}.${beyond}`;
  },
  goesOn: " The run itself goes on as it began.",
  whenResting: " When τ stops moving, the prompt is decoded again.",
  onceMore: " Move τ once more to decode with it.",
};

export const tauPlot = {
  label: "Speed against quality.",
  rate: "tokens per pass",
  agreement: "agreement",
  /** Names of the sets of prompts that were measured. @type {{[task: string]: string}} */
  tasks: { problems: "problems", chat: "open prompts" },
  unmeasured: "no measured curve for this model and D",
  /** @param {string} guesses */
  title: (guesses) => `Curves: this model measured at τ .5 to 1 (${guessesNames[guesses] || guesses}); agreement is with its text at τ = 1. Circles: the slider's τ. Dot: this answer; agreement is with its own text.`,
  /** @param {string} rate @param {string} agreement "" while it is not known @param {boolean} judged */
  here: (rate, agreement, judged) => `${judged ? "Judged again" : "This answer"}: ${rate} per pass${agreement ? `, agreement ${agreement}` : ""}.`,
  /** @param {string} task @param {number} n @param {{rate: number, agreement: number}} place */
  curve: (task, n, { rate, agreement }) => `Measured on ${n} ${task}: ${rate.toFixed(2)} tokens per pass, agreement ${short(agreement)}.`,
};

/** @param {string} text a token */
const quoted = (text) => `“${shortened(visible(text), 30)}”`;

export const card = {
  label: "One guess in detail",
  close: "Close the card",
  alternatives: "The model's likeliest tokens here",
  likeliest: "Likeliest here",
  knowing: "Likeliest here, given the guesses before it",
  /** @param {string} p the guess's probability */
  alone: (p) => `Likeliest without them (this guess: ${p})`,
  where: "Where",
  confidence: "Confidence",
  probability: "Probability",
  /** @param {number} pass @param {number} i @param {number} of @param {number} place each from 0 */
  place: (pass, i, of, place) => `pass ${pass + 1}, guess ${i + 1} of ${of}: token ${place + 1} of the answer`,
  /** @param {number} tau */
  limit: (tau) => ` (τ = ${short(tau)})`,
  /** @param {number} entropy in nats */
  entropy: (entropy) => `, entropy ${entropy.toFixed(2)} nats`,
  /** @param {number} characters */
  length: (characters) => `The token has ${plural(characters, "character")}.`,
  /** @param {number} tau the one that is tried @param {boolean} keeps @param {number} recorded @param {string} became */
  tried: (tau, keeps, recorded, became) =>
    `τ = ${short(tau)} would ${keeps ? "keep" : "discard"} it. In the recorded run (τ = ${short(recorded)}) it was ${became[0].toLowerCase() + became.slice(1)}`,
  kept: "Kept.",
  keptSure: "Kept: it and all before it are sure enough.",
  /** @param {number} tau */
  keptFirst: (tau) => `Kept, though not above τ = ${short(tau)}: a pass always keeps its first guess.`,
  holds: " The pass before had guessed the same here: a match.",
  /** @param {string} drafted */
  mismatch: (drafted) => ` The pass before had guessed ${quoted(drafted)} here: a mismatch, so checking ended.`,
  unsureFirst: "Discarded: even the first guess of this pass is not above τ, so only that one is kept.",
  /** @param {number} confidence @param {number} tau */
  notAbove: (confidence, tau) => `Discarded: ${short(confidence, 3)} is not above τ = ${short(tau)}.`,
  answerEnded: "Discarded: the answer had reached its end.",
  follows: "Discarded: it follows a discarded guess.",
  endedBefore: " The answer ended before this position.",
  /** @param {number} pass @param {string|null} text what it wrote instead; null: the same */
  became: (pass, text) => ` Pass ${pass + 1} ${text === null ? "guessed the same and kept it." : `wrote ${quoted(text)} instead.`}`,
  notKept: "Not kept.",
  notYet: "Not kept yet: the next pass checks it if it is likely enough.",
  draft: "Not kept yet: a draft for the next pass to check.",
  dropped: "Discarded: too unlikely to be worth checking.",
};

export const beforeAfter = {
  label: "Before and after temperature, top-p and top-k",
  before: "before",
  after: "after",
  excluded: "out",
  /** @param {string} p */
  orExcluded: (p) => `≤${p}?`,
  impossible: "This run was decoded with top-p or top-k. What they excluded is not in the record, so the distribution before them is not known.",
  beyond: "This guess is not among the recorded tokens, so its new probability is not known.",
  guessExcluded: "This guess would be excluded.",
  range: "A range or a question mark: it depends on tokens that are not in the record.",
  /** @param {string} confidence @param {boolean|null} above null: not known @param {number} tau */
  again: (confidence, above, tau) => `The confidence of this guess would be ${confidence}: ${above === null ? "it may or may not be" : above ? "" : "not "}${above === null ? " " : ""}above τ = ${short(tau)}.`,
};

export const compose = {
  /** @type {string[][]} the turns of each */
  prompts: [
    ["A baker makes 5 trays of 12 rolls and sells 38. How many rolls are left?"],
    ["What is the capital of France?", "And of Italy?"],
    ["Write a Python function `is_even(total)` that returns whether `total` is even."],
    ["What is a black hole?"],
    ["How many grams are 3 kilograms and 550 grams?"],
    ["Name a fruit that is red.", "Tom has 3 apples and buys 5 more. How many apples does he have?"],
    ["Hello! Who are you?"],
    ["Why is the sky blue?"],
  ],
  placeholder: "Ask something",
  prompt: "Your prompt",
  examples: "Example prompts",
  model: "Model",
  algorithm: "Algorithm",
  send: "Send",
  race: "Start the race",
  stop: "Stop",
  stopLabel: "Stop decoding",
  blockSize: "D, guesses per pass",
  auto: "auto: chosen for speed",
  /** @param {string} d */
  trained: (d) => `${d}, as the model was trained`,
  guesses: "Guesses of a pass",
  /** @type {{[guesses: string]: string}} */
  guessesNames: { coherent: "Coherent: each knows those before it", independent: "Independent: as in the paper" },
  temperature: "Temperature",
  topP: "Top-p",
  /** @param {number} p */
  topPValue: (p) => (p < 1 ? short(p) : "off"),
  topK: "Top-k",
  /** @param {number} k */
  topKValue: (k) => (k ? String(k) : "off"),
  length: "Answer length, tokens",
  system: "System prompt",
  systemHint: "Empty: the default of the model's chat template",
  thresholdOn: "Threshold on",
  threshold: "Threshold τ",
  settings: ["Settings", "Settings of the next run"],
  retry: ["Retry", "Decode the last prompt again"],
  clear: ["Clear", "Clear the conversation"],
  share: ["Copy link", "Copy a link with this prompt and these settings"],
};

export const files = {
  label: "Save this run",
  saveTrace: ["Save trace", "Download this run as a JSON trace"],
  savePage: ["Save replay file", "Download this stage as one HTML file that replays in any browser"],
  load: ["Load a trace", "Show a trace from a file"],
  /** @param {number} size @param {number} limit both in MB */
  tooLarge: (size, limit) => `This file is too large: ${size.toFixed(0)} MB, at most ${limit} MB are read.`,
  refused: "The server did not take this file.",
  notJSON: "This is not a trace: the text is not valid JSON.",
  unreadable: "This file could not be read.",
};

export const wire = {
  lost: "The connection to the server was lost. Send the prompt again.",
  missed: "This page missed some passes, and the server no longer has them. Send the prompt again.",
};

/** @type {{tabs: string[], lab: string, run: string, option: (algorithm: string, tau: number, prompt: string) => string}} */
export const site = {
  tabs: ["Recorded runs", "Race", "Learn"],
  lab: "Measured curves",
  run: "Run",
  option: (algorithm, tau, prompt) => `${algorithm}, τ ${tau}: ${prompt.slice(0, 60)}`,
};

export const race = {
  title: "Three ways to decode one prompt",
  about: "They are decoded one after the other, then replayed side by side. Fewer passes and less time are different gains, so both are shown; time only if nobody else was decoding.",
  /** Title and sentence of each lane, in the order of RACE. */
  lanes: [
    ["Autoregressive", "One token per pass: how language models usually write."],
    ["Threshold", "Keeps the longest prefix with confidence above τ."],
    ["Self-speculative", "Checks its own guesses, so it writes what τ = 1 writes."],
  ],
  numbers: { passes: "passes", rate: "tokens per pass", time: "time", gain: "against autoregressive" },
  /** @param {string} title */
  answer: (title) => "Answer: " + title,
  /** @type {{[phase: string]: string}} */
  phases: {
    empty: "", waits: "Waits for its turn", decoding: "Decoding", recorded: "Recorded", stopped: "Stopped", undecoded: "Not decoded",
    replaying: "Replaying", finished: "Finished",
  },
  shared: "shared",
  /** @param {number} perPass @param {number|null} clock null where it may not be compared */
  gain: (perPass, clock) => `${perPass.toFixed(1)}× per pass` + (clock === null ? "" : `, ${clock.toFixed(1)}× by the clock`),
  clock: "Clock of the replay",
  measured: "Measured time",
  /** @param {number} rate passes a second */
  equal: (rate) => `Equal speed: ${rate} passes per second`,
  replay: ["Replay", "Replay the race"],
  /** @param {number} time in seconds */
  seconds: (time) => time.toFixed(1) + " s",
  everyPass: "every pass takes the same time: compare the number of passes",
  choose: "Choose a prompt to start all three.",
  /** @param {string} prompt @param {string|undefined} device */
  recorded: (prompt, device) => `A recorded race: “${prompt}” (${device}). Choose a prompt to start one of your own.`,
  reading: "Reading the prompt …",
  /** @param {number} lane from 0 @param {number} of */
  decoding: (lane, of) => `Decoding ${lane + 1} of ${of}, one after the other.`,
  stopped: "Stopped. Start again to see all three.",
  /** @param {string} model */
  by: (model) => `Decoded by ${model}.`,
  /** @param {string} title @param {number} parts where it parts from the first lane, or −1 */
  result: (title, parts) => (parts < 0 ? `${title}: the same text as autoregressive.` : `${title}: differs from autoregressive from token ${parts + 1} on (≠).`),
  others: "Others were decoding too, so times cannot be compared: the replay counts passes.",
};

/** Text of a step of the lesson: plain, or made from facts of the run that it shows. @typedef {string|((facts: any) => string)} Said */
/** @typedef {{title: string, text: Said, task: string, question: Said, options: Said[], reveal: Said, notes: string}} StepWords */

/** @param {number} x a share */
const percent = (x) => (100 * x).toFixed(1).replace(/\.0$/, "") + " %";

export const lesson = {
  title: "Learn: several tokens in one pass",
  about: "Nine steps with a recorded run. In each, do the task and answer the question. Arrow keys change the step.",
  nav: "Steps of the lesson",
  loading: "The lesson is loading …",
  failed: "The lesson could not be loaded. Reload the page.",
  source: "Show",
  recorded: "the recorded run",
  live: "your last run",
  unsuited: "Your last run cannot show this, so here is the recorded one.",
  big: "Big letters",
  bigLabel: "Aa, big letters for the back of the room",
  notes: "Notes",
  notesHint: "Notes for the presenter (N)",
  questions: "Print questions",
  questionsHint: "Print the nine questions",
  answers: "Print answers",
  answersHint: "Print the answers on their own sheet",
  reset: "Start over",
  resetHint: "Clear all tasks and answers",
  sheetQuestions: "Several tokens in one pass: questions",
  sheetAnswers: "Several tokens in one pass: answers",
  link: "Copy link",
  linkHint: "Copy a link to this step as it is shown now",
  copied: "The link is copied.",
  shown: "The link is in the address bar.",
  next: "Next step",
  nextHint: "Go to the next step (right arrow)",
  todo: "Do this:",
  done: "✓ Done:",
  right: "Right.",
  wrong: "Not quite.",
  /** @param {number} n @param {string} title @param {boolean} done */
  step: (n, title, done) => `Step ${n}: ${title}${done ? ", done" : ""}`,
  masks: {
    d: "Block size D",
    inputs: "The tokens of the new rows (m: mask token)",
    guesses: "What the pass guesses",
    /** @param {string} text */
    known: (text) => `Known so far: the prompt and “${text.trimEnd()} ”.`,
    /** @param {number} rows @param {number} cached */
    rows: (rows, cached) => `${plural(rows, "row")} in this pass, ${cached} more read from the cache.`,
  },
  mask: {
    rule: "Layout",
    /** @type {{[rule: string]: string}} */
    rules: { autoregressive: "Autoregressive pass", prob_conf: "Threshold pass", self_speculative: "Self-speculative pass", training: "Training" },
    kind: "Inside a block",
    both: "both ways",
    causal: "causal",
    cache: "KV cache",
    withCache: "with",
    without: "without",
    d: "D",
    row: "Row",
    picture: "Which row sees which.",
    /** @param {number} n */
    folded: (n) => `${plural(n, "earlier token")}, seen by all`,
    /** @param {string} token @param {number} position @param {number} block @param {number} text @param {number} own */
    sees: (token, position, block, text, own) => `${token} at position ${position}${block < 0 ? "" : `, block ${block + 1}`}: sees ${plural(text, "text row")}${block < 0 ? "" : ` and ${plural(own, "row")} of its block`}.`,
    textKey: "sees text",
    ownKey: "sees its own block",
    noneKey: "does not see",
  },
  predict: {
    choose: "Choose the last guess that you think is kept.",
    /** @param {number} n */
    chosen: (n) => `You say: ${plural(n, "guess", "guesses")} kept.`,
    reveal: "Reveal",
    again: "Try again",
    /** @param {number} guess @param {number} kept @param {number} tau */
    revealed: (guess, kept, tau) => `${guess === kept ? "Yes" : `You said ${guess}`}: ${kept} kept. Guess ${kept + 1} is not above τ = ${short(tau)}, so it and all after it are discarded.`,
  },
  prefix: {
    rule: "Rule",
    /** @type {{[rule: string]: string}} */
    rules: { prefix: "keep the longest sure prefix", sure: "keep all up to the last sure guess", coherent: "keep the prefix, with coherent guesses" },
    coherent: "Coherent guesses: a small network, the sampler, tells each guess which tokens were chosen before it.",
    noSampler: "These guesses are independent: none knows the others. The recorded model has no sampler to make them coherent.",
  },
  calibration: {
    title: "How often a guess of each confidence is right",
    /** @param {number} n guesses */
    note: (n) => `${n.toLocaleString("en")} guesses of this model's τ sweep, without the first of each pass. Right: the token that τ = 1 writes.`,
    /** @param {number} from @param {number} to @param {number} share */
    bar: (from, to, share) => `Confidence ${from.toFixed(1)} to ${to.toFixed(1)}: ${Math.round(100 * share)} % right`,
  },
  speculative: {
    branches: "Branches of this pass, up to the first mismatch",
    /** @param {number} i @param {string} read @param {string} predicts @param {boolean|null} holds */
    branch: (i, read, predicts, holds) => `Branch ${i} reads ${read ? `“${read}”` : "no draft"} and predicts “${predicts}”${holds === null ? ", beyond the draft: kept." : holds ? ": same as the draft ✓" : ": the draft differs ≠"}`,
    compare: "Compare with autoregressive",
    notCompared: "There is no recorded autoregressive run of this prompt.",
    /** @param {number} tokens @param {number} parts */
    compared: (tokens, parts) => (parts < 0 ? `Compared token by token: all ${tokens} are the same as in the autoregressive run.` : `The answers differ from token ${parts + 1} on.`),
  },
  speed: {
    cost: "Cost of one more row",
    free: "rows are free",
    /** @param {number} cost @param {string} device */
    here: (cost, device) => `as recorded: ${percent(cost)} (${device})`,
    percent,
    /** @type {{[algorithm: string]: string}} */
    names: { prob_conf: "Threshold", entropy_conf: "Threshold", self_speculative: "Self-speculative" },
    /** @param {number} gain @param {number} rate */
    gain: (gain, rate) => `${gain.toFixed(2)}× as fast, ${rate.toFixed(2)} tokens per pass`,
    /** @param {string} name @param {number|null} cost */
    even: (name, cost) => (cost === null ? `${name} has no break-even cost.` : `${name} is as fast as one token per pass at ${percent(cost)} per row.`),
    source: "In percent of a pass with one row. “As recorded”: a straight line fitted to the times of the recorded passes. No GPU was measured for this page.",
  },
  /** @type {{[key: string]: StepWords}} */
  steps: {
    pass: {
      title: "One token per pass",
      text: "A forward pass runs all layers of a language model once. It gives a probability for every possible next token. Plain decoding, called autoregressive, keeps one token and then runs the whole model again. The time of each pass is at the right.",
      task: "Step through five passes and watch the answer grow.",
      question: ({ tokens }) => `The answer has ${tokens} tokens, with the end token. How many passes does it take?`,
      options: ["One for each token", "One for each word", "One for the whole answer"],
      reveal: ({ tokens, passes: count }) => `${tokens} tokens take ${count} passes. Each pass reads all the model's weights, for one token.`,
      notes: "Ask why the first pass is slower: it reads the whole prompt. Later passes compute one new token and take the rest from the KV cache (step 6).",
    },
    masks: {
      title: "D − 1 masks, D guesses",
      text: "A pass computes a row for each new token: what the layers make of it at its position. After the newest token we add a block of D rows: that token once more, then D − 1 mask tokens (m) for tokens not known yet. Each row of the block guesses the next token after its position, so one pass gives D guesses.",
      task: "Move D from 1 to 8.",
      question: "At D = 1 there is no block, only the newest token’s row. How many rows at D = 8?",
      options: ["64", "9", "8"],
      reveal: "9: the newest token’s own row, called a text row, and the 8 rows of the block. Only the block guesses. The text row sees no masks, so it can be kept for later passes (step 6); the block is discarded.",
      notes: "A language model has to be trained to guess from masks; an ordinary one cannot. Later guesses know less: the tokens just before them are masks. Compare their confidences.",
    },
    sees: {
      title: "Which row sees which",
      text: "Each line of the picture is a row; it sees the rows that it attends to. A text row sees the text up to and with itself. A block row sees the text before its block begins, and its own block: all of it, or in a causal block the rows up to itself. Other blocks (self-speculative passes and training have several) it never sees.",
      task: "Choose a mask row (m), block both ways, then causal.",
      question: "Both ways: does the block's first row see the last mask?",
      options: ["Yes", "No, never", "Only with a cache"],
      reveal: "Yes. In a causal block it would see only itself there. The block begins with the newest token itself, so it does not see that token's text row, too. The cache changes which rows are computed, never what a row sees.",
      notes: "Show training: many blocks in one sequence, no block sees another. Then self-speculative: a block for each prefix of the draft.",
    },
    predict: {
      title: "Predict what is kept",
      text: ({ tau }) => `The number on each guess is its confidence, usually its probability. A pass always keeps its first guess, then the next ones while each is above a threshold τ. Where one is not, it and all after it are discarded; the next pass guesses again. Here τ is ${short(tau)}.`,
      task: "Choose the last guess that you think is kept, then reveal.",
      question: "With τ = 1, how many guesses does a pass keep?",
      options: ["None", "One", "All"],
      reveal: "One: the first, so the answer always grows. No confidence is above 1, so no other is kept. τ = 1 gives one token per pass, as plain decoding does.",
      notes: "Let the class vote before the reveal. Most will keep the sure guess after the unsure one. The text at τ = 1 can differ from plain decoding: the row of its first guess also sees the masks.",
    },
    prefix: {
      title: "Why a prefix",
      text: "The rows of a block see masks, not what the other rows guess. A guess above τ, a sure one, need not fit an unsure one before it, so a pass stops at the first unsure guess. Another rule would keep all guesses up to the last sure one. The prompt was decoded by it, too. Read that answer: after “selling”, how many?",
      task: "Switch the rule to “keep all up to the last sure guess” and read the answer.",
      question: "Why is a sure guess after an unsure one discarded?",
      options: ["Its confidence is too low", "The cache has no room", "It was guessed without knowing the token before it"],
      reveal: "Each guess may belong to a different sentence. After an unsure guess, which is often wrong, the next may not fit, however sure it is. After a sure one it probably fits, since that one is probably right.",
      notes: "The wrong rule writes “selling selling”, loses the 38, and ends with a wrong answer. A sure guess need not fit the guess before it.",
    },
    cache: {
      title: "The KV cache",
      text: "The KV cache stores what attention needs of a text row, its keys and values, so that no later pass computes the row again. Block rows are never stored: they have seen masks. So the tokens that a pass keeps were only guessed. The next pass computes them as text rows and writes those to the cache.",
      task: "Go to the pass that keeps most tokens, then one pass on.",
      question: ({ pass, kept }) => `Pass ${pass} keeps ${kept} tokens. How many rows does the next pass write to the cache?`,
      options: ["One", "As many as were kept", "None"],
      reveal: ({ pass, kept, d }) => `Pass ${pass + 1} has ${kept} rows for the ${kept} kept tokens, which it writes, and ${d} block rows, which it discards.`,
      notes: "A kept token is not free: the next pass computes it again, as a text row. Discarded guesses cost their rows too.",
    },
    tau: {
      title: "Move τ",
      text: "A low τ keeps more guesses per pass, and more wrong ones. A high τ keeps fewer. The slider judges the recorded guesses again, without decoding. τ can work because confident guesses are right more often: see the bars.",
      task: "Move τ to .60 or lower, then to .99.",
      question: "τ goes from .90 to .60. What happens?",
      options: ["More tokens per pass, more errors", "More tokens per pass, same errors", "Fewer tokens per pass, fewer errors"],
      reveal: "More is kept, and more of it differs from what the model writes at one token per pass. τ trades speed against agreement with that text.",
      notes: "If confidence said nothing, all bars would have the same height, and no τ would help.",
    },
    speculative: {
      title: "The model checks its guesses",
      text: "No τ. What a pass did not keep is a draft. The next pass checks it in parallel branches: branch 0 reads none of it, branch 1 the first token, and so on. Each predicts the next one. Drafted tokens are kept (✓) while the predictions equal them. At the first difference (≠) the prediction is kept; that branch’s block gives the next draft.",
      task: "Choose the guess marked ≠, then compare with autoregressive.",
      question: "The second drafted token differs, the third equals its prediction. Is the third kept?",
      options: ["Yes, it is the same", "No", "Only if it is sure"],
      reveal: "No. Its branch has read the second drafted token, which is not kept, so what it predicts belongs to another text. Each kept token is what the model predicts after kept tokens only. So the text is what one token per pass (τ = 1) gives.",
      notes: "The first pass has no draft, so it keeps one guess. Nothing is lost, but the price is rows: every branch has a block of its own.",
    },
    speed: {
      title: "Tokens per pass is not speed",
      text: "A pass with more rows takes longer; how much longer depends on the machine. The slider sets the cost of one more row. The bars show how much faster than one token per pass each way would be, with the rows of the recorded runs.",
      task: "Raise the cost until one of them is no faster.",
      question: ({ rate }) => `This run keeps ${rate.toFixed(1)} tokens per pass. Is it ${rate.toFixed(1)} times as fast?`,
      options: ["Yes, always", "Only where rows are free", "It is even faster"],
      reveal: "Only where rows are free. On every other machine it gains less. The cost at which the gain is gone depends on how many rows the passes of this answer have.",
      notes: "Self-speculative passes have the most rows, so they lose first. The Race tab shows both numbers for a live run.",
    },
  },
};
