// The page as a whole: header (not in the embed), messages, question, composer, toasts.

import { lastId, EMPTY } from "../conversation.js";
import { coalesced, html, useCallback, useEffect, useRef, useState } from "../html.js";
import { ApiError, answerApproval, sendMessage } from "../api.js";
import { follow } from "../feed.js";
import { browser } from "../memory.js";
import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { MessageList } from "./messages.js";
import { QuestionPlace } from "./question.js";
import { Toasts, useToasts } from "./toasts.js";

/** What people call the agents, by their types, as the server says. */
const NAMES = JSON.parse(document.querySelector("meta[name=agents]")?.content || "{}");

const STATES = {
  connecting: "Connecting…",
  lost: "Connection lost, trying again…",
  running: "Working…",
  stable: "Ready",
  blocked: "Needs you",
};

const TITLE_MARKS = { running: "● ", blocked: "(!) " };

const NOTHING = {
  conversation: EMPTY,
  link: "connecting",
  question: { dialog: null, asking: false },
};

export function App({ api, embedded }) {
  const { toasts, addToast, dropToast, dropAll } = useToasts();
  const { conversation, link, question, look } = useFeed(api, addToast);
  const answer = useAnswer(api, look, addToast);
  const { pending, send } = useSend(api, conversation, addToast);
  const [markdown, setMarkdown] = useMarkdown();
  const [mode, setMode] = useState("text");

  const state = usePageState(link, conversation.status, question);
  const agent = NAMES[conversation.agentType] ?? "Agent";
  useEffect(() => {
    document.title = (TITLE_MARKS[state] ?? "") + agent;
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
      <${QuestionPlace}
        dialog=${state === "blocked" ? question.dialog : null}
        agent=${agent}
        onAnswer=${answer}
        onControl=${() => setMode("control")}
      />
      <${Composer}
        api=${api}
        state=${state}
        agent=${agent}
        mode=${mode}
        onMode=${setMode}
        sending=${pending !== null}
        onSend=${send}
        onToast=${addToast}
        markdown=${markdown}
        onMarkdown=${setMarkdown}
        stateLine=${embedded && html`<${State} state=${state} />`}
      />
      <${Toasts} toasts=${toasts} onDrop=${dropToast} onDropAll=${dropAll} />
      <${Announcer}
        state=${state}
        messages=${conversation.messages}
        agent=${agent}
        question=${question.dialog}
      />
    </div>
  `;
}

function State({ state }) {
  return html`<span class="state" data-state=${state}>${STATES[state] ?? state}</span>`;
}

/** The agent's status, or that of the connection. Until it is known whether a stable agent asks
 * something, what was before shows: it would be "Ready" for a moment. */
function usePageState(link, status, { dialog, asking }) {
  const before = useRef("connecting");
  let state = link;
  if (link === "live") state = status === "stable" && dialog ? "blocked" : status;
  if (state === "stable" && asking) state = before.current;
  before.current = state;
  return state;
}

/** The conversation, the open question and the state of the connection, drawn at most once a
 * picture; `look` asks for the question anew and resolves to it. */
function useFeed(api, addToast) {
  const [shown, setShown] = useState(NOTHING);
  const feed = useRef(null);
  useEffect(() => {
    let latest = NOTHING;
    const draw = coalesced(() => setShown(latest));
    const change = (more) => {
      latest = { ...latest, ...more };
      draw();
    };
    feed.current = follow(api, {
      onChange: (conversation, link) => change({ conversation, link }),
      onNotice: ({ level, message }) => addToast(level, message),
      onQuestion: (question) => change({ question }),
    });
    return feed.current.end;
  }, [api]);
  const look = useCallback(async () => {
    await feed.current.question.look();
    return feed.current.question.dialog;
  }, []);
  return { ...shown, look };
}

/** Answers a question; resolves to what went wrong, for the card, if that is still there. */
function useAnswer(api, look, addToast) {
  return useCallback(
    async (dialog, choice) => {
      let problem = "";
      try {
        await answerApproval(api, dialog.id, choice.id);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        problem = error.message;
      }
      const open = await look();
      if (!problem || open?.id === dialog.id) return problem;
      addToast("error", problem);
      return "";
    },
    [api],
  );
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
