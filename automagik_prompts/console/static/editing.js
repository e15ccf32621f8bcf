// Comfort for the edit page: a better field for the text, preview and problems as one types, drafts that save themselves.
import { edit } from "./editor.js";

const form = document.getElementById("edit");
const field = (name) => form.elements.namedItem(name);
const part = (name) => document.getElementById(name);
const nonce = document.querySelector("script[nonce]")?.nonce;
const kept = `prompts-samples ${location.pathname.split("/agents/")[0]} ${form.dataset.agent}`;
const LOOK_AFTER = 400, SAVE_EVERY = 10_000, LARGEST_ON_LEAVING = 60_000;

const isSent = "unsaved" in form.dataset;
let asked = 0, isDirty = isSent, isSending = false, isSaving = null, canSave = "autosave" in form.dataset;

function touched() {
  if (!isDirty && canSave) part("saved").textContent = "Not saved yet; it saves itself in a few seconds.";
  isDirty = true;
}

const fields = () => new URLSearchParams(new FormData(form));

const names = [...document.querySelectorAll("[data-insert]")].map((one) =>
  ({ label: one.textContent, text: one.dataset.insert }));

const editor = edit(field("text"), {
  nonce,
  names,
  changed: () => { touched(); lookSoon(); },
  moved: (line, column) => { part("caret").textContent = `Line ${line}, column ${column}`; },
  save: () => part("draft")?.click(),
});
// The label is the hidden textarea's; one that presses it means the editor.
document.querySelector('label[for="text"]').addEventListener("click", () => editor.goTo(1));

// Problems, preview and sample values

let waiting;
function lookSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(look, LOOK_AFTER);
}

async function look() {
  const number = ++asked;
  try {
    const answer = await fetch(form.dataset.look, { method: "POST", body: fields(), redirect: "error" });
    if (!answer.ok || number !== asked) return;
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (number !== asked) return;
    for (const one of found.querySelectorAll("[data-part]")) put(part(one.dataset.part), one);
    underline();
  } catch {
    // The database or the network is away: the text stays, and the next key asks again.
  }
}

const fieldNames = (root) => [...root.querySelectorAll("input, textarea")].map((one) => one.name).join();

function put(old, made) {
  if (old.id === "samples" && fieldNames(old) === fieldNames(made)) return;
  // While a tag is half typed, what the text said before is worth more than a sentence.
  const before = old.querySelector(".prompt");
  if (made.querySelector("[data-unread]") && before && !old.querySelector("[data-unread]")) {
    old.querySelector("footer span").textContent = "As it was before the problem on the left";
    return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.name : null;
  old.replaceChildren(...made.childNodes);
  for (const one of old.querySelectorAll("[data-script]")) one.hidden = false;
  if (old.id === "samples") recall(old);
  if (focused) old.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
}

function underline() {
  const wrong = part("problems").querySelectorAll("li.err").length;
  part("wrong").hidden = !wrong;
  part("wrong").textContent = wrong === 1 ? "1 problem: look" : `${wrong} problems: look`;
  editor.show([...part("problems").querySelectorAll("[data-from]")].map((one) => {
    const from = Number(one.dataset.from), to = Number(one.dataset.to), fix = one.querySelector("[data-new]");
    return { from, to, message: one.querySelector("p").textContent,
      severity: one.className === "err" ? "error" : one.className === "hint-at" ? "warning" : "info",
      actions: fix ? [{ name: fix.firstChild.textContent, apply: () => fix.click() }] : [] };
  }));
}

part("problems").addEventListener("click", (event) => {
  const fix = event.target.closest("[data-new]"), line = event.target.closest("[data-line]");
  if (!fix && !line) return;
  event.preventDefault();
  if (line) return editor.goTo(Number(line.dataset.line));
  const at = fix.closest("[data-from]").dataset;
  editor.replace(fix.dataset.new, Number(at.from), Number(at.to), fix.dataset.old);
});

for (const one of document.querySelectorAll("[data-insert]")) {
  one.addEventListener("click", () => {
    const list = one.textContent.match(/^(.+?)\[\]/)?.[1], before = editor.before(), tag = one.dataset.insert;
    const isInside = !list || before.lastIndexOf(`{{#each ${list}`) > before.lastIndexOf("{{/each}}");
    editor.insert(isInside ? tag : `{{#each ${list}}}${tag}{{/each}}`);
    one.closest("details")?.removeAttribute("open");
  });
}

// Sample values are kept in this browser alone, for each agent

function recall(root) {
  const values = JSON.parse(localStorage.getItem(kept) || "{}");
  for (const one of root.querySelectorAll("input:not([type=hidden]), textarea")) {
    if (!(one.name in values)) continue;
    if (one.type === "checkbox") one.checked = values[one.name];
    else one.value = values[one.name];
  }
}

part("samples").addEventListener("input", (event) => {
  const one = event.target, values = JSON.parse(localStorage.getItem(kept) || "{}");
  values[one.name] = one.type === "checkbox" ? one.checked : one.value;
  localStorage.setItem(kept, JSON.stringify(values));
  lookSoon();
});

// Drafts

async function save(leaving = false) {
  if (!canSave || !isDirty || isSending || (isSaving && !leaving)) return;
  isDirty = false;
  const body = fields();
  body.set("do", "auto");
  isSaving = fetch(form.dataset.drafts, { method: "POST", body, redirect: "error",
    keepalive: leaving && String(body).length < LARGEST_ON_LEAVING });
  try {
    const answer = await isSaving;
    if (answer.status === 401) throw new Error("Nobody is signed in any more. Sign in in another tab, and stay here.");
    const said = await answer.json();
    part("saved").textContent = answer.ok ? `${said.said} Only you see it.` : said.said;
    if (answer.ok) field("counter").value = said.counter;
    else [isDirty, canSave] = [true, answer.status !== 409];
  } catch (error) {
    isDirty = true;
    const isOurs = error.message.startsWith("Nobody");
    part("saved").textContent = isOurs ? error.message : "The draft could not be saved; it is tried again.";
  } finally {
    isSaving = null;
  }
}

field("note").addEventListener("input", touched);
setInterval(save, SAVE_EVERY);
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && save(true));
// What is typed while a page is made anew would be one step behind: this tab knows it, too, for a minute.
const typed = `prompts-typed ${location.pathname}`;
addEventListener("pagehide", () => {
  const left = { at: Date.now(), text: field("text").value, note: field("note").value };
  if (isDirty && !isSending) sessionStorage.setItem(typed, JSON.stringify(left));
  else if (isSending) sessionStorage.removeItem(typed);
  save(true);
});
function bringBack() {
  editor.set(field("text").value); // a browser that goes back fills in what stood there
  const left = JSON.parse(sessionStorage.getItem(typed) || "null");
  sessionStorage.removeItem(typed);
  if (!left || Date.now() - left.at > 60_000 || isSent || left.text === field("text").value) return;
  editor.set(left.text);
  field("note").value = left.note;
  part("saved").textContent = "What you typed last is here again.";
}
addEventListener("beforeunload", (event) => {
  const isTooLong = field("text").value.length > LARGEST_ON_LEAVING / 2;
  if (isDirty && !isSending && (!canSave || isTooLong)) event.preventDefault();
});
// A page from the browser's memory has an old counter; the server has the draft.
addEventListener("pageshow", (event) => event.persisted ? location.reload() : bringBack());
form.addEventListener("submit", async (event) => {
  if (event.submitter?.getAttribute("formaction") === "edit" && !event.submitter.name) {
    event.preventDefault(); // "Fill again", and Enter in a field
    return look();
  }
  if (isSaving) {
    event.preventDefault(); // its counter is on the way
    await isSaving.catch(() => null);
    setTimeout(() => form.requestSubmit(event.submitter));
    return;
  }
  isSending = true;
});

document.querySelector('[value="discard"]')?.form.addEventListener("submit", () => { isSending = true; });

recall(part("samples"));
underline();
if (localStorage.getItem(kept)) lookSoon();
