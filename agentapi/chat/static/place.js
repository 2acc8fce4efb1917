// Where this page is, and so where its API is. Nothing here assumes a path prefix.

/**
 * @param {URL} page the page's own address
 * @param {URL} chat the folder that these modules came from, `…/chat/`
 * @returns {{api: string, embedded: boolean}} `api` has no slash at its end
 * @throws {Error} when `?url=` is not an http(s) URL
 */
export function findPlace(page, chat) {
  const given = page.searchParams.get("url");
  const api = given ? parseApi(given, page) : new URL("..", chat).href;
  return {
    api: api.replace(/\/+$/, ""),
    embedded: page.pathname.replace(/\/+$/, "").endsWith("/embed"),
  };
}

function parseApi(given, page) {
  const url = URL.canParse(given, page) ? new URL(given, page) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new Error(`?url= must be an http or https address of an agent server, not “${given}”.`);
  }
  return url.origin + url.pathname;
}

/** Let the page talk to its API's origin only. The page's own policy cannot name it: it is the
 * same file everywhere. (A policy has no way to write a foreign IPv6 address.) */
export function restrictConnections(api) {
  const { origin } = new URL(api);
  if (origin !== location.origin && origin.includes("[")) return;
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = `connect-src ${origin === location.origin ? "'self'" : origin}`;
  document.head.append(policy);
}
