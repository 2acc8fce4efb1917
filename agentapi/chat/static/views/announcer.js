// What a screen reader is told: not every growth of a message, but who works and what was said.

import { html, useEffect, useRef, useState } from "../html.js";

const LONGEST = 600;

export function Announcer({ state, messages, agent, question }) {
  const [words, setWords] = useState("");
  const before = useRef(state);
  useEffect(() => {
    if (state === "blocked") setWords(`${agent} needs you: ${question?.title}`);
    else if (before.current === "running" && state === "stable") setWords(lastWords(messages, agent));
    else if (state === "running") setWords(`${agent} is working`);
    else if (state === "lost") setWords("Connection lost, trying again");
    before.current = state;
  }, [state, state === "blocked" && question?.id]);
  return html`<div class="unseen" role="status">${words}</div>`;
}

function lastWords(messages, agent) {
  const text = messages.findLast(({ role }) => role === "agent")?.text;
  if (!text) return `${agent} is ready`;
  return `${agent} is ready and said: ${text.length > LONGEST ? `…${text.slice(-LONGEST)}` : text}`;
}
