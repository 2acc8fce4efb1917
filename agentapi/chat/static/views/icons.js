// Line icons on a 16 by 16 grid, in the colour of the text around them.

import { html } from "../html.js";

const PATHS = {
  cross: "m4 4 8 8m0-8-8 8",
  down: "M8 3v10m-4-4 4 4 4-4",
  keyboard: "M1.5 4h13v8h-13zM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 9.5h6",
  markdown: "M1.5 4h13v8h-13zM4 10V6l2 2.2L8 6v4m3.2-4v4m-1.6-1.6L11.2 10l1.6-1.6",
  paperclip: "m13.5 7.5-5.6 5.6a3.2 3.2 0 0 1-4.5-4.5l5.8-5.8a2.1 2.1 0 0 1 3 3L6.5 11.5a1.05 1.05 0 0 1-1.5-1.5l5-5",
  send: "M8 13V3M4 7l4-4 4 4",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
