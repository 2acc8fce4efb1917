// What stands below the messages: a text field while the user writes, or the control mode.

import { ApiError, sendMessage } from "../api.js";
import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { tab } from "../memory.js";
import { Control } from "./control.js";
import { Icon } from "./icons.js";
import { DropArea, useUploads } from "./uploads.js";

export function Composer(props) {
  const { api, state, agent, sending, onSend, onToast, markdown, onMarkdown, stateLine } = props;
  const { mode, onMode: setMode } = props;
  const draft = useDraft(api);
  const { upload, uploading } = useUploads(api, onToast, (path) => {
    draft.change((text) => `${text} @"${path}"`);
    setMode("text");
  });
  const stop = async () => {
    try {
      await sendMessage(api, "raw", "\x1b");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      onToast("error", error.message);
    }
  };
  const text = mode === "text";
  return html`
    <footer class="composer">
      <div class="column">
        ${text
          ? html`<${TextField}
              draft=${draft}
              ready=${state === "stable" && !sending}
              running=${state === "running"}
              waiting=${state === "blocked" && waitsFor(agent)}
              onSend=${onSend}
              onStop=${stop}
              onFiles=${upload}
            />`
          : html`<${Control} api=${api} onToast=${onToast} onLeave=${() => setMode("text")} />`}
        <div class="tools">
          <${AttachButton} onFiles=${upload} />
          <button
            type="button"
            class="tool"
            aria-pressed=${!text}
            title="Send each key straight to the agent's terminal"
            onClick=${() => setMode(text ? "control" : "text")}
          >
            <${Icon} name="keyboard" /> Control
          </button>
          <button
            type="button"
            class="tool"
            aria-pressed=${markdown}
            title="Show the agent's messages as Markdown"
            onClick=${() => onMarkdown(!markdown)}
          >
            <${Icon} name="markdown" /> Markdown
          </button>
          <span class="notes">
            ${uploading > 0 && html`<span role="status">Uploading ${uploading}…</span>`} ${stateLine}
          </span>
        </div>
      </div>
      <${DropArea} onFiles=${upload} />
    </footer>
  `;
}

function waitsFor(agent) {
  return `${agent} takes a message once its question is answered; what you write stays here.`;
}

function TextField({ draft, ready, running, waiting, onSend, onStop, onFiles }) {
  const field = useRef(null);
  const canSend = ready && draft.text.trim() !== "";

  useLayoutEffect(() => grow(field.current), [draft.text]);
  useLayoutEffect(() => focusUnlessTouch(field.current), []);

  const submit = async () => {
    if (!canSend) return;
    const text = draft.text;
    draft.change(() => "");
    const taken = await onSend(text.trim());
    // What the server refused comes back, before whatever was written meanwhile.
    if (!taken) draft.change((now) => (now ? `${text}\n${now}` : text));
    field.current?.focus();
  };
  const onKeyDown = (event) => {
    if (event.key === "Escape" && running) onStop();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  };
  const onPaste = (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    onFiles(files);
  };
  const hint = running || waiting ? "Your next message" : "Message";
  return html`
    <form
      class="field"
      onSubmit=${(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        ref=${field}
        rows="1"
        aria-label="Message to the agent"
        aria-describedby="composer-waits"
        placeholder=${hint}
        value=${draft.text}
        onInput=${(event) => draft.change(() => event.target.value)}
        onKeyDown=${onKeyDown}
        onPaste=${onPaste}
      ></textarea>
      ${running
        ? html`<${StopButton} key="stop" onStop=${onStop} />`
        : html`<${SendButton} key="send" disabled=${!canSend} />`}
    </form>
    <p class="waits" id="composer-waits">${waiting}</p>
  `;
}

function StopButton({ onStop }) {
  return html`
    <button type="button" class="round" title="Stop (Esc)" aria-label="Stop" onClick=${onStop}>
      <span class="square"></span>
    </button>
  `;
}

function SendButton({ disabled }) {
  // Stop stands in the same place: the second half of a double click on it is no wish to send.
  const onClick = (event) => event.detail > 1 && event.preventDefault();
  return html`
    <button
      type="submit"
      class="round"
      title="Send (Enter)"
      aria-label="Send"
      disabled=${disabled}
      onClick=${onClick}
    >
      <${Icon} name="send" />
    </button>
  `;
}

function AttachButton({ onFiles }) {
  const picker = useRef(null);
  const onChange = () => {
    onFiles([...picker.current.files]);
    picker.current.value = "";
  };
  return html`
    <input type="file" multiple hidden ref=${picker} aria-label="Files to attach" onChange=${onChange} />
    <button type="button" class="tool" title="Attach files" onClick=${() => picker.current.click()}>
      <${Icon} name="paperclip" /> Attach
    </button>
  `;
}

/** The text that is being written, kept over a reload. */
function useDraft(api) {
  const [text, setText] = useState(() => tab.read(`draft ${api}`) ?? "");
  useLayoutEffect(() => tab.write(`draft ${api}`, text), [text]); // before a reload can come
  return { text, change: setText };
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

/** On a touch screen focus would bring the keyboard up over half the page. */
function focusUnlessTouch(field) {
  if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
}
