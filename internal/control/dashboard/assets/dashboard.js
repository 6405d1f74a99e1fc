// Keeps a page up to date and opens its dialogs. Everything works without it,
// only not by itself.
"use strict";

// The browser's time zone, for the server to write times in.
try {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) {
    document.cookie = "campaignd_zone=" + encodeURIComponent(zone) + "; path=/; max-age=31536000; samesite=strict" +
      (location.protocol === "https:" ? "; secure" : "");
  }
} catch { /* then times stay in UTC */ }

// morph makes the element now into what next is, and touches only what differs,
// so that focus, open details and running transitions stay.
function morph(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) {
    now.replaceWith(next);
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  const old = [...now.childNodes], fresh = [...next.childNodes];
  fresh.forEach((child, i) => i < old.length ? morph(old[i], child) : now.append(child));
  old.slice(fresh.length).forEach((child) => child.remove());
}

function elementOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// states are what a screen reader is told of: not every number, but every turn.
function states() {
  return new Map([...document.querySelectorAll("[data-state]")].map((e) => [e.id, e.dataset.state]));
}

function apply(change) {
  const region = document.querySelector(`[data-region="${change.region}"]`);
  if (!region) return;
  const before = states();
  const parts = new Map([...region.children].map((e) => [e.id, e]));
  let place = null;
  for (const id of change.order) {
    const html = change.changed && change.changed[id];
    let element = parts.get(id);
    if (element && html !== undefined) {
      morph(element, elementOf(html));
    } else if (!element) {
      if (html === undefined) return; // it is of a page that we don't have
      element = elementOf(html);
    }
    const next = place ? place.nextElementSibling : region.firstElementChild;
    if (next !== element) region.insertBefore(element, next);
    place = element;
  }
  const wanted = new Set(change.order);
  for (const [id, element] of parts) if (!wanted.has(id)) element.remove();
  const news = [];
  for (const [id, state] of states()) {
    if (before.get(id) !== undefined && before.get(id) !== state) {
      news.push(`${document.getElementById(id).dataset.name} is now ${state}.`);
    }
  }
  if (news.length) document.getElementById("news").textContent = news.join(" ");
}

const live = document.getElementById("live");
let source = null, again = 0;

function say(text, state) {
  live.hidden = false;
  live.dataset.live = state;
  const place = document.getElementById("live-text");
  if (place.textContent !== text) place.textContent = text;
}

function listen() {
  source = new EventSource(location.href);
  source.onopen = () => say("Live", "on");
  source.onmessage = (event) => apply(JSON.parse(event.data));
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) {
      say("Reconnecting", "off");
      return;
    }
    // The server answered with something else: a login, an error. A whole page says it.
    say("Not live", "off");
    clearTimeout(again);
    again = setTimeout(() => {
      if (!document.querySelector("dialog[open]")) location.reload();
    }, 5000);
  };
}

function hush() {
  clearTimeout(again);
  if (source) source.close();
  source = null;
}

// A browser has few connections to one server: pages that no one sees hold none.
function watch() {
  if (document.hidden) hush();
  else if (!source) listen();
}

if (live && document.querySelector("[data-region]")) {
  document.addEventListener("visibilitychange", watch);
  window.addEventListener("pagehide", hush);
  window.addEventListener("pageshow", watch);
  watch();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-dialog]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    const dialog = document.getElementById(link.dataset.dialog);
    if (dialog && dialog.showModal) {
      event.preventDefault();
      dialog.showModal();
      dialog.querySelector("[data-close]").focus(); // the harmless one
    }
    return;
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  else if (event.target.nodeName === "DIALOG") event.target.close(); // beside the box
});

// What was confirmed once is sent once.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button && event.target.method === "post") setTimeout(() => { button.disabled = true; });
});
