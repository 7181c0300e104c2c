// Loads a page again when the worker has read the pipe, and the parts that are read after the page. Everything works without it.
"use strict";

const READ_WITHIN_MS = 8000;
const note = document.getElementById("updates");
let shownAt = new Date();
let ticks = 0;
let reading = false;

const clock = (at) => at.toISOString().slice(11, 19) + "Z";

function say(text) {
  if (note && note.textContent !== text) note.textContent = text;
}

async function page(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(READ_WITHIN_MS), credentials: "same-origin" });
  if (response.status === 401) throw new Error("the session has ended: reload this page to sign in again");
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// A form that is being filled in must not be replaced, nor a text that is being selected.
function isBusy(live) {
  const inputs = [...live.querySelectorAll("form input:not([type=hidden])")];
  const selection = document.getSelection();
  return inputs.some((input) => input.value !== "" || input === document.activeElement)
    || (selection && !selection.isCollapsed && live.contains(selection.anchorNode))
    || [...live.querySelectorAll("details")].some((details) => details.open);
}

// The same element in the new text, by its place in the order of what can have the focus.
function focusables(live) {
  return [...live.querySelectorAll("a, button, input, summary, [tabindex]")];
}

async function update() {
  const live = document.getElementById("live");
  if (!live || reading || document.hidden || ticks % Number(live.dataset.every || 1) !== 0) return;
  if (isBusy(live)) {
    say("Updates wait while this page is in use.");
    return;
  }
  reading = true;
  try {
    const made = (await page(location.href)).getElementById("live");
    if (!made) throw new Error("the page has changed: reload it");
    const at = focusables(live).indexOf(document.activeElement);
    const scrolled = [...live.querySelectorAll(".wide, pre")].map((one) => [one.scrollLeft, one.scrollTop]);
    if (isBusy(live)) return;
    live.replaceWith(made);
    [...made.querySelectorAll(".wide, pre")].forEach((one, n) => {
      if (scrolled[n]) [one.scrollLeft, one.scrollTop] = scrolled[n];
    });
    if (at >= 0) focusables(made)[at]?.focus({ preventScroll: true });
    shownAt = new Date();
    say("");
  } catch (why) {
    lost(why);
  } finally {
    reading = false;
  }
}

function lost(why) {
  const reason = why instanceof Error && why.message.includes(":") ? why.message : "the worker does not respond";
  say(`This page is as of ${clock(shownAt)}, since ${reason}. It tries again by itself.`);
}

function again() {
  const live = document.getElementById("live");
  if (live && isBusy(live)) setTimeout(again, 10000);
  // Never a reload: on the response to a form it would send the form again.
  else location.replace(location.pathname + location.search);
}

if (document.getElementById("live") && "EventSource" in window) {
  const events = new EventSource("/console/events");
  let failedSince = 0;
  events.onmessage = () => {
    failedSince = 0;
    ticks += 1;
    update();
  };
  // A response ends after a minute, and the browser asks again by itself: only a longer silence is worth a word.
  events.onerror = () => {
    failedSince = failedSince || Date.now();
    if (Date.now() - failedSince > 4000) lost();
    if (events.readyState === EventSource.CLOSED) setTimeout(again, 10000);
  };
}

for (const part of document.querySelectorAll("[data-load]")) {
  page(part.dataset.load).then((made) => {
    const loaded = made.querySelector("main section") || made.querySelector("main .trouble");
    if (loaded) part.replaceChildren(...(loaded.matches("section") ? loaded.childNodes : [loaded]));
  }).catch(() => {
    const text = document.createElement("p");
    text.className = "trouble";
    text.textContent = "The plot was not read. The link above reads it again.";
    part.append(text);
  });
}
