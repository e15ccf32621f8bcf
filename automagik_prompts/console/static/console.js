// Comfort only: every page works without this file.

for (const one of document.querySelectorAll("[data-script]")) one.hidden = false;

// Menus close when one leaves them
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Shortcuts: they lead somewhere, and never change what is active
const link = (wanted) => [...document.querySelectorAll(".nav a")].find((one) => one.textContent.trim().startsWith(wanted));
const places = { a: "Agents", r: "Requests", f: "Fleet", h: "History" };
let isGoing = false;
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const named = (words) => [...document.querySelectorAll("main .head a")].find((one) => one.textContent.trim() === words);
  const { key } = event, wasGoing = isGoing;
  isGoing = key === "g";
  if (wasGoing && places[key]) link(places[key])?.click();
  else if (key === "/") document.querySelector('input[type="search"]')?.focus();
  else if (key === "e") named("Edit")?.click();
  else if (key === "d") named("Compare")?.click();
  else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
  else return;
  if (!isGoing) event.preventDefault();
});

function step(by) {
  const rows = [...document.querySelectorAll('main :is(th[scope="row"] a, .time h3 > a)')];
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by]?.focus();
}

// "37 of 38" is read again for a minute
const EVERY = 3000, ROUNDS = 20;
async function follow() {
  for (let round = 0; round < ROUNDS; round++) {
    await new Promise((done) => setTimeout(done, EVERY));
    if (document.hidden) continue;
    try {
      const answer = await fetch(location.href, { redirect: "error" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-follow]")) {
        const found = page.getElementById(old.id);
        const isSame = !found || found.innerHTML === old.innerHTML;
        if (!isSame && !old.contains(document.activeElement)) old.replaceChildren(...found.childNodes);
      }
    } catch {
      return;
    }
  }
}
if (document.querySelector(".toast") && document.querySelector("[data-follow]")) follow();
