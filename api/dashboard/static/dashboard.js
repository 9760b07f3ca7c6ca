"use strict";
// Makes pages livelier; each works without.

// A part that is marked `data-live` refreshes itself, but not where nobody looks. What has not changed stays as it is,
// and so do focus, selection and what a screen reader is saying.
const sent = new Map(); // by id: what the server sent for this element last

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.matches("[data-live]")) event.preventDefault();
});

document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const comes = fragment.querySelector(`#${CSS.escape(target.id)}`).outerHTML;
  event.detail.shouldSwap = comes !== (sent.get(target.id) ?? target.outerHTML);
  sent.set(target.id, comes);
});

// What went wrong, in a line of its own: the page stays as it was.
function notice(event, why) {
  const refreshing = event.target.matches("[data-live]");
  const begins = refreshing ? "This page cannot refresh, and tries again." : "This did not work.";
  document.getElementById("notice").textContent = `${begins} ${why}`;
}

document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  const isOurs = xhr.getResponseHeader("Content-Type")?.startsWith("text/plain"); // a proxy answers in its own words
  notice(event, isOurs ? xhr.responseText : `The answer was ${xhr.status}.`);
});
document.addEventListener("htmx:sendError", (event) => notice(event, "The server cannot be reached."));
document.addEventListener("htmx:timeout", (event) => notice(event, "The server does not answer."));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) document.getElementById("notice").textContent = "";
});
