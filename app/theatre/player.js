/* The exported file: a stage with one trace and no model. */
(function (S) {
  "use strict";

  S.mountPlayer = function (element) {
    if (matchMedia("(prefers-color-scheme: dark)").matches) document.body.classList.add("dark");
    const stage = new S.Stage(element, null);
    element.stage = stage;
    try {
      const record = S.Record.from(JSON.parse(document.getElementById("trace").textContent), "replay");
      stage.show(record);
      stage._setStatus("replay", record.head);
      S.setText(stage.model, S.words.shortName(record.head.model));
    } catch {
      stage._setStatus("failed", { message: "This file holds no trace." });
    }
    return stage;
  };
})(globalThis.SDLM);
