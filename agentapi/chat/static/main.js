// The chat page: finds its API, then hands over to the views.

import { html, render } from "./html.js";
import { findPlace, restrictConnections } from "./place.js";
import { App } from "./views/app.js";

const root = document.getElementById("app");
try {
  const place = findPlace(new URL(location.href), new URL("./", import.meta.url));
  restrictConnections(place.api);
  render(html`<${App} ...${place} />`, root);
} catch (error) {
  render(html`<p class="fatal" role="alert">${error.message}</p>`, root);
}
