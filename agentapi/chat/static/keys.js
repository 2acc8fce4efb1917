// The control mode's keyboard: what a terminal would send for a key, and in which order.

const LETTER_KEYS = {
  ArrowUp: ["A", "↑"],
  ArrowDown: ["B", "↓"],
  ArrowRight: ["C", "→"],
  ArrowLeft: ["D", "←"],
  Home: ["H", "Home"],
  End: ["F", "End"],
};

const PLAIN_KEYS = {
  Enter: ["\r", "Enter"],
  Backspace: ["\b", "⌫"],
  Tab: ["\t", "Tab"],
  Escape: ["\x1b", "Esc"],
  Delete: ["\x1b[3~", "Del"],
  Insert: ["\x1b[2~", "Ins"],
  PageUp: ["\x1b[5~", "PgUp"],
  PageDown: ["\x1b[6~", "PgDn"],
};

/**
 * The keystroke of a keydown event, null for what is the browser's or an input method's.
 * @returns {{data: string, label: string} | null}
 */
export function keystroke(event) {
  const { key, metaKey, isComposing } = event;
  if (metaKey || isComposing || key === "Dead" || key === "Process") return null;
  if (key in LETTER_KEYS) return letterKey(event);
  if (key === "Tab" && event.shiftKey) return { data: "\x1b[Z", label: "⇧Tab" };
  if (key in PLAIN_KEYS) return withAlt(event, ...PLAIN_KEYS[key]);
  if ([...key].length !== 1) return null;
  if (event.getModifierState?.("AltGraph")) return { data: key, label: key };
  if (event.ctrlKey) return controlKey(event);
  // On a Mac, Option composes characters of its own: those go out as they are.
  return key <= "~" ? withAlt(event, key, label(key)) : { data: key, label: key };
}

function letterKey({ key, shiftKey, altKey, ctrlKey }) {
  const [letter, name] = LETTER_KEYS[key];
  const modifier = 1 + (shiftKey ? 1 : 0) + (altKey ? 2 : 0) + (ctrlKey ? 4 : 0);
  const data = modifier === 1 ? `\x1b[${letter}` : `\x1b[1;${modifier}${letter}`;
  const marks = `${ctrlKey ? "Ctrl-" : ""}${altKey ? "Alt-" : ""}${shiftKey ? "⇧" : ""}`;
  return { data, label: marks + name };
}

function withAlt({ altKey }, data, name) {
  return altKey ? { data: `\x1b${data}`, label: `Alt-${name}` } : { data, label: name };
}

/** Ctrl-A to Ctrl-Z, Ctrl-@ (and Ctrl-Space), Ctrl-[ \ ] ^ _; with Shift it is the browser's. */
function controlKey(event) {
  const letter = event.key === " " ? "@" : event.key.toUpperCase();
  const letterWithShift = event.shiftKey && /[A-Z]/.test(letter);
  if (letterWithShift || !/^[@-_]$/.test(letter)) return null;
  return withAlt(event, String.fromCharCode(letter.charCodeAt(0) & 0x1f), `Ctrl-${letter}`);
}

function label(key) {
  return key === " " ? "Space" : key;
}

/** The keystroke for text that came without a keydown: an input method, a paste. */
export function typed(text) {
  const data = text.replace(/\r\n?|\n/g, "\r");
  return { data, label: data.length > 12 ? `${data.length} characters` : label(data) };
}

/** Sends in order, one request at a time; what waits behind a failed one is dropped with it. */
export class KeyQueue {
  #waiting = [];
  #sending = false;

  /**
   * @param {(data: string) => Promise<unknown>} send
   * @param {(error: Error, dropped: number) => void} onError
   */
  constructor(send, onError) {
    this.send = send;
    this.onError = onError;
  }

  async push(data) {
    this.#waiting.push(data);
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#waiting.length) await this.send(this.#waiting.shift());
    } catch (error) {
      this.onError(error, this.#waiting.splice(0).length);
    } finally {
      this.#sending = false;
    }
  }
}
