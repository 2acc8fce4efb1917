// What the browser keeps for the page. A frame on a foreign page may be refused any storage; then
// it is kept for as long as the page lives.

/** @param {() => Storage} open `() => localStorage` or `() => sessionStorage` */
function memory(open, prefix) {
  const fallback = new Map();
  return {
    read(name) {
      try {
        return open().getItem(prefix + name);
      } catch {
        return fallback.get(name) ?? null;
      }
    },
    write(name, value) {
      try {
        if (value) open().setItem(prefix + name, value);
        else open().removeItem(prefix + name);
      } catch {
        fallback.set(name, value);
      }
    },
  };
}

/** For this tab: drafts. */
export const tab = memory(() => sessionStorage, "agentapi-chat:");
/** For this browser: preferences. */
export const browser = memory(() => localStorage, "agentapi-chat:");
