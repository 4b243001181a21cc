/* Written by `python -m tools.browser_data` from sdlm_core and app/limits.py. Change it there. */

/** A token the model might have put there. @typedef {[token_id: number, text: string, probability: number]} Alternative */
/** What a coherent guess's row alone says of it. @typedef {[probability: number, alternatives: Alternative[]]} Alone */
/** A token of the answer that was not decoded. @typedef {[token_id: number, text: string]} GivenToken */
/** @typedef {{token_id: number, text: string, confidence: number, probability: number, entropy: number, alternatives: Alternative[], alone?: Alone}} Candidate */
/** @typedef {{index: number, start: number, candidates: Candidate[], accepted: number, rows: number, rows_reused: number, rows_written: number, seconds: number, draft: Candidate[], width: number, branches: number[]}} Pass */
/** @typedef {{algorithm: string, block_size: number|"auto"|null, threshold: number, temperature: number, top_k: number, top_p: number, max_new_tokens: number, use_cache: boolean, seed: number, guesses: string|null}} Config */
/** @typedef {{format: "sdlm-trace", version: 3, model: string, prompt: string, prompt_tokens: number, config: Config, block_size: number, passes: Pass[], token_ids: number[], text: string, finish_reason: "eos"|"length"|"cancelled", created: string, device: string, versions: {[key: string]: string}, guesses: "coherent"|"independent", given: GivenToken[]}} Trace */

export const ALGORITHMS = ["prob_conf", "entropy_conf", "self_speculative", "autoregressive"];
export const GUESSES = ["coherent", "independent"];
export const BY_CONFIDENCE = ["prob_conf", "entropy_conf"];
export const RACE = ["autoregressive", "prob_conf", "self_speculative"];
export const DEFAULTS = {"algorithm": "prob_conf", "block_size": "auto", "threshold": 0.9, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 200, "use_cache": true, "seed": 0, "guesses": null};
export const LIMITS = {"block_size": [1, 16], "threshold": [0, 1], "temperature": [0, 2.0], "top_p": [0.05, 1], "top_k": [0, 100], "max_new_tokens": [8, 1024]};
export const MAX_PROMPT_CHARACTERS = 4000;
export const MAX_FORK_CHARACTERS = 200;
export const MAX_FORKS = 2000;
export const MAX_SYSTEM_CHARACTERS = 2000;
export const MAX_TRACE_CHARACTERS = 16000000;
export const MAX_CANDIDATES = 64;
