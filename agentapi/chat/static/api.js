// The calls that the page makes besides reading the events. All throw ApiError.

export class ApiError extends Error {
  /** @param {number} status  the HTTP status; 0 when there was no answer */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const PATIENCE_MS = 5000;

/** Send what the user wrote (`type` "user") or a keystroke (`type` "raw"). */
export function sendMessage(api, type, content) {
  return request(`${api}/message`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ content, type }),
  });
}

/** Upload one File; resolves to its path on the agent's machine. */
export async function uploadFile(api, file) {
  const form = new FormData();
  form.append("file", file);
  const { filePath } = await request(`${api}/upload`, { method: "POST", body: form });
  if (!filePath) throw new ApiError("The server took the file but did not say where it is.");
  return filePath;
}

/** `{open}`: the question that the agent waits with, or null. */
export function getApproval(api) {
  return request(`${api}/approval`, { signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** Answer it. */
export function answerApproval(api, id, choice) {
  return request(`${api}/approval`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ id, choice }),
  });
}

async function request(url, options) {
  let response;
  let body;
  try {
    response = await fetch(url, options);
    body = await response.text();
  } catch {
    throw new ApiError("The agent server does not answer.");
  }
  const json = parseJson(body);
  if (!response.ok) throw new ApiError(describeProblem(response, json, body), response.status);
  return json ?? {};
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** "detail: first error, second error" of an application/problem+json, else the best there is. */
function describeProblem(response, problem, body) {
  const errors = (problem?.errors ?? []).map((error) => error?.message).filter(Boolean);
  const parts = [problem?.detail || problem?.title, errors.join(", ")].filter(Boolean);
  if (parts.length) return parts.join(": ");
  const plain = response.headers.get("Content-Type")?.startsWith("text/plain");
  const reason = (plain && body.trim().slice(0, 300)) || response.statusText;
  return `The server answered ${response.status}${reason ? `: ${reason}` : ""}`;
}
