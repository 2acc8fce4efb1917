// The card with one button for each choice of the open question. The agent's message ends with the
// same question, and may be out of sight: what is decided stands here, too, as small as it can be.

import { html, useLayoutEffect, useRef, useState } from "../html.js";

/** `onAnswer(dialog, choice)` resolves to what went wrong, empty when nothing did. */
export function QuestionPlace({ dialog, agent, onAnswer, onControl }) {
  const place = useRef(null);
  useFocusKept(place, dialog?.id);
  return html`
    <div class="question" ref=${place} tabindex="-1">
      ${dialog &&
      html`<${Card} key=${dialog.id} ...${{ dialog, agent, onAnswer, onControl }} />`}
    </div>
  `;
}

function Card({ dialog, agent, onAnswer, onControl }) {
  const { title, reason, command, diff, choices } = dialog;
  const [taken, setTaken] = useState(null);
  const [error, setError] = useState("");
  const shown = useRef(true);
  useLayoutEffect(() => () => (shown.current = false), []);

  const choose = async (choice) => {
    if (taken !== null) return;
    setTaken(choice.id);
    setError("");
    const problem = await onAnswer(dialog, choice);
    if (!shown.current) return;
    setError(problem);
    setTaken(null);
  };
  return html`
    <section class="column" aria-labelledby="question-title">
      <div class="card">
        <p class="asks">${agent} asks</p>
        <div class="about">
          <h2 id="question-title">${title}</h2>
          ${reason && html`<p>${reason}</p>`}
          ${command && html`<${Asked} name="What it is about" text=${command} />`}
          ${diff &&
          html`<details>
            <summary>${diff.split("\n").length} lines of changes</summary>
            <${Asked} name="Changes" text=${diff} />
          </details>`}
        </div>
        <div class="choices" role="group" aria-labelledby="question-title">
          ${choices.map(
            (choice) => html`<${ChoiceButton}
              key=${choice.id}
              choice=${choice}
              taken=${taken}
              onChoose=${choose}
            />`,
          )}
          ${choices.length === 0 &&
          html`<button type="button" class="choice" onClick=${onControl}>
            Answer with keys
          </button>`}
        </div>
        <p class="answer-error" role="alert">${error}</p>
      </div>
    </section>
  `;
}

function Asked({ name, text }) {
  return html`<pre class="asked" tabindex="0" role="group" aria-label=${name}>${text}</pre>`;
}

function ChoiceButton({ choice, taken, onChoose }) {
  // The second half of a double click was meant for what stood here before.
  const onClick = (event) => event.detail < 2 && onChoose(choice);
  return html`
    <button
      type="button"
      class="choice"
      aria-disabled=${taken !== null}
      aria-busy=${taken === choice.id}
      onClick=${onClick}
    >
      ${choice.label}${choice.description && html`<small>${choice.description}</small>`}
    </button>
  `;
}

/** Who answered with the keyboard goes on in the next question, which Enter does not answer, or in
 * the text field; the focus is moved for nobody else. */
function useFocusKept(place, number) {
  const inside = useRef(false);
  useLayoutEffect(() => {
    const look = ({ target }) => {
      inside.current = place.current.contains(target);
    };
    document.addEventListener("focusin", look);
    return () => document.removeEventListener("focusin", look);
  }, []);
  useLayoutEffect(() => {
    if (!inside.current) return;
    if (number) place.current.focus({ preventScroll: true });
    else if (matchMedia("(pointer: fine)").matches) focusField();
  }, [number]);
}

function focusField() {
  document.querySelector(".composer .field :is(textarea, input)")?.focus({ preventScroll: true });
}
