// Preact and htm as one import, and the two small things that Preact leaves to its compat layer.

import { Component, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { Fragment, render } from "./vendor/preact.js";
export {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/preact-hooks.js";

export const html = htm.bind(h);

/** Wrap `View` so that it draws again only when one of its properties is another value. */
export function memo(View) {
  return class extends Component {
    shouldComponentUpdate(next) {
      const names = Object.keys(next);
      return (
        names.length !== Object.keys(this.props).length ||
        names.some((name) => next[name] !== this.props[name])
      );
    }

    render(props) {
      return h(View, props);
    }
  };
}

/** Call `draw` once, soon, however often the returned function is called: with the next picture
 * while the page shows, by a timer while it does not (a hidden page gets no pictures). */
export function coalesced(draw) {
  let waiting = false;
  const run = () => {
    waiting = false;
    draw();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    if (document.hidden) setTimeout(run, 100);
    else requestAnimationFrame(run);
  };
}
