// Errors and warnings. Errors stay until they are dismissed, warnings go by themselves.

import { html, useCallback, useRef, useState } from "../html.js";
import { Icon } from "./icons.js";

const WARNING_MS = 12_000;

/** `addToast(level, text)`; the same text again counts up instead of standing there twice. */
export function useToasts() {
  const [toasts, setToasts] = useState([]);
  const nextId = useRef(0);

  const dropToast = useCallback((id) => {
    setToasts((now) => now.filter((toast) => toast.id !== id));
  }, []);
  const addToast = useCallback((level, text) => {
    const id = nextId.current++;
    setToasts((now) => {
      const same = now.find((toast) => toast.text === text && toast.level === level);
      const others = now.filter((toast) => toast !== same);
      return [...others, { id, level, text, count: (same?.count ?? 0) + 1 }];
    });
    if (level === "warning") setTimeout(() => dropToast(id), WARNING_MS);
  }, []);
  const dropAll = useCallback(() => setToasts([]), []);
  return { toasts, addToast, dropToast, dropAll };
}

export function Toasts({ toasts, onDrop, onDropAll }) {
  return html`
    <section class="toasts" aria-label="Errors and warnings">
      ${toasts.length > 2 &&
      html`<button type="button" class="drop-all" onClick=${onDropAll}>
        Dismiss all ${toasts.length}
      </button>`}
      <div role="alert" class="toast-list">
        ${toasts.map((toast) => html`<${Toast} key=${toast.id} toast=${toast} onDrop=${onDrop} />`)}
      </div>
    </section>
  `;
}

function Toast({ toast: { id, level, text, count }, onDrop }) {
  return html`
    <div class="toast ${level === "warning" ? "warning" : "error"}">
      <p>${text}${count > 1 && html` <b>×${count}</b>`}</p>
      <button type="button" aria-label="Dismiss" onClick=${() => onDrop(id)}>
        <${Icon} name="cross" />
      </button>
    </div>
  `;
}
