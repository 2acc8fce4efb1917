// The conversation as the events tell it: a value, and what each event makes of it. No I/O.
//
// On every connection the server first tells everything again: one message_update a message, then
// one status_change. Until that status_change has come the snapshot is incomplete, so it is kept
// apart and what was there before stays; then it takes its place.

/**
 * @typedef {{id: number, role: string, text: string, time: string}} Message
 * @typedef {{messages: Message[], status: string, agentType: string, snapshot: Message[]|null,
 *   generation: number}} Conversation  `generation` counts the snapshots that were taken over
 */

/** @type {Conversation} */
export const EMPTY = { messages: [], status: "", agentType: "", snapshot: [], generation: 0 };

/** A new connection: what comes next is a snapshot. */
export function reconnected(conversation) {
  return { ...conversation, snapshot: [] };
}

export function messageUpdated(conversation, { id, role, message, time }) {
  const update = { id, role, text: tidy(message), time };
  const { messages, snapshot } = conversation;
  if (snapshot) return { ...conversation, snapshot: placed(snapshot, update) };
  return { ...conversation, messages: placed(messages, update) };
}

export function statusChanged(conversation, { status, agent_type: agentType = "" }) {
  const { messages, snapshot, generation } = conversation;
  if (!snapshot) return { ...conversation, status, agentType };
  return {
    status,
    agentType,
    messages: reusing(messages, snapshot),
    snapshot: null,
    generation: generation + 1,
  };
}

/** The greatest id so far, -1 when there is none. */
export function lastId(conversation) {
  return conversation.messages.at(-1)?.id ?? -1;
}

/** `messages` with `update` in the place that its id gives it. Almost always that is the end. */
function placed(messages, update) {
  let index = messages.length;
  while (index > 0 && messages[index - 1].id >= update.id) index -= 1;
  const known = messages[index]?.id === update.id;
  return [...messages.slice(0, index), update, ...messages.slice(index + (known ? 1 : 0))];
}

/** `snapshot` with the old message wherever nothing changed, so that it is not drawn again. */
function reusing(messages, snapshot) {
  const known = new Map(messages.map((message) => [message.id, message]));
  const same = (a, b) => a?.text === b.text && a.role === b.role && a.time === b.time;
  return snapshot.map((message) => {
    const old = known.get(message.id);
    return same(old, message) ? old : message;
  });
}

/** Without the blanks that a terminal pads its lines with, and without blank lines at both ends. */
function tidy(text) {
  const lines = String(text ?? "").split("\n").map((line) => line.trimEnd());
  const first = lines.findIndex(Boolean);
  const last = lines.findLastIndex(Boolean);
  return lines.slice(Math.max(first, 0), last + 1).join("\n");
}
