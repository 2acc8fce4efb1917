// Follows GET /events for as long as the page lives, and with it the open question.

import { EMPTY, messageUpdated, reconnected, statusChanged } from "./conversation.js";
import { OpenQuestion } from "./question.js";

const RETRY_MS = 3000;

/**
 * @param {string} api
 * @param {{onChange: (conversation, link: "connecting"|"live"|"lost") => void,
 *   onNotice: (notice: {level: string, message: string, time: string}) => void,
 *   onQuestion: (question: {dialog: object|null, asking: boolean}) => void}} listener
 * @returns {{end: () => void, question: OpenQuestion}}
 */
export function follow(api, { onChange, onNotice, onQuestion }) {
  const question = new OpenQuestion(api, onQuestion);
  const toldNotices = new Set();
  let conversation = EMPTY;
  let link = "connecting";
  let source;
  let timer;

  const change = (next, nextLink = link) => {
    conversation = next;
    link = nextLink;
    onChange(conversation, link);
  };

  const handlers = {
    message_update: (data) => {
      change(messageUpdated(conversation, data));
      const ends = data.role === "agent" && !conversation.snapshot;
      if (ends && conversation.status === "stable") question.look();
    },
    status_change: (data) => {
      if (data.status === "stable") question.look();
      else question.gone();
      change(statusChanged(conversation, data), "live");
    },
    agent_error: (data) => {
      // Stored notices are told again on every connection.
      const key = `${data.time} ${data.level} ${data.message}`;
      if (toldNotices.has(key)) return;
      toldNotices.add(key);
      onNotice(data);
    },
  };

  const connect = () => {
    change(reconnected(conversation));
    question.connected();
    source = new EventSource(`${api}/events`);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
    source.addEventListener("error", () => {
      // Not the browser's own retry: it keeps quiet about where the new snapshot begins.
      source.close();
      question.gone();
      change(conversation, "lost");
      timer = setTimeout(connect, RETRY_MS);
    });
  };

  connect();
  const end = () => {
    source.close();
    clearTimeout(timer);
  };
  return { end, question };
}
