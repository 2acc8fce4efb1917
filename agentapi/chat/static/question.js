// The question that the agent waits with, as GET /approval has it. It is asked for when an event
// says that it may be another one, so nothing polls: while it is open, the agent's message ends with
// it, so that each of its changes is a message_update, or the status changes too.

import { ApiError, getApproval } from "./api.js";

export class OpenQuestion {
  #value = { dialog: null, asking: false };
  #wanted = false;
  #stale = false;
  #asking = null;
  #absent = false;

  /**
   * @param {string} api
   * @param {(value: {dialog: object|null, asking: boolean}) => void} onChange  `asking`: the answer
   *   is on its way
   */
  constructor(api, onChange) {
    this.api = api;
    this.onChange = onChange;
  }

  get dialog() {
    return this.#value.dialog;
  }

  /** A new connection: perhaps to another server, which has what the last one had not. */
  connected() {
    this.#absent = false;
  }

  /** There may be a question. Resolves when it is known. */
  async look() {
    if (this.#absent) return;
    this.#wanted = this.#stale = true;
    this.#asking ??= this.#ask().finally(() => (this.#asking = null));
    await this.#asking;
  }

  /** There is none: the agent works. */
  gone() {
    this.#wanted = false;
    this.#tell({ dialog: null, asking: false });
  }

  async #ask() {
    this.#tell({ dialog: this.dialog, asking: true });
    let found = this.dialog;
    while (this.#stale) {
      this.#stale = false;
      try {
        found = (await getApproval(this.api)).open ?? null;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.#absent = error.status === 404; // coder/agentapi
      }
    }
    this.#tell({ dialog: this.#wanted ? found : null, asking: false });
  }

  #tell(value) {
    this.#value = value;
    this.onChange(value);
  }
}
