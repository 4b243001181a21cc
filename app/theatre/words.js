/* What the stage says: a badge and a sentence for each state, and what a row is for each algorithm. */
(function (S) {
  "use strict";

  /** Badge and sentence of each state. */
  const STATES = {
    empty: () => ["Ready", "Ask something, and each forward pass of the answer appears here."],
    example: ({ model }) => ["Recording", `A recorded run of ${shortName(model)}. Ask something to decode live.`],
    file: ({ model }) => ["Loaded trace", `A run of ${shortName(model)} from a file.`],
    replay: ({ model, created }) => ["Recording", `A run of ${shortName(model)}${created ? ", " + created.slice(0, 10) : ""}.`],
    waiting: ({ position, model }) =>
      model === "loading"
        ? ["Waiting", "The model is still loading; decoding starts as soon as it is there."]
        : position > 0
          ? ["Waiting", `Waiting for the model. Your place in the line: ${position}.`]
          : ["Starting", "Reading the prompt …"],
    running: () => ["Decoding", "Each pass appears as the model makes it. Space stops time, not the model."],
    stopped: () => ["Stopped", "Stopped within a pass. What was decoded is kept."],
    done: ({ reason, judged }) => ["Done", `The answer ${reason === "length" ? "reached its length limit" : "is complete"}. Step back through it${judged ? ", or move τ" : ""}.`],
    failed: ({ message }) => ["Not decoded", String(message || "Something went wrong.")],
  };

  /** What another τ made of the same prompt; `parts` is where the answers part, or −1. */
  function comparison(before, now, parts) {
    const line = (record) => `τ = ${S.short(record.head.config.threshold)}: ${S.plural(record.passes.length, "pass")}, ${record.tokensPerPass.toFixed(2)} tokens a pass, ${S.seconds(record.seconds)}`;
    const cut = [before, now].some((record) => record.tail.finish_reason === "cancelled"); // then one may be a prefix of the other
    const agree = parts < 0 ? `The answers agree${cut ? " as far as they go" : ""}.` : `The answers part at token ${parts + 1}.`;
    return `Before, ${line(before)}. Now, ${line(now)}. ${agree}`;
  }

  function explanation(record) {
    const algorithm = record.head.config.algorithm;
    if (algorithm === "autoregressive" || record.blockSize === 1) return "Each row is one forward pass. It guesses one token and keeps it.";
    const d = record.blockSize;
    if (algorithm === "self_speculative") return `Each row is one forward pass. It checks those guesses of the row before that stand a chance, keeps the ones it would have made itself (✓), and guesses again.`;
    return `Each row is one forward pass with D = ${d} guesses. The framed prefix is sure enough and kept; the rest is thrown away.`;
  }

  /** The visitor's question out of a chat prompt; the whole text where there is none. */
  function lastQuestion(prompt) {
    const found = [...prompt.matchAll(/<\|im_start\|>user\n([\s\S]*?)<\|im_end\|>/g)].pop();
    return found ? found[1] : prompt;
  }

  const shortName = (name) => S.shortened(String(name || "").split("/").pop() || "the model", 40);

  S.words = { states: STATES, comparison, explanation, lastQuestion, shortName };
})(globalThis.SDLM);
