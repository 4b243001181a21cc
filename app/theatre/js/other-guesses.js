/* One click decodes the shown answer again with the other kind of guesses, where the model can make both. */

import { button, setText } from "./dom.js";
import { canRedo } from "./state.js";
import { otherGuesses as words } from "./words.js";

/** @import { State } from "./state.js" */

export class OtherGuesses {
  /** @param {(guesses: string) => void} decode */
  constructor(decode) {
    this.other = "";
    this.node = button("", "", () => decode(this.other), { class: "other-guesses", hidden: true });
  }

  /** @param {State} state */
  render(state) {
    const { record, model, request } = state;
    const own = request && model && (!model.models || model.model === request.settings.model);
    this.node.hidden = !(record && own && model.sampler && canRedo(state) && record.blockSize > 1);
    if (!record || this.node.hidden) return;
    this.other = record.head.guesses === "coherent" ? "independent" : "coherent";
    setText(this.node, words.decode[this.other]);
    this.node.title = words.hint[this.other];
  }
}
