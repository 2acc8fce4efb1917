// The list of messages. A growing conversation of any length stays cheap: a message that did not
// change is not drawn, of one that grew only its last lines are, and the browser skips the layout
// of what is out of sight (`content-visibility` in style.css).

import { html, memo, useLayoutEffect, useRef, useState } from "../html.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";

const LINES_A_BLOCK = 60;
const NEAR_BOTTOM_PX = 40;

export function MessageList({ messages, pending, state, markdown, agent }) {
  const { box, content, pinned, toBottom } = usePinnedToBottom();
  const shown = messages.filter(({ text }) => text);
  useLayoutEffect(() => {
    if (pending !== null) toBottom();
  }, [pending !== null]);
  return html`
    <main class="messages" ref=${box} tabindex="0" aria-label="Conversation">
      <div class="column" ref=${content} role="log" aria-live="off">
        ${shown.length === 0 && pending === null && html`<${Empty} state=${state} agent=${agent} />`}
        ${shown.map(
          (message) =>
            html`<${Message} key=${message.id} message=${message} markdown=${markdown} />`,
        )}
        ${pending !== null && html`<${UserText} text=${pending} pending=${true} />`}
        ${state === "running" && html`<${Working} agent=${agent} />`}
      </div>
    </main>
    <div class="jump-place">
      ${!pinned &&
      html`<button type="button" class="jump" onClick=${toBottom}>
        <${Icon} name="down" /> Latest
      </button>`}
    </div>
  `;
}

const Message = memo(function Message({ message: { id, role, text, time }, markdown }) {
  if (role === "user") return html`<${UserText} text=${text} time=${time} />`;
  // An agent's message 0 is its start-up screen, never Markdown.
  const asMarkdown = markdown && id !== 0;
  return html`
    <article class="message agent" data-role="agent">
      <h2 class="unseen">Agent</h2>
      ${asMarkdown ? html`<${Markdown} text=${text} />` : html`<${TerminalText} text=${text} />`}
      <${Time} time=${time} />
    </article>
  `;
});

function UserText({ text, time, pending = false }) {
  return html`
    <article class="message user ${pending ? "pending" : ""}" data-role="user" aria-busy=${pending}>
      <h2 class="unseen">You</h2>
      <div class="bubble">${text}</div>
      ${time && html`<${Time} time=${time} />`}
    </article>
  `;
}

function Time({ time }) {
  const date = new Date(time);
  if (Number.isNaN(date.valueOf())) return null;
  const short = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return html`<time datetime=${time} title=${date.toLocaleString()}>${short}</time>`;
}

/** Text as the terminal showed it, in blocks of lines: of a text that grows, the blocks before
 * the last stay as they are. */
function TerminalText({ text }) {
  const lines = text.split("\n");
  const blocks = [];
  for (let at = 0; at < lines.length; at += LINES_A_BLOCK) {
    const part = lines.slice(at, at + LINES_A_BLOCK);
    blocks.push(html`<${Block} key=${at} text=${part.join("\n")} count=${part.length} />`);
  }
  return html`<pre class="terminal">${blocks}</pre>`;
}

const Block = memo(function Block({ text, count }) {
  // The estimate of its height until it was on screen once: exact where no line wraps.
  return html`<div class="block" style=${{ "--lines": count }}>${linked(text)}</div>`;
});

// No brackets of its own: in terminal text an address often stands between some.
const ADDRESS = /https?:\/\/[^\s<>"'`|│(){}[\]]+[^\s<>"'`|│(){}[\].,:;!?]/g;

/** The text with its web addresses as links. */
function linked(text) {
  if (!text.includes("://")) return text;
  const parts = [];
  let at = 0;
  for (const { 0: address, index } of text.matchAll(ADDRESS)) {
    parts.push(text.slice(at, index), outward(address));
    at = index + address.length;
  }
  return [...parts, text.slice(at)];
}

function outward(address) {
  return html`<a href=${address} target="_blank" rel="noopener noreferrer">${address}</a>`;
}

function Working({ agent }) {
  return html`<p class="working" aria-hidden="true">
    <i></i><i></i><i></i><span>${agent} is working</span>
  </p>`;
}

function Empty({ state, agent }) {
  if (state !== "stable") return null;
  return html`<p class="empty">${agent} is ready. Say what it should do.</p>`;
}

/** Keeps the end of `content` in sight while the user has not scrolled up. */
function usePinnedToBottom() {
  const box = useRef(null);
  const content = useRef(null);
  const last = useRef({ top: 0, pinned: true });
  const [pinned, setPinned] = useState(true);

  const pin = (value) => {
    last.current.pinned = value;
    setPinned(value);
  };
  const toBottom = () => {
    pin(true);
    box.current.scrollTop = box.current.scrollHeight;
  };

  useLayoutEffect(() => {
    const element = box.current;
    const follow = () => {
      if (last.current.pinned) element.scrollTop = element.scrollHeight;
    };
    const onScroll = () => {
      const { scrollTop, scrollHeight, clientHeight } = element;
      const distance = scrollHeight - clientHeight - scrollTop;
      // Growth below moves the end away too: only a way up is the user's wish.
      if (distance < NEAR_BOTTOM_PX) pin(true);
      else if (scrollTop < last.current.top - 1) pin(false);
      last.current.top = scrollTop;
    };
    const sizes = new ResizeObserver(follow);
    sizes.observe(element);
    sizes.observe(content.current);
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, []);
  return { box, content, pinned, toBottom };
}
