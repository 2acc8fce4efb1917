// An agent's message as Markdown, for those who ask for it. The parser and the sanitizer are
// fetched only then; until they are there, and where they fail, the plain text shows.

import { html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";

/** What the first one waits for; empty again when it could not be fetched, for another try. */
let loading = null;
/** { marked, DOMPurify } once they are there. */
let parts = null;

function load() {
  loading ??= loadParts().catch(() => (loading = null));
  return loading;
}

async function loadParts() {
  const [{ Marked }, { default: DOMPurify }] = await Promise.all([
    import("../vendor/marked.js"),
    import("../vendor/dompurify.js"),
  ]);
  DOMPurify.addHook("afterSanitizeAttributes", (node) => {
    if (node.tagName !== "A") return;
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  });
  parts = { marked: new Marked({ gfm: true, breaks: true, renderer: RENDERER }), DOMPurify };
}

// HTML in an agent's text is something it writes about, to be read as it is. An image would be a
// request to wherever the text says, so it is a link.
const RENDERER = {
  html: ({ text }) => escaped(text),
  image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
};

function escaped(text) {
  const names = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => names[character]);
}

// What Markdown makes, and nothing else.
const ALLOWED_TAGS = (
  "a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i li ol p pre s strong table tbody td th " +
  "thead tr ul #text"
).split(" ");
const RULES = {
  ALLOWED_TAGS,
  ALLOWED_ATTR: ["href", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};

export function Markdown({ text }) {
  const place = useRef(null);
  const [loaded, setLoaded] = useState(parts !== null);
  const draw = useMemo(paced, []);
  useLayoutEffect(() => {
    if (loaded) draw(() => place.current?.replaceChildren(rendered(text)));
    else load().then(() => setLoaded(parts !== null));
  }, [text, loaded]);
  if (!loaded) return html`<pre class="terminal">${text}</pre>`;
  return html`<div class="markdown" ref=${place}></div>`;
}

function rendered(text) {
  return parts.DOMPurify.sanitize(parts.marked.parse(text), RULES);
}

/** A runner of draws that takes at most a quarter of the time: of draws that come faster only the
 * last is done. A long text that grows would keep the page busy with nothing else. */
function paced() {
  let next;
  let timer = 0;
  let freeAt = 0;
  const run = () => {
    timer = 0;
    const began = performance.now();
    next();
    const ended = performance.now();
    freeAt = ended + 3 * (ended - began);
  };
  return (draw) => {
    next = draw;
    const wait = freeAt - performance.now();
    if (timer) return;
    if (wait > 0) timer = setTimeout(run, wait);
    else run();
  };
}
