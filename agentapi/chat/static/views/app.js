// The page as a whole: header (not in the embed), messages, composer, toasts.

import { lastId, EMPTY } from "../conversation.js";
import { coalesced, html, useCallback, useEffect, useRef, useState } from "../html.js";
import { ApiError, sendMessage } from "../api.js";
import { follow } from "../feed.js";
import { browser } from "../memory.js";
import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { MessageList } from "./messages.js";
import { Toasts, useToasts } from "./toasts.js";

const NAMES = {
  aider: "Aider",
  amazonq: "Amazon Q",
  amp: "Amp",
  auggie: "Auggie",
  claude: "Claude Code",
  codex: "Codex",
  copilot: "Copilot",
  cursor: "Cursor",
  gemini: "Gemini",
  goose: "Goose",
  opencode: "OpenCode",
};

const STATES = {
  connecting: "Connecting…",
  lost: "Connection lost, trying again…",
  running: "Working…",
  stable: "Ready",
};

export function App({ api, embedded }) {
  const { toasts, addToast, dropToast, dropAll } = useToasts();
  const { conversation, link } = useFeed(api, addToast);
  const { pending, send } = useSend(api, conversation, addToast);
  const [markdown, setMarkdown] = useMarkdown();

  const state = link === "live" ? conversation.status : link;
  const agent = NAMES[conversation.agentType] ?? "Agent";
  useEffect(() => {
    document.title = state === "running" ? `● ${agent}` : agent;
  }, [agent, state]);

  return html`
    <div class="page ${embedded ? "embedded" : ""}">
      ${!embedded &&
      html`<header class="header">
        <h1>${agent}</h1>
        <${State} state=${state} />
      </header>`}
      <${MessageList}
        messages=${conversation.messages}
        pending=${pending}
        state=${state}
        markdown=${markdown}
        agent=${agent}
      />
      <${Composer}
        api=${api}
        state=${state}
        sending=${pending !== null}
        onSend=${send}
        onToast=${addToast}
        markdown=${markdown}
        onMarkdown=${setMarkdown}
        stateLine=${embedded && html`<${State} state=${state} />`}
      />
      <${Toasts} toasts=${toasts} onDrop=${dropToast} onDropAll=${dropAll} />
      <${Announcer} state=${state} messages=${conversation.messages} agent=${agent} />
    </div>
  `;
}

function State({ state }) {
  return html`<span class="state" data-state=${state}>${STATES[state] ?? state}</span>`;
}

/** The conversation and the state of the connection, drawn at most once a picture. */
function useFeed(api, addToast) {
  const [shown, setShown] = useState({ conversation: EMPTY, link: "connecting" });
  useEffect(() => {
    let latest = shown;
    const draw = coalesced(() => setShown(latest));
    return follow(api, {
      onChange: (conversation, link) => {
        latest = { conversation, link };
        draw();
      },
      onNotice: ({ level, message }) => addToast(level, message),
    });
  }, [api]);
  return shown;
}

/**
 * `send(text)` resolves to whether the server took it. Meanwhile, and until the server tells of
 * the message itself, `pending` is the text: it shows as a message at once.
 */
function useSend(api, conversation, addToast) {
  const [pending, setPending] = useState(null);
  const current = useRef(conversation);
  current.current = conversation;

  const send = useCallback(
    async (text) => {
      const { generation } = current.current;
      setPending({ text, after: lastId(current.current), generation, taken: false });
      try {
        await sendMessage(api, "user", text);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        setPending(null);
        addToast("error", error.message);
        return false;
      }
      setPending((now) => now && { ...now, taken: true });
      return true;
    },
    [api],
  );

  const arrived = pending?.taken && hasArrived(pending, conversation);
  useEffect(() => {
    if (arrived) setPending(null);
  }, [arrived]);
  const shows = pending && !hasArrived(pending, conversation);
  return { pending: shows ? pending.text : null, send };
}

/** A new user message came, or a whole new snapshot, which has it (and perhaps other ids). */
function hasArrived({ after, generation, taken }, conversation) {
  if (taken && conversation.generation !== generation) return true;
  return conversation.messages.some(({ id, role }) => id > after && role === "user");
}

function useMarkdown() {
  const [markdown, setMarkdown] = useState(browser.read("markdown") === "yes");
  const keep = (value) => {
    browser.write("markdown", value ? "yes" : "");
    setMarkdown(value);
  };
  return [markdown, keep];
}
