/* What the page mounts. */

import { language, languageMenu, speak } from "./language.js";
import { mountLearn, openLinked } from "./learn.js";
import { markdown } from "./markdown.js";
import { Models } from "./models.js";
import { mountRace } from "./race.js";
import { offerRun } from "./runs.js";
import { mountStage } from "./stage.js";

/** @import { Gradio } from "./wire.js" */

if (language() === "zh-Hans") speak(await import("./words-zh.js"));

/** @type {Models|null} shared by the tabs */
let models = null;

/** @param {Gradio} gradio */
const modelsOf = ({ server }) => (models = models || new Models(server));

/** The stage, with the menu of languages; its finished runs are for the lesson too. @param {HTMLElement} element @param {Gradio} gradio */
function mountWatch(element, gradio) {
  const stage = mountStage(element, gradio, modelsOf(gradio));
  stage.node.lang = language();
  stage.conversation.markdown = markdown; // not in a replay file, which has one answer
  const tools = stage.node.querySelector(".tools");
  if (tools) tools.prepend(languageMenu());
  stage.store.subscribe(({ live }) => offerRun(live));
  offerRun(stage.state.live);
  openLinked();
  return stage;
}

/** @param {HTMLElement} element @param {Gradio} gradio */
const mountOwnRace = (element, gradio) => mountRace(element, gradio, modelsOf(gradio));

export const mount = { stage: mountWatch, race: mountOwnRace, learn: mountLearn };
