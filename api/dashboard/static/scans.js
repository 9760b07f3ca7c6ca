"use strict";
// What refreshes itself does so without getting in anybody's way. Everything works without this file.

// Not while nobody looks, or somebody marks text, has ticked something, is about to write a reason or has sent a form.
function isBusy(live) {
  if (document.hidden) return true;
  const marked = document.getSelection();
  if (!marked.isCollapsed && live.contains(marked.anchorNode)) return true;
  return live.querySelector("input:checked, details[open], form.htmx-request") !== null;
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.matches("[data-live]") && isBusy(event.detail.elt)) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const detail = event.detail;
  const answered = detail.xhr.status;
  if (answered === 409 || answered === 422 || answered === 503) {
    // A page of ours that says what could not be done.
    const page = new DOMParser().parseFromString(detail.serverResponse, "text/html");
    detail.shouldSwap = page.querySelector("#scan, #run") !== null;
    detail.isError = !detail.shouldSwap;
  } else if (detail.requestConfig.elt.matches("[data-live]")) {
    // What is the same stays: no picture is loaded again, and no screen reader starts over.
    const live = detail.requestConfig.elt;
    const page = new DOMParser().parseFromString(detail.serverResponse, "text/html");
    const fresh = page.getElementById(live.id);
    if (isBusy(live) || (fresh && fresh.innerHTML === live.innerHTML)) detail.shouldSwap = false;
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  // The button that was pressed is gone: whoever has no mouse goes on from what came of it.
  const pressed = event.detail.requestConfig.verb === "post";
  if (pressed && document.activeElement === document.body) document.getElementById("verdict")?.focus();
  const live = document.querySelector("[data-told]");
  const told = document.getElementById("told");
  if (live && told && told.dataset.last !== live.dataset.told) {
    if (told.dataset.last !== undefined) told.textContent = live.dataset.told;
    told.dataset.last = live.dataset.told;
  }
});
