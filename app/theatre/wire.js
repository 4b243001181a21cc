/* From a component's value to messages in order, each once. */
(function (S) {
  "use strict";

  const STOP_MILLISECONDS = 20000;

  class Wire {
    /**
     * @param {{props: object, watch: Function, server: object, send: Function}} gradio
     * @param {(message: object) => void} onmessage
     */
    constructor(gradio, onmessage) {
      this.gradio = gradio;
      this.onmessage = onmessage;
      this.run = null;
      gradio.watch("value", () => this._accept(gradio.props.value));
    }

    /** Ask for a run; messages of earlier ones are ignored from now on. */
    begin(request) {
      this.stop();
      this.run = S.newId();
      this.next = 0;
      this.early = new Map();
      this.open = true;
      this.gradio.send({ run: this.run, ...request });
    }

    /** The server answers within a pass, if it can be reached. */
    stop() {
      const run = this.run;
      if (!run || !this.open) return;
      this.gradio.server.stop(run);
      setTimeout(() => {
        if (run !== this.run || !this.open) return;
        this.open = false;
        this.onmessage({ kind: "failed", message: "The connection to the server was lost. Send it again." });
      }, STOP_MILLISECONDS);
    }

    /** Stop, and hear no more of the run: what it still says is not for the record that is shown now. */
    leave() {
      this.stop();
      this.run = null;
    }

    _accept(value) {
      if (!value || value.run !== this.run || !value.messages) return;
      for (const [n, text] of Object.entries(value.messages)) if (Number(n) >= this.next) this.early.set(Number(n), text);
      this._deliver();
      if (this.early.size && !this.asking) this._fetchMissed();
    }

    _deliver() {
      while (this.early.has(this.next)) {
        const message = JSON.parse(this.early.get(this.next));
        this.early.delete(this.next++);
        if (message.kind === "failed" || (message.kind === "end" && message.last)) this.open = false;
        this.onmessage(message);
      }
    }

    /** The page slept while more messages came than a value holds. Without them the run ends here. */
    async _fetchMissed() {
      const run = this.run;
      const after = this.next;
      this.asking = true;
      const texts = await this.gradio.server.missed({ run, after }).catch(() => []);
      this.asking = false;
      if (run === this.run) {
        texts.forEach((text, i) => after + i >= this.next && this.early.set(after + i, text));
        this._deliver();
        if (this.next === after) {
          this.leave();
          this.onmessage({ kind: "failed", message: "This page missed some passes and cannot get them from the server any more. Send it again." });
        }
      }
      if (this.run && this.early.size) this._fetchMissed(); // another hole came meanwhile
    }
  }

  /** Tell how the model is doing: each second while it loads, once it is there or has failed for the last time. */
  S.followModel = async function (gradio, tell) {
    const status = await gradio.server.status(null).catch(() => ({ state: "loading" }));
    tell(status);
    if (status.state === "loading") setTimeout(() => S.followModel(gradio, tell), 1000);
  };

  S.Wire = Wire;
})(globalThis.SDLM);
