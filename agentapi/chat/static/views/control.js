// The control mode: each key goes straight to the agent's terminal, in whatever state it is.

import { sendMessage } from "../api.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { KeyQueue, keystroke, typed } from "../keys.js";

const BUTTONS = [
  { key: "Escape" },
  { key: "Tab" },
  { key: "Tab", shiftKey: true },
  { key: "ArrowUp" },
  { key: "ArrowDown" },
  { key: "ArrowLeft" },
  { key: "ArrowRight" },
  { key: "Enter" },
  { key: "Backspace" },
  { key: "c", ctrlKey: true },
];
const NAMES = { "⌫": "Backspace", "⇧Tab": "Shift-Tab", "↑": "Up", "↓": "Down", "←": "Left", "→": "Right" };
const TRAIL = 16;

export function Control({ api, onToast, onLeave }) {
  const field = useRef(null);
  const { trail, press } = useKeys(api, onToast);
  // At once: the next key may be on its way already.
  useLayoutEffect(() => field.current.focus({ preventScroll: true }), []);

  const onKeyDown = (event) => {
    // No terminal knows this one, and Tab does not lead out of here.
    const leaves = event.ctrlKey && event.key === ".";
    const stroke = leaves ? null : keystroke(event);
    if (leaves || stroke) event.preventDefault();
    if (leaves) onLeave();
    if (stroke) press(stroke);
  };
  return html`
    <div class="control">
      <div class="field">
        <input
          ref=${field}
          class="keys"
          type="text"
          aria-label="Keys for the agent's terminal"
          aria-describedby="control-help"
          placeholder="Each key goes to the terminal"
          autocomplete="off"
          autocapitalize="off"
          autocorrect="off"
          spellcheck="false"
          enterkeyhint="enter"
          onKeyDown=${onKeyDown}
          onbeforeinput=${(event) => onBeforeInput(event, press)}
          oncompositionend=${(event) => onCompositionEnd(event, press)}
          onPaste=${(event) => onPaste(event, press)}
        />
        <ol class="trail" aria-hidden="true">
          ${trail.map(({ id, label }) => html`<li key=${id}>${label}</li>`)}
        </ol>
      </div>
      <div class="buttons" role="group" aria-label="Keys">
        ${BUTTONS.map((event) => html`<${KeyButton} stroke=${keystroke(event)} press=${press} />`)}
      </div>
      <p class="help" id="control-help">Ctrl-. goes back to text.</p>
    </div>
  `;
}

function KeyButton({ stroke, press }) {
  const { label } = stroke;
  return html`<button
    type="button"
    aria-label=${NAMES[label] ?? label}
    onMouseDown=${(event) => event.preventDefault()}
    onClick=${() => press(stroke)}
  >
    ${label}
  </button>`;
}

/** `press(stroke)` sends it in its turn; `trail` is what was pressed lately. */
function useKeys(api, onToast) {
  const [trail, setTrail] = useState([]);
  const count = useRef(0);
  const queue = useMemo(() => {
    const onError = (error, dropped) =>
      onToast("error", dropped ? `${error.message} (${dropped} more keys were not sent)` : error.message);
    return new KeyQueue((data) => sendMessage(api, "raw", data), onError);
  }, [api]);
  const press = ({ data, label }) => {
    queue.push(data);
    const id = count.current++;
    setTrail((now) => [...now, { id, label }].slice(-TRAIL));
  };
  return { trail, press };
}

// A phone's keyboard tells its keys as edits; the field itself stays empty.
const EDITS = { deleteContentBackward: "Backspace", insertLineBreak: "Enter", insertParagraph: "Enter" };

function onBeforeInput(event, press) {
  if (event.isComposing || event.inputType === "insertCompositionText") return;
  event.preventDefault();
  if (event.inputType === "insertText" && event.data) press(typed(event.data));
  else if (event.inputType in EDITS) press(keystroke({ key: EDITS[event.inputType] }));
}

function onCompositionEnd(event, press) {
  if (event.data) press(typed(event.data));
  event.target.value = "";
}

function onPaste(event, press) {
  event.preventDefault();
  const text = event.clipboardData.getData("text");
  if (text) press(typed(text));
}
